"""Heads of every kind, and bundles in several languages, are read in C as they are in Python."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.c.conftest import WORDS
from tests.c.test_c_binding import assert_same
from tests.runtime import tiny_bundle
from wav2edge.decoding.beam import Beam

TOKENS = ["|", "A", "B", ".", "'S", " N'T", "Σ", "İ", "Ж", "ö", "X Y", "?", "\u3000", "'", "Ế", "z", "[UNK]", "[PAD]"]
CTC = {"output": "logits", "vocabulary": TOKENS, "blank_id": 17, "word_delimiter": "|", "silent_ids": [16]}
FRAMES = {"output": "logits", "labels": TOKENS}
EMBEDDING = {"output": "class_logits", "size": 4, "fewest_frames": 20}
HEADS: dict[str, dict[str, Any]] = {
    "letters": {"ctc": {**CTC, "lower_case": False}},
    "small letters": {"ctc": {**CTC, "lower_case": True}},
    "cleaned up": {"ctc": {**CTC, "lower_case": True, "clean_up_spaces": True}},
    "other borders": {"ctc": {**CTC, "lower_case": False, "delimiter_text": "-"}},
    "no borders": {"ctc": {**CTC, "lower_case": True, "delimiter_text": "", "word_delimiter": "A"}},
    "phonemes": {"ctc": {**CTC, "lower_case": False, "silent_ids": [0, 16], "token_separator": " "}},
    "phonemes in words": {"ctc": {**CTC, "lower_case": True, "token_separator": "_", "clean_up_spaces": True}},
    "labels of frames": {"frame_classification": {**FRAMES, "exclusive": True}},
    "speakers": {"frame_classification": {**FRAMES, "exclusive": False}, "embedding": EMBEDDING},
    "an embedding": {"embedding": EMBEDDING},
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_every_kind_are_read_alike(library, rewritten, wav_clips, recording, name):
    folder = rewritten(lambda document: document.update(heads=HEADS[name]))
    theirs = wav2edge.load(folder, threads=1)
    noise = np.random.default_rng(5).integers(-9_000, 9_000, 40_000).astype(np.int16)
    with library.load(folder) as ours:
        sounds = [noise, *(soundfile.read(path, dtype="int16")[0] for path in wav_clips[:4]), recording[:200_000]]
        found = [assert_same(partial(ours.run, sound), partial(theirs, sound, rate_hz=16_000)) for sound in sounds]
    assert len(found[-1]["segments"]) > 3
    for field in {"text", "frame_labels", "embedding"} & set(found[-1]):
        assert found[-1][field]


def test_a_clip_that_is_too_short_for_an_embedding_is_refused_with_the_same_words(library, rewritten, clip, recording):
    change = {"embedding": {**EMBEDDING, "fewest_frames": 55}}
    folder = rewritten(lambda document: document.update(heads=change, longest_clip_s=1.2))
    theirs = wav2edge.load(folder, threads=1)
    with library.load(folder) as ours:
        short = clip[4_000:10_000]
        found = assert_same(partial(ours.run, short), partial(theirs, short, rate_hz=16_000))
        assert found[0] == "AudioError"
        found = assert_same(partial(ours.run, recording), partial(theirs, recording, rate_hz=16_000))
        assert "is left out" in found["warnings"][0]


def test_a_bonus_for_words_counts_phonemes(library, rewritten, clip):
    folder = rewritten(lambda document: document.update(heads=HEADS["phonemes"]))
    theirs = wav2edge.load(folder, threads=1, decoder=Beam(width=6, word_bonus=0.7))
    with library.load(folder, decoder='{"beam": {"width": 6, "word_bonus": 0.7}}') as ours:
        assert_same(partial(ours.run, clip), partial(theirs, clip, rate_hz=16_000))


@pytest.mark.parametrize(
    ("head", "change"),
    [
        ("letters", {"token_separator": 3}),
        ("letters", {"clean_up_spaces": "yes"}),
        ("labels of frames", {"exclusive": None}),
        ("labels of frames", {"labels": ["a", "a"]}),
        ("an embedding", {"size": 0}),
        ("an embedding", {"size": 5}),
        ("an embedding", {"fewest_frames": "many"}),
    ],
)
def test_wrong_heads_are_refused_with_the_same_words(library, rewritten, head, change):
    ((kind, entry),) = HEADS[head].items()
    folder = rewritten(lambda document: document.update(heads={kind: {**entry, **change}}))
    found = assert_same(partial(library.load, folder), partial(wav2edge.load, folder, threads=1))
    assert found[:2] == ("BundleError", 3)


def test_what_neither_transcribes_nor_classifies_has_no_streams(library, rewritten):
    folder = rewritten(lambda document: document.update(heads=HEADS["an embedding"]))
    theirs = wav2edge.load(folder, threads=1)
    with library.load(folder) as ours:
        assert assert_same(ours.stream, theirs.stream)[:2] == ("UsageError", 2)


def in_two_languages(document: dict[str, Any]) -> None:
    """Another variant of the same graph, whose letters are called otherwise."""
    first = document["variants"]["int8"]
    first["language"] = "cmn"
    heads = json.loads(json.dumps(document["heads"]))
    heads["ctc"]["vocabulary"] = [token.upper() for token in heads["ctc"]["vocabulary"]]
    document["variants"]["int8-xyz"] = {**first, "language": "xyz", "heads": heads}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"language": "xyz"},
        {"language": "cmn"},
        {"variant": "int8"},
        {"variant": "int8", "language": "xyz"},
        {"variant": "int8-xyz"},
        {"variant": "int8-xyz", "language": "cmn"},
        {"variant": "fp32"},
        {"language": "deu"},
    ],
    ids=str,
)
def test_variants_in_several_languages_are_chosen_alike(library, rewritten, clip, options):
    folder = rewritten(in_two_languages)

    def ours() -> dict[str, Any]:
        with library.load(folder, **options) as engine:
            return engine.run(clip)

    found = assert_same(ours, lambda: wav2edge.load(folder, threads=1, **options)(clip, rate_hz=16_000))
    if isinstance(found, dict):
        another = "xyz" in (options.get("language"), options.get("variant", "")[-3:])
        assert found["text"] == ("FU DAN" if another else "fu dan")


def test_a_language_of_a_bundle_without_any_is_refused_with_the_same_words(library):
    found = assert_same(partial(library.load, WORDS, language="deu"), partial(wav2edge.load, WORDS, language="deu"))
    assert found[:2] == ("BundleError", 3)


def test_the_command_writes_labels_of_frames_and_embeddings(command, rewritten, wav_clips):
    folder = rewritten(lambda document: document.update(heads=HEADS["speakers"]))
    expected = wav2edge.load(folder, threads=1)(wav_clips[0])
    (found,) = map(json.loads, command("run", folder, wav_clips[0], "--json", "--threads", 1).stdout.splitlines())
    assert [each["label"] for each in found["frame_labels"]] == [each.label for each in expected.frame_labels]
    assert found["embedding"] == pytest.approx(expected.embedding, rel=1e-6)
    assert len(command("run", folder, wav_clips[0]).stdout.splitlines()) == len(expected.frame_labels)
    folder = rewritten(lambda document: document.update(heads=HEADS["an embedding"]))
    assert len(command("run", folder, wav_clips[0]).stdout.split(" ")) == 4


def test_graphs_that_take_a_mask_are_run_alike(library, tmp_path, clip):
    folder = tiny_bundle.write_bundle(tmp_path / "batched", {"fp32": tiny_bundle.batched_graph()}, batched=True)
    theirs = wav2edge.load(folder, threads=1)
    with library.load(folder) as ours:
        for samples in (clip, clip[:390], clip[:8_000]):
            assert_same(partial(ours.run, samples), partial(theirs, samples, rate_hz=16_000))


@pytest.mark.parametrize(("model", "batched"), [(tiny_bundle.graph, True), (tiny_bundle.batched_graph, False)])
def test_graphs_with_other_inputs_are_refused_with_the_same_words(library, tmp_path, model, batched):
    folder = tiny_bundle.write_bundle(tmp_path / "odd", {"fp32": model()}, batched=batched)
    found = assert_same(partial(library.load, folder), partial(wav2edge.load, folder, threads=1))
    assert found[:2] == ("BundleError", 3)
