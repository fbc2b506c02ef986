"""A shallower model out of a deep one: which transformer layers stay, and taking the others out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from wav2edge.errors import UsageError
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC


def choose_layers(there: int, wanted: int, layers_from: str) -> tuple[int, ...]:
    """Which of the layers ``0 .. there - 1`` a shallower model starts from.

    Args:
        there: layers of the base.
        wanted: layers of the shallower model.
        layers_from: ``first`` takes the lowest, ``even`` takes the lowest, the highest, and some evenly between them,
            as DistilBERT does (Sanh et al., arXiv:1910.01108).

    Raises:
        UsageError: the base has fewer layers.
    """
    if not 1 <= wanted <= there:
        raise UsageError(f"encoder_layers is {wanted}; the base has {there} layers, give 1 to {there}")
    if layers_from == "first" or wanted == 1:
        return tuple(range(wanted))
    return tuple(round(place * (there - 1) / (wanted - 1)) for place in range(wanted))


def keep_layers(model: Wav2Vec2ForJointCTC, kept: Sequence[int]) -> None:
    """Take every other transformer layer out; the encoder's final layer norm stays."""
    encoder = cast(Any, model.wav2vec2.encoder)
    encoder.layers = nn.ModuleList(encoder.layers[index] for index in kept)
    model.config.num_hidden_layers = len(kept)
