"""A corpus of whistled letters and a model small enough to train in seconds."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from transformers import Wav2Vec2Config

from tests.train.reference_run import rows_of_the_log
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.reporting import size_comparison
from wav2edge_train.reporting.training_rows import TrainingRow
from wav2edge_train.training import TrainingOutcome, train
from wav2edge_train.training_options import TrainingOptions

RATE_HZ = 16_000
LETTER_HZ = {"a": 500.0, "b": 1_500.0, "c": 3_000.0, " ": 0.0}
WORDS = ("ab", "ba", "c ab", "b c", "a a", "ca")


@pytest.fixture(autouse=True, scope="session")
def two_threads() -> Iterator[None]:
    """Tiny models lose time when every core joins in."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def quick_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few rounds of timing as there may be: tests look at everything but the times."""
    monkeypatch.setattr(size_comparison, "LONGEST_S", 0.0)


def whistle(text: str, *, letter_s: float = 0.12, seed: int = 0) -> npt.NDArray[np.float32]:
    """Each letter is a tone of its own, on a little noise."""
    times_s = np.arange(int(letter_s * RATE_HZ)) / RATE_HZ
    tones = np.concatenate([np.sin(2 * np.pi * LETTER_HZ[letter] * times_s) for letter in text])
    noise = np.random.default_rng(seed).standard_normal(len(tones))
    return np.asarray(0.3 * tones + 0.01 * noise, np.float32)


def word_starts_s(text: str, *, letter_s: float = 0.12) -> str:
    """When the words of a whistled clip begin, as a data set holds it."""
    places = (place for place, letter in enumerate(text) if letter != " " and (" " + text)[place] == " ")
    return " ".join(f"{place * letter_s:.3f}" for place in places)


Rows = Sequence[tuple[str, str, str]]


def write_corpus(folder: Path, rows: Rows, **how: float) -> Path:
    """A data set of whistled clips; rows are (split, transcription, label)."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "transcription", "label", "split", "word_starts_s"])
        for number, (split, text, label) in enumerate(rows):
            soundfile.write(folder / f"{number}.wav", whistle(text or "a", seed=number, **how), RATE_HZ)
            table.writerow([f"{number}.wav", text, label, split, word_starts_s(text, **how)])
    return folder


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., Path]:
    """A data set in a folder of the test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return lambda rows, **how: write_corpus(folder, rows, **how)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips to train on and six to validate on; the label tells whether there is a space."""
    rows = [(split, word, str(int(" " in word))) for split in ("train", "train", "validation") for word in WORDS]
    return write_corpus(tmp_path_factory.mktemp("corpus"), rows)


@pytest.fixture
def parser(request: pytest.FixtureRequest) -> ArgumentParser:
    """The command line of the ``COMMAND`` that the test's module imports."""
    parser = ArgumentParser()
    request.module.COMMAND.add_arguments(parser)
    return parser


def small_config(**fields: object) -> Wav2Vec2Config:
    """A wav2vec2 with seven thin convolutions and one thin block."""
    thin = {
        "conv_dim": (8, 8, 8, 8, 8, 8, 8),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
        "layerdrop": 0.0,
        "mask_time_prob": 0.1,
        "pad_token_id": 5,
        "vocab_size": 6,
        "num_labels": 3,
    }
    return Wav2Vec2Config(**{**thin, **fields})


@pytest.fixture
def config() -> Callable[..., Wav2Vec2Config]:
    """Makes small configs."""
    return small_config


@pytest.fixture
def base() -> BaseModel:
    """Somewhere to start training from."""
    return BaseModel(name="thin", config=small_config(), extractor=make_feature_extractor(layer_norm=True))


@pytest.fixture
def targets() -> Targets:
    """The vocabulary and labels of the corpus."""
    return Targets(vocabulary=Vocabulary(tokens=("|", "a", "b", "c", "[UNK]", "[PAD]")), labels=("0", "1"))


def quick_options(**fields: object) -> TrainingOptions:
    """Options for a handful of updates."""
    quick = {
        "max_steps": 4,
        "eval_steps": 2,
        "batch_size": 4,
        "accumulation": 1,
        "warmup_steps": 0,
        "freeze_feature_encoder": False,
    }
    return TrainingOptions.of(quick, fields)


@pytest.fixture
def options() -> Callable[..., TrainingOptions]:
    """Makes options for a handful of updates."""
    return quick_options


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingOutcome, list[str]]:
    """One finished run, and its log."""
    logged: list[str] = []
    base = BaseModel(name="thin", config=small_config(), extractor=make_feature_extractor(layer_norm=True))
    folder = tmp_path_factory.mktemp("runs") / "whistles"
    return train(corpus, folder, base=base, options=quick_options(), log=logged.append), logged


@pytest.fixture(scope="session")
def rows() -> tuple[TrainingRow, ...]:
    """The evaluations of the run behind the reference card."""
    return rows_of_the_log()
