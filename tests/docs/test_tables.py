"""The tables of the pages list what the code has, no more and no less."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from tests.docs.pages import ROOT, blocks
from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.bundle.heads import ClassificationHead, CtcHead, EmbeddingHead, FrameClassificationHead
from wav2edge.bundle.manifest import FileRecord, Manifest, Variant
from wav2edge.evaluation.dataset import read_dataset, select_split
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.inference.sessions.cpu import NATIVE, TARGETS
from wav2edge.inference.sessions.device import DEVICES

WORDS = ROOT / "models/words"


def table_after(page: str, heading: str) -> list[str]:
    """The names in the first column of the first table after a heading; several may share a cell."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"{heading}\n", 1)[1]
    (rows,) = re.findall(r"\A.*?^\|[^\n]*\n\|[ :|-]*\n(.*?)^(?!\|)", text, re.DOTALL | re.MULTILINE)
    return [name for row in rows.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_the_page_on_the_bundle_has_every_field_of_the_manifest():
    manifest = json.loads(Manifest.from_json((WORDS / "manifest.json").read_bytes()).to_json())
    assert table_after("docs/bundle.md", "## manifest.json") == list(manifest)


def test_the_page_on_the_bundle_has_every_field_of_the_schema():
    schema = json.loads((ROOT / "docs/bundle.schema.json").read_text(encoding="utf-8"))
    assert table_after("docs/bundle.md", "## manifest.json") == list(schema["properties"])


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("### heads.ctc", CtcHead),
        ("### heads.classification", ClassificationHead),
        ("### heads.frame_classification", FrameClassificationHead),
        ("### heads.embedding", EmbeddingHead),
        ("### stream", CachedStreams),
        ("### variants.NAME", Variant),
        ("### files.PATH", FileRecord),
    ],
)
def test_the_page_on_the_bundle_has_every_field_of_each_object(heading, kind):
    assert table_after("docs/bundle.md", heading) == names(kind)


def test_the_page_on_the_bundle_has_every_file_of_a_bundle():
    files = {path.relative_to(WORDS).as_posix() for path in WORDS.rglob("*") if path.is_file()}
    assert files <= set(table_after("docs/bundle.md", "# The bundle"))


def test_the_page_on_the_certificate_has_every_field():
    documented = set(table_after("docs/certificate.md", "`certificate.json` has every figure:"))
    (shipped,) = json.loads((WORDS / "certificate.json").read_bytes())["variants"].values()
    assert set(shipped) <= documented
    assert set(Certificate(precision="fp32", budget=Budget(), signals={}).to_dict()) == documented


def test_the_page_on_the_certificate_quotes_that_of_the_shipped_model():
    page = " ".join((ROOT / "docs/certificate.md").read_text(encoding="utf-8").replace("\n>", "").split())
    (shipped,) = json.loads((WORDS / "certificate.json").read_bytes())["variants"].values()
    assert f" certified: {shipped['summary']} - " in page


def test_the_worst_signals_that_the_page_on_the_certificate_names_are_those_of_the_shipped_model():
    page = (ROOT / "docs/certificate.md").read_text(encoding="utf-8")
    (shipped,) = json.loads((WORDS / "certificate.json").read_bytes())["variants"].values()
    worst = {
        kind: max(shipped["signals"], key=lambda name: shipped["signals"][name][kind])
        for kind in ("absolute_error", "relative_error")
    }
    seconds = {kind: int(name.removesuffix(" samples")) / 16_000 for kind, name in worst.items()}
    assert f"on a signal of {seconds['absolute_error']:g} s" in page
    assert f"on one of {seconds['relative_error']:g} s" in page


@pytest.mark.parametrize(
    ("page", "language", "table"),
    [("docs/quickstart/fine-tune.md", "csv", "metadata.csv"), ("docs/train.md", "json", "clips.jsonl")],
)
def test_the_data_set_on_a_page_can_be_trained_on(page, language, table, tmp_path):
    (shown,) = (block for block in blocks(ROOT / page) if block.language == language)
    (tmp_path / table).write_text(shown.body, encoding="utf-8")
    rows = read_dataset(tmp_path / table if table.endswith("jsonl") else tmp_path)
    training, validation = (select_split(rows, name) for name in ("train", "validation"))
    assert {row.label for row in validation} <= {row.label for row in training}
    assert set("".join(str(row.transcription) for row in validation)) <= set(
        "".join(str(row.transcription) for row in training)
    )


def test_every_device_has_a_row_that_says_whether_it_was_tried():
    assert table_after("docs/devices.md", "# Devices") == list(DEVICES)


def test_every_target_has_a_row():
    assert set(table_after("docs/precisions.md", "## Target")) - {"native"} == set(TARGETS)
    assert NATIVE in table_after("docs/precisions.md", "## Target")


@pytest.mark.parametrize(
    ("page", "heading"),
    [("docs/precisions.md", "# Precisions, and how to choose"), ("docs/certificate.md", "## The budget")],
)
def test_every_precision_has_a_row(page, heading):
    from wav2edge_export.quantization.recipes import RECIPES

    assert set(table_after(page, heading)) == set(RECIPES)


def test_the_budgets_are_those_of_the_recipes():
    from wav2edge_export.quantization.recipes import RECIPES

    page = (ROOT / "docs/certificate.md").read_text(encoding="utf-8")
    for name, recipe in RECIPES.items():
        (row,) = re.findall(rf"^\| `{name}` \| (.*)$", page, re.MULTILINE)
        budget = recipe.budget
        logits = f"within {budget.absolute_error:g}".replace("0.0001", "1e-4") if budget.absolute_error else None
        assert row.startswith(logits or f"within {budget.relative_error:.0%}".replace("%", " %")), name
        assert ("0.003" in row) == (budget.wer_increase == budget.accuracy_drop == 0.003), name


def test_every_preset_has_a_row():
    from wav2edge_train.model.presets import PRESETS

    assert table_after("docs/train.md", "## Presets") == list(PRESETS)


def test_every_supported_class_is_named():
    from wav2edge_train.checkpoint.architectures import ARCHITECTURES

    text = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    assert [name for name in ARCHITECTURES if f"`{name}`" not in text] == []


def test_the_readme_names_every_family():
    from wav2edge_train.checkpoint.families.family_table import FAMILIES

    text = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert [name for name in FAMILIES if name.replace("-", "") not in text.replace("-", "")] == []
