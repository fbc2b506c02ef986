"""The page on serving lists what the server has."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_tables import table_after
from wav2edge.cli.main import build_parser
from wav2edge.cli.verbs import load_command
from wav2edge.serving.application import ROUTES
from wav2edge.serving.refusals import REASONS
from wav2edge.serving.web.clip_routes import IGNORED, TRANSCRIPTION_FIELDS
from wav2edge.serving.web.status_routes import OFFERS
from wav2edge.serving.websocket.stream_messages import Start

PAGE = "docs/serving.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_the_page_has_every_address():
    listed = {path.removeprefix("POST ").removeprefix("GET ") for path in table_after(PAGE, "# Serving")}
    assert {path.replace("NAME", "{name:path}") for path in listed} == {"/", *(route.path for route in ROUTES)}
    assert {what.split()[1] for what in OFFERS} == {path for path in listed if "NAME" not in path and path != "/"}


def test_the_page_has_every_reason_with_its_status():
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", TEXT, re.MULTILINE)
    listed = {name: int(status) for status, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name: kind.status for name, kind in REASONS.items()}


def test_the_page_has_every_field_of_a_transcription():
    listed = {name.removesuffix("[]") for name in table_after(PAGE, "Fields of OpenAI's API:")}
    assert listed == {"file", *TRANSCRIPTION_FIELDS}
    assert set(IGNORED) <= listed


def test_the_page_has_every_field_of_the_message_that_begins_a_stream():
    assert sorted(table_after(PAGE, '"chunk_ms": 160}\n```')) == sorted(each.name for each in fields(Start))


def test_the_page_has_every_metric(server, clip):
    server.post(clip)
    exposed = re.findall(r"^# TYPE (wav2edge_\w+) ", server.client.get("/metrics").text, re.MULTILINE)
    listed = re.findall(r"`(wav2edge_\w+)`", TEXT)
    assert sorted(listed) == sorted(name for name in exposed if not name.endswith("_created"))


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", TEXT)) - {"--tmpfs", "--stream"}))
def test_every_option_on_the_page_is_one_of_the_command(option):
    assert option in build_parser([load_command("serve")])._subparsers._group_actions[0].choices["serve"].format_help()
