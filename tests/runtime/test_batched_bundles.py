"""Bundles with graphs for batches, and without: loading, the command line, and refusals."""

from __future__ import annotations

import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge import BundleError, UsageError
from wav2edge.bundle.folder import Bundle
from wav2edge.evaluation.verification import verify

# Graphs that take no batches


def test_batches_of_a_variant_without_a_mask_are_refused_before_any_clip_is_read(engine, clips):
    message = r"onnx/model\.onnx takes one clip at a time, not 4; export with --batched, or leave the batch size out"
    with pytest.raises(UsageError, match=message):
        engine.map(clips, rate_hz=16_000, batch_size=4)
    with pytest.raises(UsageError, match="takes one clip at a time"):
        engine.batch_outputs(clips)
    assert len(list(engine.map(clips, rate_hz=16_000, batch_size=1))) == len(clips)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_no_clips_is_refused(batched, batch_size):
    with pytest.raises(UsageError, match="at least 1 is needed"):
        batched.map([], batch_size=batch_size)


@pytest.mark.parametrize(
    ("model", "batched", "reason"),
    [
        (tiny_bundle.graph, True, "its inputs are input_values where 'input_values' and 'attention_mask' are wanted"),
        (tiny_bundle.batched_graph, False, "its inputs are input_values, attention_mask where 'input_values' is want"),
    ],
)
def test_a_graph_whose_inputs_are_not_what_the_manifest_says_is_not_loaded(tmp_path, model, batched, reason):
    folder = tiny_bundle.write_bundle(tmp_path / "odd", {"fp32": model()}, batched=batched)
    with pytest.raises(BundleError, match=reason):
        wav2edge.load(folder)


def test_a_manifest_from_before_batches_is_of_variants_without_a_mask(edit_manifest):
    variant = {"file": "onnx/model.onnx", "precision": "fp32", "operators": "onnx"}
    folder = edit_manifest(variants={"fp32": variant}, default_variant="fp32")
    assert not Bundle.open(folder).variant().batched


# The command line


def test_run_gives_the_same_in_batches_as_one_by_one(cli, batched_bundle, save, clips):
    paths = [save(f"{number}.wav", clip) for number, clip in enumerate(clips)]
    one_by_one = cli("run", batched_bundle, *paths, "--format", "jsonl")
    in_batches = cli("run", batched_bundle, *paths, "--format", "jsonl", "--batch", 4)
    assert (in_batches.code, in_batches.err) == (0, one_by_one.err)
    for found, expected in zip(in_batches.jsonl, one_by_one.jsonl, strict=True):
        assert (found["path"], found["text"], found["label"]) == (
            expected["path"],
            expected["text"],
            expected["label"],
        )


def test_run_recognises_the_clips_around_a_bad_one_in_their_batch(cli, batched_bundle, clip, tmp_path):
    outcome = cli("run", batched_bundle, clip, tmp_path / "gone.wav", clip, "--batch", 3, "--format", "jsonl")
    assert outcome.code == 1
    assert ["error" in entry for entry in outcome.jsonl] == [False, True, False]
    assert "no such file" in outcome.complaint_about(tmp_path / "gone.wav")


@pytest.mark.parametrize("further", [(), ("other.wav", "--format", "json")])
def test_run_in_batches_without_a_batched_bundle_is_wrong_usage(cli, bundle, clip, further):
    outcome = cli("run", bundle, clip, *further, "--batch", 2)
    assert (outcome.code, outcome.out) == (2, "")
    assert "export with --batched" in outcome.complaint


def test_inspect_names_batched_variants(cli, batched_bundle, bundle):
    assert cli("inspect", batched_bundle, "--json").json["variants"]["fp32"]["batched"] is True
    assert "onnx/model.onnx  batched  (default)" in cli("inspect", batched_bundle).out
    assert "batched" not in cli("inspect", bundle).out


def test_a_batched_bundle_verifies(batched_bundle):
    assert [check.name for check in verify(Bundle.open(batched_bundle)) if not check.passed] == []
