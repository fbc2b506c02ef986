"""The vocabulary and labels of a base's heads, and which heads do not fit the data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn
from transformers import PretrainedConfig
from transformers.utils.hub import cached_file

from wav2edge_train.data.clips import Targets
from wav2edge_train.model.joint_model import JointModel

SHOWN = 6
"""How many labels a message lists."""


@dataclass(frozen=True, kw_only=True)
class TrainedHeads:
    """Tokens by column of a base's CTC head, and labels of its classifier; None where absent or unknown."""

    vocabulary: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None


def trained_heads(source: str, config: PretrainedConfig) -> TrainedHeads:
    """The vocabulary and labels in a checkpoint's files.

    Args:
        source: a local folder, or a name on the Hub.
        config: the config of that checkpoint.
    """
    names = " ".join(config.architectures or [])
    meanings = config.id2label or {}
    labels = tuple(str(meanings[column]) for column in sorted(meanings))
    return TrainedHeads(
        vocabulary=_tokens(source, config.vocab_size) if "CTC" in names else None,
        labels=labels if "SequenceClassification" in names or "classification" in _joint_heads(config) else None,
    )


def _joint_heads(config: PretrainedConfig) -> list[str]:
    return getattr(config, "joint_heads", [])


def _tokens(source: str, width: int) -> tuple[str, ...] | None:
    """The tokens of ``vocab.json`` by column; None where it is missing, or does not cover the head."""
    found = cached_file(source, "vocab.json", _raise_exceptions_for_missing_entries=False)
    try:
        columns = json.loads(Path(found or "").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    tokens = {column: token for token, column in columns.items()}
    return tuple(tokens[column] for column in range(width)) if sorted(tokens) == list(range(width)) else None


def mismatched_heads(name: str, heads: TrainedHeads, targets: Targets) -> dict[str, str]:
    """The heads of a base that do not fit the targets, each with a message.

    Args:
        name: the name of the base.
        heads: its vocabulary and labels.
        targets: those of the training data.
    """
    found = {}
    if targets.vocabulary is not None and heads.vocabulary not in (None, targets.vocabulary.tokens):
        found["lm_head"] = (
            f"{name}: its vocabulary of {len(heads.vocabulary or ())} tokens differs from the data's"
            f" {len(targets.vocabulary.tokens)}; the CTC head is re-initialised"
        )
    if targets.labels is not None and heads.labels not in (None, targets.labels):
        found["classifier"] = (
            f"{name}: its labels are {_listed(heads.labels or ())}, the data's {_listed(targets.labels)};"
            " the classifier is re-initialised"
        )
    return found


def reinitialize_heads(model: JointModel, names: dict[str, str]) -> None:
    """Give these heads random weights; with an equal width they would keep weights of another meaning.

    Those of transformers, whose own function leaves weights as they are that came from a checkpoint.
    """
    for name in names:
        head = cast(nn.Linear, model.get_submodule(name))
        nn.init.normal_(head.weight, std=model.config.initializer_range)
        nn.init.zeros_(head.bias)


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")
