"""Precision recipes: a table from a name to how the graph is made and what it may cost, and the making of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.bundle.manifest import Variant
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.inference.engine import Engine
from wav2edge.inference.sessions.cpu import TARGETS

Level: TypeAlias = Literal["int4", "int8", "int8 by row", "float"]
"""What a weight MatMul may be computed in; by row, each row of its activations has a scale of its own."""
QUANTIZED: tuple[Level, ...] = ("int4", "int8")
LEVELS: tuple[Level, ...] = (*QUANTIZED, "float")
"""Those that a search chooses from."""
IN_INT8: frozenset[Level] = frozenset({"int8", "int8 by row"})
Method: TypeAlias = Literal["copy", "quantize", "fp16", "search"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one precision is made from the fp32 graph.

    Attributes:
        suffix: of the file's name, as transformers.js has them.
        summary: what the precision is for, for help and cards.
        method: ``copy`` of the fp32 graph; ``quantize`` its weight MatMuls; convert to ``fp16``; or ``search`` for the
            level of each layer, see ``mixed_precision.search``.
        budget: how far the variant may be from the original.
        golden_tolerance: how far, relative to the largest output, another processor may be from the golden outputs.
        base: the level of weight MatMuls that no part names.
        attempts: parts of the graph to leave at another level than ``base``; one attempt after the other is made until
            the budget is kept.
        note: logged when it is made.
    """

    suffix: str
    summary: str
    method: Method
    budget: Budget
    golden_tolerance: float
    base: Level = "float"
    attempts: Sequence[Mapping[str, Level]] = ({},)
    note: str | None = None

    @property
    def file(self) -> str:
        """Path of the graph in a bundle."""
        return f"onnx/model{self.suffix}.onnx"

    def has_int8(self, parts: Mapping[str, Level]) -> bool:
        """Whether a variant with these parts holds int8 MatMuls, which are made for a kind of processor."""
        return not IN_INT8.isdisjoint((self.base, *parts.values()))

    def attempts_for(self, *, batched: bool) -> Sequence[Mapping[str, Level]]:
        """The attempts; for batched graphs only those without int8 MatMuls, so there may be none.

        One scale serves an int8 MatMul's activations over the whole batch: next to a louder neighbour the logits of
        tiny models moved by 0.22 of the largest one with layer norm, and by more than its size with group norm.
        """
        return [parts for parts in self.attempts if not (batched and self.has_int8(parts))]

    def attempts_on(self, graph: Path, *, batched: bool = False) -> Sequence[Mapping[str, Level]]:
        """The attempts with those parts that a graph has; two that then come to the same are one."""
        attempts = self.attempts_for(batched=batched)
        if self.method != "quantize":
            return attempts
        from wav2edge_export.quantization.weight_matmuls import weight_matmuls

        names = [matmul.name for matmul in weight_matmuls(graph)]
        found: list[Mapping[str, Level]] = []
        for parts in attempts:
            present = {part: level for part, level in parts.items() if any(part in name for name in names)}
            if present not in found:
                found.append(present)
        return found


ENCODER = "/feature_extractor/"
"""Group-norm encoders (wav2vec2-base) spread a clip's loud and quiet frames so far apart that eight bits for both lose
the quiet ones; layer-norm encoders (XLSR) bring every frame to one scale."""
ENDS: Mapping[str, Level] = dict.fromkeys((ENCODER, "/feature_projection/", "/lm_head/", "/projector/"), "int8")
"""First and last layers: 1.5 % of XLSR-53's weights. On a trained model of 1.2 M parameters int8 for them took the
divergence of the posteriors from 9.1 to 0.7 thousandths of a nat; int8 everywhere leaves 0.2."""

FLOAT_ENDS: Mapping[str, Level] = dict.fromkeys(ENDS, "float")
"""At base shape with random weights, a Conformer is off by 0.021 of its logits with the feature projection alone in
int8, and by 0.012 with the CTC head."""
LARGEST: Mapping[str, Level] = {f"{ENCODER}layers.1/": "int8 by row"}
"""The second convolution, half of an encoder's arithmetic. At base shape with random weights, WavLM's logits are off by
0.022 of their root mean square with its encoder in float, by 0.025 with this one by row, 0.027 with the next one too,
0.037 with all in plain int8, and Optimum's by 0.029."""
TWO_LARGEST: Mapping[str, Level] = {**LARGEST, f"{ENCODER}layers.2/": "int8 by row"}
"""The next one, too, which takes an eighth of the time away: HuBERT is then off by 0.031, as Optimum's HuBERT is."""
FLOAT_POSITIONS: Mapping[str, Level] = {"/pos_conv_embed/layers.": "float"}
"""Data2Vec's stack of positional convolutions, each of which rounds what the one below has rounded."""
FLOAT_MODULES: Mapping[str, Level] = {"/conv_module/": "float"}
"""The Conformer's convolution modules: at base shape with random weights, its logits are off by 0.081 of their root
mean square with these in int8, by 0.038 with these in float, and Optimum's by 0.035."""

RECIPES = {
    "fp32": Recipe(
        suffix="",
        summary="as exported",
        method="copy",
        budget=Budget(absolute_error=1e-4, changed_results=0.0),
        golden_tolerance=1e-3,
    ),
    "int8": Recipe(
        suffix="_quantized",
        summary="a quarter of the bytes, the fastest on a CPU",
        method="quantize",
        base="int8",
        budget=Budget(
            relative_error=0.25, wer_increase=0.003, accuracy_drop=0.003, embedding_distance=0.02, allowed_changes=1
        ),
        golden_tolerance=0.1,
        attempts=(
            {},
            {**TWO_LARGEST, **FLOAT_ENDS, **FLOAT_POSITIONS},
            {**LARGEST, **FLOAT_ENDS, **FLOAT_POSITIONS},
            {**LARGEST, **FLOAT_ENDS, **FLOAT_POSITIONS, **FLOAT_MODULES},
            {**FLOAT_ENDS, **FLOAT_POSITIONS, **FLOAT_MODULES},
        ),
    ),
    "int4": Recipe(
        suffix="_q4",
        summary="a seventh of the bytes, slower than int8",
        method="quantize",
        base="int4",
        # The logits' limit only stops nonsense, clips decide: 0.08 for the trained model, but 0.53 for random weights
        # of XLSR-53's shape, at a clip of one frame.
        budget=Budget(
            relative_error=0.75, wer_increase=0.003, accuracy_drop=0.003, embedding_distance=0.1, allowed_changes=1
        ),
        golden_tolerance=0.1,
        attempts=(ENDS, FLOAT_ENDS),
    ),
    "fp16": Recipe(
        suffix="_fp16",
        summary="half the bytes, for GPUs",
        method="fp16",
        budget=Budget(
            relative_error=0.02, wer_increase=0.003, accuracy_drop=0.003, embedding_distance=0.005, allowed_changes=1
        ),
        golden_tolerance=0.02,
        note="faster on GPUs only: on a CPU, ONNX Runtime computes its MatMuls in fp32",
    ),
    "auto": Recipe(
        suffix="_auto",
        summary="int4, int8 and float layer by layer, as fast, or as small, as its budget allows",
        method="search",
        base="int8",
        # Nothing is forgiven: a search can always leave one more layer in floating point.
        budget=Budget(relative_error=0.25, wer_increase=0.003, accuracy_drop=0.003, embedding_distance=0.02),
        golden_tolerance=0.1,
    ),
}
"""Every precision that an export can make."""


@dataclass(frozen=True, kw_only=True)
class VariantBuilder:
    """Where the graphs of one export are, and what they have in common.

    Attributes:
        folder: of the bundle that is being written; it holds the fp32 graph.
        heads: what the outputs mean.
        geometry: how samples become frames.
        operators: what the fp32 graph was rewritten to.
        target: the kind of processor that int8 MatMuls are made for.
        batched: the graphs take an attention mask next to the samples.
    """

    folder: Path
    heads: Heads
    geometry: ConvGeometry
    operators: str
    target: str
    batched: bool

    @property
    def source(self) -> Path:
        """The fp32 graph."""
        return self.path("fp32")

    def path(self, precision: str) -> Path:
        """The file of a variant."""
        return self.folder / RECIPES[precision].file

    def build(self, precision: str, parts: Mapping[str, Level]) -> None:
        """Write a variant's graph with some parts at other levels than the recipe's base.

        Args:
            precision: a recipe whose method is not ``search``.
            parts: the level of weight MatMuls whose names contain the key.

        Raises:
            ParityError: ONNX Runtime's tools left weights in floating point that were to be converted.
        """
        build_graph(RECIPES[precision], self.source, self.path(precision), parts=parts, target=self.target)

    def open(self, graph: Path) -> Engine:
        """An engine of a graph that this builder wrote, on the CPU."""
        return Engine.from_graph(graph, heads=self.heads, geometry=self.geometry, batched=self.batched)

    def variant(self, precision: str, *, has_int8: bool) -> Variant:
        """The manifest's entry of a variant."""
        return Variant(
            file=RECIPES[precision].file,
            precision=precision,
            operators=self.operators,
            target=self.target if has_int8 else None,
            batched=self.batched,
        )


def _copy(recipe: Recipe, source: Path, path: Path, parts: Mapping[str, Level], target: str) -> None:
    if source != path:
        path.write_bytes(source.read_bytes())


def _quantize(recipe: Recipe, source: Path, path: Path, parts: Mapping[str, Level], target: str) -> None:
    from wav2edge_export.quantization.weight_matmuls import assign, quantize_matmuls, weight_matmuls

    levels = assign(weight_matmuls(source), recipe.base, parts)
    quantize_matmuls(source, path, levels, target=TARGETS[target])


def _convert_to_fp16(recipe: Recipe, source: Path, path: Path, parts: Mapping[str, Level], target: str) -> None:
    from wav2edge_export.quantization.fp16 import convert_to_fp16

    convert_to_fp16(source, path)


_MAKERS: Mapping[Method, Callable[[Recipe, Path, Path, Mapping[str, Level], str], None]] = {
    "copy": _copy,
    "quantize": _quantize,
    "fp16": _convert_to_fp16,
}
"""How each method makes the graph of a recipe; what it needs is imported only then. A search makes several."""


def build_graph(recipe: Recipe, source: Path, path: Path, *, parts: Mapping[str, Level], target: str) -> None:
    """Write the graph of a recipe.

    Args:
        recipe: of any method but ``search``.
        source: the fp32 graph.
        path: the file to write.
        parts: the level of weight MatMuls whose names contain the key.
        target: one of ``wav2edge.inference.sessions.cpu.TARGETS``.

    Raises:
        ParityError: ONNX Runtime's tools left weights in floating point that were to be converted.
    """
    _MAKERS[recipe.method](recipe, source, path, parts, target)
