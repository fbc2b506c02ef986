from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import Vocabulary
from wav2edge_train.model.base_model import build_model, checkpoint_base_model
from wav2edge_train.model.trained_heads import TrainedHeads, mismatched_heads
from wav2edge_train.training import TrainingOutcome, train
from wav2edge_train.training_options import TrainingOptions

LETTERS = Vocabulary(tokens=("|", "a", "b", "c", "[UNK]", "[PAD]"))
OTHER_LETTERS = Vocabulary(tokens=("|", "x", "y", "z", "[UNK]", "[PAD]"))


@pytest.mark.slow  # trains a base
def test_a_head_of_the_same_width_does_not_keep_weights_of_another_meaning(
    run: tuple[TrainingOutcome, list[str]], options: Callable[..., TrainingOptions]
) -> None:
    base = checkpoint_base_model(str(run[0].folder))
    assert base.heads == TrainedHeads(vocabulary=LETTERS.tokens, labels=("0", "1"))
    same, other = (
        build_model(base, Targets(vocabulary=vocabulary, labels=labels), options(), shortest_frames=18)
        for vocabulary, labels in ((LETTERS, ("0", "1")), (OTHER_LETTERS, ("no", "yes")))
    )
    for name in ("lm_head.weight", "classifier.weight"):
        assert same.get_parameter(name).shape == other.get_parameter(name).shape
        assert not torch.equal(same.get_parameter(name), other.get_parameter(name))
    name = "wav2vec2.encoder.layers.0.attention.q_proj.weight"
    assert torch.equal(same.get_parameter(name), other.get_parameter(name))


@pytest.mark.slow  # trains a base, and from it
def test_a_base_of_another_vocabulary_is_logged_in_one_line_per_head(
    run: tuple[TrainingOutcome, list[str]],
    make_corpus: Callable[..., Path],
    options: Callable[..., TrainingOptions],
    tmp_path: Path,
) -> None:
    folder = make_corpus([("train", "ab", "yes"), ("train", "ba", "no"), ("validation", "ab", "no")])
    logged: list[str] = []
    base = checkpoint_base_model(str(run[0].folder))
    train(folder, tmp_path / "run", base=base, options=options(max_steps=1), log=logged.append)
    assert f"fine-tuned version of `{run[0].folder.name}`" in (tmp_path / "run" / "README.md").read_text()
    messages = [line.partition(": ")[2] for line in logged if "is re-initialised" in line]
    assert messages == [
        "its vocabulary of 6 tokens differs from the data's 5; the CTC head is re-initialised",
        "its labels are 0, 1, the data's no, yes; the classifier is re-initialised",
    ]


@pytest.mark.parametrize("heads", [TrainedHeads(), TrainedHeads(vocabulary=LETTERS.tokens, labels=("0", "1"))])
def test_heads_that_are_absent_or_fit_are_not_mentioned(heads: TrainedHeads) -> None:
    assert mismatched_heads("base", heads, Targets(vocabulary=LETTERS, labels=("0", "1"))) == {}
