"""Precision recipes: a table from a name to how the graph is made and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from wav2edge.evaluation.parity.budget import Budget
from wav2edge.inference.cpu import Target
from wav2edge_export.quantization.fp16 import convert_to_half
from wav2edge_export.quantization.weight_matmuls import Level, assign, quantize_products, weight_products


class Build(Protocol):
    """Makes a variant from the fp32 graph; ``parts`` of it, as its nodes' names hold them, at a level of their own."""

    def __call__(self, source: Path, path: Path, *, parts: Mapping[str, Level], target: Target) -> None:
        """Write the variant to ``path``; ``target`` is what 8-bit products are made for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one precision is made from the fp32 graph.

    ``suffix`` follows the file names of transformers.js. ``build`` is None where the level of each layer is searched
    for, see ``mixed_precision.search``. ``golden_tolerance`` is how far, relative to the largest output, another
    processor may be from the golden outputs. ``attempts`` are the parts of the graph to leave at a higher level than
    ``base``: one after the other is tried until the budget is kept. ``note`` is said when it is made.
    """

    suffix: str
    build: Build | None
    budget: Budget
    golden_tolerance: float
    base: Level = "float"
    attempts: Sequence[Mapping[str, Level]] = ({},)
    note: str | None = None

    @property
    def file(self) -> str:
        """Where the graph stands in a bundle."""
        return f"onnx/model{self.suffix}.onnx"

    def is_targeted(self, parts: Mapping[str, Level]) -> bool:
        """It holds 8-bit products, which are made for a kind of processor."""
        return "int8" in (self.base, *parts.values())

    def attempts_for(self, *, batched: bool) -> Sequence[Mapping[str, Level]]:
        """The attempts; for batches without those that hold 8-bit products, so that there may be none.

        One scale serves an 8-bit product's activations over the whole batch: beside a louder neighbour the logits of
        tiny models moved by 0.22 of the largest one with layer norm, and by more than its size with group norm.
        """
        return [parts for parts in self.attempts if not (batched and self.is_targeted(parts))]


def keep_fp32(source: Path, path: Path, *, parts: Mapping[str, Level], target: Target) -> None:
    """The exported graph is the fp32 variant."""
    if source != path:
        path.write_bytes(source.read_bytes())


def make_half(source: Path, path: Path, *, parts: Mapping[str, Level], target: Target) -> None:
    """The graph in half precision, but for what half precision cannot hold."""
    convert_to_half(source, path)


def _quantize(base: Level, source: Path, path: Path, *, parts: Mapping[str, Level], target: Target) -> None:
    """Every weight product at the base level, those of ``parts`` at theirs."""
    quantize_products(source, path, assign(weight_products(source), base, parts), target=target)


ENCODER = "/feature_extractor/"
"""Group-norm encoders (wav2vec2-base) spread a clip's loud and quiet frames so far apart that eight bits for both lose
the quiet ones; layer-norm encoders (XLSR) bring every frame to one scale."""
ENDS: Mapping[str, Level] = dict.fromkeys((ENCODER, "/feature_projection/", "/lm_head/", "/projector/"), "int8")
"""What hears the waveform and what gives the answer: 1.5 % of XLSR-53's weights. On a trained model of 1.2 M parameters
8 bits for them took the divergence of the answers from 9.1 to 0.7 thousandths of a nat; 8 bits everywhere leave 0.2."""

RECIPES = {
    "fp32": Recipe(
        suffix="",
        build=keep_fp32,
        budget=Budget(absolute_error=1e-4, changed_results=0.0),
        golden_tolerance=1e-3,
    ),
    "int8": Recipe(
        suffix="_quantized",
        base="int8",
        build=partial(_quantize, "int8"),
        budget=Budget(relative_error=0.25, wer_increase=0.003, accuracy_drop=0.003, allowed_changes=1),
        golden_tolerance=0.1,
        attempts=({}, {ENCODER: "float"}),
    ),
    "int4": Recipe(
        suffix="_q4",
        base="int4",
        build=partial(_quantize, "int4"),
        # A guard against nonsense, clips are the judge: 0.08 for the trained model, but 0.53 for random weights of
        # XLSR-53's shape, at a clip of one frame.
        budget=Budget(relative_error=0.75, wer_increase=0.003, accuracy_drop=0.003, allowed_changes=1),
        golden_tolerance=0.1,
        attempts=(ENDS, dict.fromkeys(ENDS, "float")),
    ),
    "fp16": Recipe(
        suffix="_fp16",
        build=make_half,
        budget=Budget(relative_error=0.02, wer_increase=0.003, accuracy_drop=0.003, allowed_changes=1),
        golden_tolerance=0.02,
        note="its speed is for GPUs: on a CPU, ONNX Runtime computes its products in fp32",
    ),
    "auto": Recipe(
        suffix="_auto",
        base="int8",
        build=None,
        # No change is allowed: a search can always leave one more layer in floating point.
        budget=Budget(relative_error=0.25, wer_increase=0.003, accuracy_drop=0.003),
        golden_tolerance=0.1,
    ),
}
"""Every precision this project can make."""
