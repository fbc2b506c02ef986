"""The files for Docker, Prometheus and Grafana say what the server has: there is no daemon here that could run them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from wav2edge.cli.main import build_parser
from wav2edge.cli.verbs import load_command
from wav2edge.serving.serving_options import ServingOptions

yaml = pytest.importorskip("yaml", reason="PyYAML comes with mkdocs, in the group dev")

DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\b(?:wav2edge|process)_[a-z_]+")


@pytest.fixture(scope="module")
def board():
    return json.loads((DEPLOY / "grafana/board.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def exposed(server, clip) -> set[str]:
    """Names of all metrics of a server that has answered, refused and streamed."""
    server.post(clip)
    server.post(b"no sound")
    text = server.client.get("/metrics").text
    declared = re.findall(r"^# TYPE (\S+) (\w+)", text, re.MULTILINE)
    buckets = {f"{name}_bucket" for name, kind in declared if kind == "histogram"}
    return {name for name, _ in declared} | buckets


def instructions(name: str) -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(f"{name} ")]


def test_every_metric_on_the_board_and_in_the_alerts_is_one_of_the_server(board, exposed):
    used = {name for panel in board["panels"] for each in panel["targets"] for name in NAME.findall(each["expr"])}
    used |= set(NAME.findall((DEPLOY / "alerts.yml").read_text(encoding="utf-8")))
    assert used
    assert used - exposed == set()


def test_the_panels_of_the_board_do_not_overlap(board):
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})


def test_the_image_starts_a_server_with_options_that_exist_and_not_as_root():
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")[-1:]
    words = [*json.loads(entry), *json.loads(command)]
    options = build_parser([load_command("serve")]).parse_args(words[1:])
    assert (words[0], options.host, options.bundle) == ("wav2edge", "0.0.0.0", ["model=/bundle"])
    assert instructions("USER") == ["10001"]
    assert f"EXPOSE {options.port}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_the_image_copies_is_there_and_not_left_out():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in instructions("COPY"):
        if "--from" in line:
            continue
        *sources, _ = [word for word in shlex.split(line) if not word.startswith("--")]
        for source in sources:
            path = source.replace("${BUNDLE}", "models/words").removeprefix("./")
            assert (ROOT / path).exists(), path
            assert any(path.startswith(each) or each.startswith(path) for each in kept), path


def test_the_image_asks_for_the_packages_of_the_extra():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["cpu"], *extras["serve"]]
    (first, *_) = [line for line in instructions("RUN") if "onnxruntime" in line]
    assert sorted(re.findall(r'"([^"]+)"', first)) == sorted(wanted)


def test_compose_mounts_what_is_there_and_gives_the_server_time_to_answer(compose):
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), source
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    server = compose["services"]["wav2edge"]
    assert int(server["stop_grace_period"].removesuffix("s")) > ServingOptions().grace_s
    assert Path(server["build"]["args"]["BUNDLE"].split(":-")[1].rstrip("}")) == Path("models/words")


def test_prometheus_asks_the_server_where_compose_has_it(compose):
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    (target,) = asked[0]["static_configs"][0]["targets"]
    assert target == "wav2edge:8000"
    options = build_parser([load_command("serve")]).parse_args(["serve", *compose["services"]["wav2edge"]["command"]])
    assert options.bundle == ["model=/bundle"]
    assert {"wav2edge", "127.0.0.1", "localhost"} == set(options.allow_host)  # of Prometheus, of health, and ours
    sources = DEPLOY / "grafana/provisioning/datasources/prometheus.yml"
    assert yaml.safe_load(sources.read_text(encoding="utf-8"))["datasources"][0]["url"] == "http://prometheus:9090"
