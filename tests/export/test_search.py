"""`--precision auto`, from the data set to the bundle, and which clips may judge it."""

import dataclasses
import json
import sys
from functools import partial

import numpy as np
import pytest
import soundfile

import wav2edge
from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.cli import main
from wav2edge.errors import DataError
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.bundle import certification
from wav2edge_export.bundle.certification import EvaluationClips, choose_evaluation_clips
from wav2edge_export.mixed_precision import search
from wav2edge_export.mixed_precision.frontier import PROBES, WALKS
from wav2edge_export.quantization import recipes
from wav2edge_export.quantization.recipes import RECIPES

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests


@pytest.fixture
def dataset(tmp_path):
    """A data set of clips in the splits that are named, one row each."""

    def write(*splits):
        folder = tmp_path / "data"
        folder.mkdir()
        rows = ["file_name,transcription,label,split"]
        for number, split in enumerate(splits):
            soundfile.write(folder / f"{number}.wav", voiced(8_000, seed=number), 16_000)
            rows.append(f"{number}.wav,pa ta,{number % 4},{split}")
        (folder / "metadata.csv").write_text("\n".join(rows))
        return folder

    return write


@pytest.fixture
def hasty(monkeypatch):
    """A search that takes seconds: short signals, few clips."""
    monkeypatch.setattr(certification, "synthetic_signals", partial(synthetic_signals, longest_s=0.1))
    monkeypatch.setattr(search, "MOST_CLIPS", 2)
    monkeypatch.setattr(search, "TIMED_S", 0.0)


def with_budget(monkeypatch, budget):
    monkeypatch.setitem(recipes.RECIPES, "auto", dataclasses.replace(RECIPES["auto"], budget=budget))


def export(checkpoint, output, *words):
    command = ["export", str(checkpoint), "--output", str(output), "--target", "avx2", "--precision"]
    return main([*command, *map(str, words)])


def names(rows):
    return [row.path.stem for row in rows]


# From end to end


@pytest.mark.usefixtures("hasty")
def test_auto_writes_the_mixture_it_chose_with_its_certificate_and_the_frontier_it_walked(
    checkpoints, dataset, tmp_path, monkeypatch, capsys
):
    with_budget(monkeypatch, Budget(relative_error=0.03))
    data = dataset("test", "test", "validation", "validation", "validation")
    assert export(checkpoints("joint"), tmp_path / "bundle", "auto", "--data", data, "--prefer", "small") == 0
    talk = capsys.readouterr().err
    bundle = Bundle.open(tmp_path / "bundle")
    frontier = json.loads((bundle.folder / search.FRONTIER).read_text())
    certificate = json.loads((bundle.folder / CERTIFICATE).read_text())["variants"]["auto"]
    chosen = frontier["points"][frontier["chosen"]]
    assert 3 < len(frontier["points"]) <= len(WALKS) * PROBES
    assert chosen["passed"]
    assert chosen["size_bytes"] == min(point["size_bytes"] for point in frontier["points"] if point["passed"])
    assert not all(point["passed"] for point in frontier["points"])
    # The graph in the bundle is the chosen one, and its certificate is about it.
    assert bundle.manifest.files["onnx/model_auto.onnx"].size_bytes == chosen["size_bytes"]
    assert certificate["measured"] == chosen["measured"]
    assert certificate["clips"]["clips"] == 2
    assert certificate["kept_in_float"] == [name for name, level in chosen["levels"].items() if level == "float"]
    assert "layers compared on clips of the split validation; taken with --prefer small" in certificate["note"]
    assert [check.name for check in verify(bundle) if not check.passed] == []
    assert f"auto: comparing {len(chosen['levels'])} layers on 2 clips of the split validation" in talk
    assert "| * |" in talk
    assert (bundle.folder / search.PLOT).read_bytes().startswith(b"\x89PNG")
    assert f"]({search.PLOT})" in (bundle.folder / "README.md").read_text()


@pytest.mark.usefixtures("hasty")
def test_auto_without_clips_or_matplotlib_says_so(checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(search, "WALKS", ("int8",))
    assert export(checkpoints("ctc"), tmp_path / "bundle", "auto,fp32") == 0
    talk = capsys.readouterr().err
    assert "synthetic signals, since no --data was given: nothing is known of WER or accuracy" in talk
    assert "no frontier.png: matplotlib.figure is not installed" in talk
    engines = [wav2edge.load(tmp_path / "bundle", variant=name) for name in ("auto", "fp32")]
    found, exact = (engine.outputs(voiced(16_000, seed=5))["logits"] for engine in engines)
    assert 0 < np.abs(found - exact).max() < 0.25 * np.abs(exact).max()


@pytest.mark.usefixtures("hasty")
def test_auto_refuses_rather_than_leave_its_budget(checkpoints, tmp_path, monkeypatch, capsys):
    with_budget(monkeypatch, Budget(relative_error=1e-12))
    monkeypatch.setattr(search, "WALKS", ("int8",))
    assert export(checkpoints("ctc"), tmp_path / "bundle", "auto,fp32") == 1
    talk = capsys.readouterr().err
    assert "auto refused, not written: relative error" in talk
    assert "| * |" not in talk
    assert list(Bundle.open(tmp_path / "bundle").manifest.variants) == ["fp32"]


# Judges


def test_layers_are_compared_on_the_validation_split_and_certified_on_the_test_split(dataset):
    judges = choose_evaluation_clips(dataset("train", "test", "validation", "test", "train"), search=True)
    assert (names(judges.utterances), names(judges.search)) == (["1", "3"], ["2"])
    assert judges.description == "clips of the split validation"


def test_layers_are_compared_on_the_training_split_where_validation_is_the_judge(dataset):
    judges = choose_evaluation_clips(dataset("train", "validation", "validation"), search=True)
    assert (names(judges.utterances), names(judges.search)) == (["1", "2"], ["0"])


def test_without_another_split_every_second_clip_compares_layers_and_judges_nothing(dataset):
    folder = dataset("test", "test", "test", "test", "test")
    judges = choose_evaluation_clips(folder, search=True)
    assert (names(judges.utterances), names(judges.search)) == (["1", "3"], ["0", "2", "4"])
    assert names(choose_evaluation_clips(folder, max_clips=3).utterances) == ["0", "1", "2"]


def test_one_clip_cannot_both_compare_and_judge(dataset):
    with pytest.raises(DataError, match="auto needs two clips at least"):
        choose_evaluation_clips(dataset("test"), search=True)


def test_clips_to_compare_on_are_drawn_evenly_and_unreadable_ones_are_passed_over(dataset):
    judges = choose_evaluation_clips(dataset("test", *["validation"] * 9), search=True)
    judges.search[0].path.write_bytes(b"")
    clips = judges.search_clips(3)
    assert [clip.tolist() for clip in clips] == [
        soundfile.read(judges.search[place].path, dtype="float32")[0].tolist() for place in (3, 6)
    ]
    for row in judges.search:
        row.path.write_bytes(b"")
    with pytest.raises(DataError, match="none of the clips"):
        judges.search_clips(3)


def test_without_data_synthetic_signals_compare_the_layers():
    clips = EvaluationClips().search_clips(4)
    assert len(clips) == 4
    assert len({len(clip) for clip in clips}) == 4
