from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance
from wav2edge_train.data.clips import Example, Targets
from wav2edge_train.data.data_warnings import data_warnings, length_warnings
from wav2edge_train.data.vocabulary import build_vocabulary
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions

TARGETS = Targets(vocabulary=None, labels=("0", "1"))


def row(path: Path | str, split: str, label: str = "0", speaker: str | None = None, text: str = "a") -> Utterance:
    return Utterance(path=Path(path), where="m:1", transcription=text, label=label, split=split, speaker=speaker)


def clip(folder: Path, name: str, seed: int) -> Path:
    path = folder / name
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 4_000).astype(np.float32), 16_000)
    return path


def test_the_same_audio_in_two_splits_is_named_whatever_its_file_is_called(tmp_path: Path) -> None:
    rows = [
        row(clip(tmp_path, "a.wav", 1), "train"),
        row(clip(tmp_path, "b.wav", 2), "train", label="1"),
        row(clip(tmp_path, "c.wav", 1), "validation"),
        row(clip(tmp_path, "d.wav", 3), "validation", label="1"),
        row(clip(tmp_path, "e.wav", 2), "test"),
    ]
    assert data_warnings(rows, TARGETS) == [
        "the same audio in train and validation, which flatters the figures: a.wav = c.wav",
        "the same audio in train and test, which flatters the figures: b.wav = e.wav",
    ]
    assert data_warnings([*rows[:2], rows[3]], Targets(vocabulary=None, labels=("1",))) == []


def test_audio_that_a_split_has_twice_is_named(tmp_path: Path) -> None:
    twice = row(clip(tmp_path, "a.wav", 1), "train")
    copies = [row(clip(tmp_path, f"{number}.wav", 2), "validation", label="1") for number in range(5)]
    rows = [twice, twice, row(clip(tmp_path, "b.wav", 3), "train", label="1"), *copies]
    assert data_warnings(rows, Targets(vocabulary=None, labels=("1",))) == [
        "the same audio more than once in train, where it counts each time: a.wav = a.wav",
        "the same audio more than once in validation, where it counts each time: 0.wav = 1.wav, 0.wav = 2.wav,"
        " 0.wav = 3.wav and 1 more",
    ]


def test_a_single_class_is_named_because_its_accuracy_says_nothing() -> None:
    rows = [row("x", "train"), row("y", "train"), row("z", "validation")]
    (found,) = data_warnings(rows, Targets(vocabulary=None, labels=("0",)))
    assert found.startswith("every training clip is of the class 0, so that accuracy says nothing")
    assert data_warnings(rows, Targets(vocabulary=build_vocabulary(rows[:2]), labels=None)) == []


def test_a_speaker_on_both_sides_is_named_and_many_are_counted() -> None:
    rows = [row("x", split, str(n % 2), f"s{n}") for split in ("train", "validation") for n in range(5)]
    (found,) = data_warnings(rows, TARGETS)
    assert found.startswith("speakers in train and validation")
    assert found.endswith(": s0, s1, s2 and 2 more")


def test_classes_missing_from_a_split_are_named() -> None:
    rows = [row("x", "train", "0"), row("y", "train", "1"), row("z", "validation", "0"), row("w", "test", "7")]
    assert data_warnings(rows, TARGETS) == [
        "classes without a validation clip, for which the figures are 0: 1",
        "classes in test that training does not have, and that can never be predicted: 7",
    ]


def test_a_script_without_spaces_makes_each_transcription_a_word() -> None:
    rows = [row("x", "train", text="北京"), row("y", "train", text="上海"), row("z", "validation", text="北海")]
    targets = Targets(vocabulary=build_vocabulary(rows[:2]), labels=None)
    assert data_warnings(rows, targets) == ["no transcription has a space: WER counts each of them as one word"]
    words = [row("x", "train", text="yes"), row("y", "train", text="no"), rows[2]]
    assert data_warnings(words, Targets(vocabulary=build_vocabulary(words[:2]), labels=None)) == []
    spaced = [row("x", "train", text="bei jing"), *rows[1:]]
    assert data_warnings(spaced, targets) == []


def test_clips_of_a_twentieth_of_a_second_and_of_a_minute_are_named() -> None:
    examples = [
        Example(samples=np.zeros(samples, np.float32), where=f"m:{line}")
        for line, samples in enumerate((800, 16_000, 960_000), start=2)
    ]
    short, long = length_warnings(examples)
    assert short.endswith("m:2 (0.05 s)")
    assert long.endswith("m:4 (60.00 s)")
    assert length_warnings(examples[1:2]) == []


@pytest.mark.slow  # trains a model
def test_every_run_logs_warnings_and_a_class_missing_from_training_ends_it(
    make_corpus: Callable[..., Path], base: BaseModel, options: Callable[..., TrainingOptions], tmp_path: Path
) -> None:
    folder = make_corpus([("train", "ab", "0"), ("train", "ba", "1"), ("validation", "ab", "0")])
    logged: list[str] = []
    train(folder, tmp_path / "run", base=base, options=options(max_steps=1), log=logged.append)
    assert logged[0] == "warning: classes without a validation clip, for which the figures are 0: 1"

    make_corpus([("train", "ab", "0"), ("validation", "ba", "3")])
    with pytest.raises(DataError, match=r"csv:3: label '3', which the training split does not have; known are 0"):
        train(folder, tmp_path / "other", base=base, options=options(max_steps=1), log=logged.append)
