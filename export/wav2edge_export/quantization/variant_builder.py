"""Makes each variant's graph from the fp32 graph, and opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.bundle.manifest import Variant
from wav2edge.inference.cpu import TARGETS
from wav2edge.inference.engine import Engine
from wav2edge_export.quantization.recipes import RECIPES, Level, Recipe


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


def build_graph(recipe: Recipe, source: Path, path: Path, *, parts: Mapping[str, Level], target: str) -> None:
    """Write the graph of a recipe; what converts it is imported only where a recipe needs it.

    Args:
        recipe: of any method but ``search``.
        source: the fp32 graph.
        path: the file to write.
        parts: the level of weight MatMuls whose names contain the key.
        target: one of ``wav2edge.inference.cpu.TARGETS``.

    Raises:
        ParityError: ONNX Runtime's tools left weights in floating point that were to be converted.
    """
    if recipe.method == "quantize":
        from wav2edge_export.quantization.weight_matmuls import assign, quantize_matmuls, weight_matmuls

        levels = assign(weight_matmuls(source), recipe.base, parts)
        quantize_matmuls(source, path, levels, target=TARGETS[target])
    elif recipe.method == "fp16":
        from wav2edge_export.quantization.fp16 import convert_to_fp16

        convert_to_fp16(source, path)
    elif source != path:
        path.write_bytes(source.read_bytes())
