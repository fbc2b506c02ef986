"""transformers.js loads a bundle as it is, and transcribes as wav2edge does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import wav2edge
from wav2edge.audio.clip import load_clip, zero_mean_unit_variance
from wav2edge.evaluation.rates import edit_distance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "models" / "words"
DTYPES = {"int8": "q8", "fp32": "fp32"}
"""Variant -> the name that transformers.js has for it."""
BEFORE = """
import { readFileSync } from "node:fs";
const samples = new Float32Array(new Uint8Array(readFileSync("clip.f32")).buffer);
"""
AFTER = "console.log(JSON.stringify({ text }));"


@pytest.fixture(scope="module")
def clips():
    """Name -> samples of the twelve shipped clips."""
    return {path.stem: load_clip(path).samples for path in sorted((ROOT / "models" / "clips").glob("*.flac"))}


@pytest.fixture(scope="module")
def raw_clips(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    for name, samples in clips.items():
        samples.astype("<f4").tofile(folder / f"{name}.f32")
    return sorted(folder.iterdir())


def test_it_transcribes_the_shipped_clips_as_wav2edge_does(run_script, clips, raw_clips):
    engine = wav2edge.load(WORDS, variant="int8", threads=1)
    expected = [engine(samples, rate_hz=16_000).text for samples in clips.values()]
    assert len(expected) == 12
    assert all(expected)
    lines = run_script("transcribe.mjs", WORDS, DTYPES["int8"], *raw_clips)
    assert [line["text"] for line in lines] == expected


@pytest.mark.parametrize("kind", ["joint", "ctc"])
@pytest.mark.parametrize("variant", DTYPES)
def test_it_transcribes_with_each_variant_of_an_exported_bundle(kind, variant, bundles, run_script, clips, raw_clips):
    folder = bundles(kind).folder
    engine = wav2edge.load(folder, variant=variant, threads=1)
    # transformers.js normalises before the graph does: handed the same, near ties of random weights round alike.
    expected = [engine(zero_mean_unit_variance(samples), rate_hz=16_000).text for samples in clips.values()]
    assert len(expected) == 12
    assert all(expected)
    lines = run_script("transcribe.mjs", folder, DTYPES[variant], *raw_clips)
    found = [line["text"] for line in lines]
    if variant == "fp32":
        assert found == expected
    # Two builds of ONNX Runtime may round an 8-bit sum to either side, which decides a near tie of random weights.
    edits = sum(edit_distance(list(here), list(there)) for here, there in zip(expected, found, strict=True))
    assert edits <= 0.02 * sum(map(len, expected))


def test_the_javascript_on_the_page_about_embedding_runs(node_folder, run_script, raw_clips, tmp_path):
    page = (ROOT / "docs" / "quickstart" / "embed.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```js\n(.*?)```", page, flags=re.DOTALL)
    shutil.copytree(WORDS, tmp_path / "bundle")
    (clip,) = (path for path in raw_clips if path.stem == "fu-dan-3")
    shutil.copyfile(clip, tmp_path / "clip.f32")
    script = node_folder / "page.mjs"
    script.write_text(BEFORE + block + AFTER, encoding="utf-8")
    assert run_script(script.name, folder=tmp_path) == [{"text": "fu dan"}]


def test_the_card_of_a_joint_bundle_says_what_audio_classification_pipelines_read(bundles):
    cards = {kind: (bundles(kind).folder / "README.md").read_text(encoding="utf-8") for kind in ("joint", "ctc")}
    assert "`audio-classification` pipelines of transformers.js and Optimum read the output `logits`" in cards["joint"]
    assert "`audio-classification` pipelines" not in cards["ctc"]
