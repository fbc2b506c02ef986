"""A narrower feed-forward in every transformer layer: the units that the clips use least are taken out for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from transformers import Wav2Vec2FeatureExtractor

from wav2edge.errors import UsageError
from wav2edge.output.progress import track
from wav2edge_train.data.clips import ClipDataset, Collator
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

WIDTH_MULTIPLE = 16
"""Widths stay a multiple of this, so that rows fill the vector registers of every processor."""

MEASURED_CLIPS = 256
"""How many clips, spread evenly over the training split, tell how much a unit is used."""


def pruned_width(width: int, share: float) -> int:
    """The width that is left, to the nearest multiple of ``WIDTH_MULTIPLE``.

    Raises:
        UsageError: nothing or everything would be taken out.
    """
    left = round(width * (1 - share) / WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    if not 0 < left < width:
        raise UsageError(
            f"prune_ffn is {share:g}; of a feed-forward width of {width} that leaves {left} in steps of"
            f" {WIDTH_MULTIPLE}, give another share"
        )
    return left


def prune_feed_forward(
    model: Wav2Vec2ForJointCTC, clips: ClipDataset, extractor: Wav2Vec2FeatureExtractor, share: float
) -> None:
    """Take the least used units out of the feed-forward of each layer, the same number everywhere.

    A unit's use is the root mean square of its activation on the clips, times the norm of the weights it goes out by:
    the structured form of Sun et al., "A Simple and Effective Pruning Approach for Large Language Models"
    (arXiv:2306.11695), with the outgoing norm of He et al., "Reshaping deep neural network for fast decoding by
    node-pruning" (ICASSP 2014).

    Args:
        model: changed in place, its config too.
        clips: where use is measured.
        extractor: prepares their waveforms.
        share: of the width, between 0 and 1.

    Raises:
        UsageError: the share takes out nothing or everything.
    """
    width = pruned_width(model.config.intermediate_size, share)
    blocks = feed_forwards(model)
    energies = activation_energies(model, blocks, clips, extractor)
    uses = [e.sqrt() * block.output_dense.weight.norm(dim=0) for block, e in zip(blocks, energies, strict=True)]
    keep_units(model, [use.topk(width).indices.sort().values for use in uses])


def keep_units(model: Wav2Vec2ForJointCTC, kept: Sequence[torch.Tensor]) -> None:
    """Take out of each layer's feed-forward all units but these, the same number everywhere.

    Args:
        model: changed in place, its config too.
        kept: ``[width]`` int64 a layer, lowest layer first.
    """
    for block, units in zip(feed_forwards(model), kept, strict=True):
        _narrow(block, units)
    model.config.intermediate_size = len(kept[0])


def feed_forwards(model: Wav2Vec2ForJointCTC) -> list[Any]:
    """The feed-forward block of each layer, lowest first."""
    return [layer.feed_forward for layer in cast("Iterable[Any]", model.wav2vec2.encoder.layers)]


def activation_energies(
    model: Wav2Vec2ForJointCTC, blocks: list[Any], clips: ClipDataset, extractor: Wav2Vec2FeatureExtractor
) -> list[torch.Tensor]:
    """The mean square of each unit's activation over the frames of the clips, ``[width]`` float32 a block."""
    sums = [torch.zeros(block.intermediate_dense.out_features, device=model.device) for block in blocks]
    frames = 0
    step = max(1, len(clips) // MEASURED_CLIPS)
    chosen = range(0, len(clips), step)
    collate = Collator(extractor=extractor)
    training = model.training
    with _watching(blocks, sums), torch.no_grad():
        model.eval()
        for index in track(chosen, "measuring use", len(chosen)):
            batch = collate([clips[index]])  # alone, so that no padding counts
            values = batch["input_values"].to(model.device)
            frames += int(model.frame_counts(values, None))
            model(values)
        model.train(training)
    return [total / frames for total in sums]


@contextmanager
def _watching(blocks: list[Any], sums: list[torch.Tensor]) -> Iterator[None]:
    """Add the squares of what enters each block's outgoing weights to ``sums`` inside the block."""

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


def _narrow(block: Any, kept: torch.Tensor) -> None:
    into, out = block.intermediate_dense, block.output_dense
    into.weight, into.bias = nn.Parameter(into.weight[kept].detach()), nn.Parameter(into.bias[kept].detach())
    out.weight = nn.Parameter(out.weight[:, kept].detach().contiguous())
    into.out_features = out.in_features = len(kept)
