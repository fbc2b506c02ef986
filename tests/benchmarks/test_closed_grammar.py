"""The record of the closed grammar: thresholds, word error rates, and the clips that must be outside."""

import json

import numpy as np
import pytest
import soundfile

from benchmarks.records.accuracy import closed_grammar
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.errors import DataError

VOCABULARY = ("_", "|", "a", "b")
INSIDE = ["a", "b", "a b"]


class Speller:
    """Stands for an engine: the clip's first sample says how sure it is, the rest spells its tokens."""

    heads = Heads(ctc=CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0))

    def outputs(self, samples):
        ids = np.round(samples[1:] * 100).astype(int)
        return {"logits": (samples[0] * 20 * np.eye(4)[ids]).astype(np.float32)}


def write_data(folder, rows):
    """A data set whose clips spell what they say; ``rows``: transcription, what is spelt, certainty, split."""
    folder.mkdir()
    lines = ["file_name,transcription,split"]
    for number, (text, said, sure, split) in enumerate(rows):
        ids = [i for letter in said.replace(" ", "|") for i in (VOCABULARY.index(letter), 0)]
        samples = np.array([sure, *(i / 100 for i in ids), *[0.0] * 400])
        soundfile.write(folder / f"{number}.wav", samples, 16_000, subtype="FLOAT")
        lines.append(f"{number}.wav,{text},{split}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(closed_grammar, "load", lambda bundle: Speller())

    def run(outside):
        test = [*((text, text, 0.9, "test") for text in INSIDE), ("a b", "aab", 0.9, "test")]
        data = write_data(tmp_path / "data", [*test, *((text, text, 0.9, "validation") for text in INSIDE)])
        result = tmp_path / "record.json"
        other = write_data(tmp_path / "other", outside)
        closed_grammar.main(["bundle", str(data), "--outside", str(other), "--result", str(result)])
        return json.loads(result.read_text())

    return run


def test_word_errors_and_rejected_clips_are_counted(run):
    record = run([("bab", "bab", 0.5, "train"), ("bb", "bbb", 0.6, "test"), ("ba", "a", 0.9, "test")])
    assert record["phrases"] == ["a", "a b", "b"]
    assert record["word_errors"]["greedy"] == pytest.approx(2 / 6)
    assert record["word_errors"]["clips"] == 4
    rejection = record["rejection"]["threshold_of_validation"]
    assert rejection["outside_rejected"] == pytest.approx(2 / 3)
    assert rejection["test_rejected"] == pytest.approx(1 / 4)
    assert record["rejection"]["outside_clips"] == 3


def test_a_clip_outside_whose_words_are_in_the_grammar_is_refused(run):
    with pytest.raises(DataError, match=r"'a b' is in the grammar; give clips of other words"):
        run([("a b", "a b", 0.9, "test")])
