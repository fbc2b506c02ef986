"""The record of the trials on syllables: each with its command and its intervals."""

import json

import pytest

from benchmarks.records.accuracy import syllables
from benchmarks.records.command_recorder import CommandRecorder

REPORT = {"accuracy": 0.9, "clips": 100, "wer": 0.95, "confusion_matrix": {"labels": ["0"], "counts": [[0]]}}


@pytest.fixture
def commands(monkeypatch):
    seen = []

    def run(self, *words, accepted=(0,), limit_s=None):
        seen.append(list(map(str, words)))
        return json.dumps(REPORT)

    monkeypatch.setattr(CommandRecorder, "run", run)
    return seen


def trained(commands):
    return [words for words in commands if words[0] == "train"]


def test_a_trial_is_trained_once_and_evaluated_on_both_speakers(commands, tmp_path):
    done = tmp_path / "out/small"
    done.mkdir(parents=True)
    (done / "report.json").write_text("{}")
    arguments = [str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json")]
    syllables.main(arguments)
    assert [words[-1] for words in trained(commands)] == [str(tmp_path / "out/small-tones-only")]
    record = json.loads((tmp_path / "record.json").read_text())
    assert list(record["trials"]) == ["small", "small-tones-only"]
    assert (
        record["trials"]["small"]["training"] == "wav2edge train DATA --preset small --epochs 24 --output OUTPUT/small"
    )
    assert str(tmp_path) not in (tmp_path / "record.json").read_text()


def test_accuracy_has_its_interval_and_names_its_speakers(commands, tmp_path):
    arguments = [str(tmp_path), "--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json")]
    syllables.main(arguments)
    row = json.loads((tmp_path / "record.json").read_text())["trials"]["small"]["test"]
    low, high = row["accuracy_interval"]
    assert low == pytest.approx(0.8256, abs=1e-3)
    assert high == pytest.approx(0.9448, abs=1e-3)
    assert row["on"] == "unseen speaker"


def test_a_checkpoint_of_words_adds_a_trial_that_starts_from_it(tmp_path):
    assert list(syllables.trials(tmp_path)) == ["small", "small-tones-only", "medium-after-words"]
    assert syllables.trials(tmp_path)["medium-after-words"][:2] == ("--base", tmp_path)
