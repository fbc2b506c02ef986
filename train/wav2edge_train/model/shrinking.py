"""Making a trained model smaller: fewer transformer layers, and a narrower feed-forward in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Wav2Vec2FeatureExtractor

from wav2edge.errors import UsageError
from wav2edge.output.progress import track
from wav2edge_train.checkpoint.families.family_table import layers_of
from wav2edge_train.data.clips import ClipDataset, Collator
from wav2edge_train.model.joint_model import JointModel

WIDTH_MULTIPLE = 16
"""Widths are a multiple of this, so that rows fill the vector registers of every processor."""

MEASURED_CLIPS = 256
"""Clips, spread evenly over the training split, on which the use of each unit is measured."""


def choose_layers(available: int, wanted: int, layers_from: str) -> tuple[int, ...]:
    """Which of the layers ``0 .. available - 1`` a shallower model starts from.

    Args:
        available: layers of the base.
        wanted: layers of the shallower model.
        layers_from: ``first`` takes the lowest; ``even`` takes the lowest, the highest, and others evenly spaced
            between them, as DistilBERT does (Sanh et al., arXiv:1910.01108).

    Raises:
        UsageError: the base has fewer layers.
    """
    if not 1 <= wanted <= available:
        raise UsageError(f"encoder_layers is {wanted}; the base has {available} layers, give 1 to {available}")
    if layers_from == "first" or wanted == 1:
        return tuple(range(wanted))
    return tuple(round(place * (available - 1) / (wanted - 1)) for place in range(wanted))


def keep_layers(model: JointModel, kept: Sequence[int]) -> None:
    """Remove all other transformer layers; the encoder's final layer norm stays."""
    layers = layers_of(model)
    model.backbone.set_submodule(model.family.layers, nn.ModuleList(layers[index] for index in kept))
    model.config.num_hidden_layers = len(kept)


def pruned_width(width: int, share: float) -> int:
    """The remaining width, rounded to a multiple of ``WIDTH_MULTIPLE``.

    Raises:
        UsageError: nothing or everything would be removed.
    """
    left = round(width * (1 - share) / WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    if not 0 < left < width:
        raise UsageError(
            f"prune_ffn is {share:g}; of a feed-forward width of {width} that leaves {left} in steps of"
            f" {WIDTH_MULTIPLE}, give another share"
        )
    return left


def prune_feed_forward(
    model: JointModel, clips: ClipDataset, extractor: Wav2Vec2FeatureExtractor, share: float
) -> None:
    """Remove the least used units from the feed-forward of each layer, the same number everywhere.

    The use of a unit is the root mean square of its activation on the clips, times the norm of its outgoing weights:
    the structured form of Sun et al., "A Simple and Effective Pruning Approach for Large Language Models"
    (arXiv:2306.11695), with the outgoing norm of He et al., "Reshaping deep neural network for fast decoding by
    node-pruning" (ICASSP 2014).

    Args:
        model: changed in place, its config too.
        clips: the clips on which use is measured.
        extractor: normalises their waveforms.
        share: of the width, between 0 and 1.

    Raises:
        UsageError: the share removes nothing or everything.
    """
    width = pruned_width(model.config.intermediate_size, share)
    blocks = feed_forwards(model)
    energies = activation_energies(model, blocks, clips, extractor)
    uses = [e.sqrt() * block.output_dense.weight.norm(dim=0) for block, e in zip(blocks, energies, strict=True)]
    keep_units(model, [use.topk(width).indices.sort().values for use in uses])


def keep_units(model: JointModel, kept: Sequence[torch.Tensor]) -> None:
    """Remove all other units from the feed-forward of each layer, the same number everywhere.

    Args:
        model: changed in place, its config too.
        kept: ``[width]`` int64 per layer, lowest layer first.
    """
    for block, units in zip(feed_forwards(model), kept, strict=True):
        _narrow(block, units)
    model.config.intermediate_size = len(kept[0])


@dataclass(frozen=True)
class FeedForward:
    """The two Linears of a feed-forward."""

    intermediate_dense: nn.Linear
    output_dense: nn.Linear


def feed_forwards(model: JointModel) -> list[FeedForward]:
    """The feed-forward blocks of each layer, lowest first."""
    return [
        FeedForward(layer.get_submodule(into), layer.get_submodule(out))
        for layer in layers_of(model)
        for into, out in model.family.feed_forwards
    ]


def activation_energies(
    model: JointModel, blocks: list[FeedForward], clips: ClipDataset, extractor: Wav2Vec2FeatureExtractor
) -> list[torch.Tensor]:
    """The mean square of each unit's activation over the frames of the clips, ``[width]`` float32 per block."""
    sums = [torch.zeros(block.intermediate_dense.out_features, device=model.device) for block in blocks]
    frames = 0
    step = max(1, len(clips) // MEASURED_CLIPS)
    chosen = range(0, len(clips), step)
    collate = Collator(extractor=extractor)
    training = model.training
    with _watching(blocks, sums), torch.no_grad():
        model.eval()
        for index in track(chosen, "measuring activations", len(chosen)):
            batch = collate([clips[index]])  # one by one, so that no padding counts
            values = batch["input_values"].to(model.device)
            frames += int(model.frame_counts(values, None))
            model(values)
        model.train(training)
    return [total / frames for total in sums]


@contextmanager
def _watching(blocks: list[FeedForward], sums: list[torch.Tensor]) -> Iterator[None]:
    """Accumulate the squared inputs of each block's outgoing weights in ``sums`` inside the ``with`` block."""

    def adder(total: torch.Tensor) -> Callable[[nn.Module, tuple[torch.Tensor]], None]:
        def add(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
            total.add_(inputs[0].square().sum(dim=(0, 1)))

        return add

    hooks = [
        block.output_dense.register_forward_pre_hook(adder(total)) for block, total in zip(blocks, sums, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _narrow(block: FeedForward, kept: torch.Tensor) -> None:
    into, out = block.intermediate_dense, block.output_dense
    into.weight, into.bias = nn.Parameter(into.weight[kept].detach()), nn.Parameter(into.bias[kept].detach())
    out.weight = nn.Parameter(out.weight[:, kept].detach().contiguous())
    into.out_features = out.in_features = len(kept)
