"""Precision recipes: a table from a name to how the graph is made and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from wav2edge.errors import ParityError
from wav2edge.parity.budget import Budget
from wav2edge_export.quiet import quiet_exporters

WEIGHT_OPERATOR = "MatMul"
"""Gemm is left alone: it is the classifier, one product a clip."""
FEWEST_TERMS = 16
QUANTIZED_OPERATOR = "MatMulInteger"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one precision is made from the fp32 graph.

    ``suffix`` follows the file names of transformers.js; ``golden_tolerance`` is how far, relative to the largest
    output, another processor may be from the golden outputs. ``attempts`` are the parts of the graph to leave in
    floating point, as its nodes' names hold them: one after the other is tried until the budget is kept.
    """

    suffix: str
    build: Callable[[Path, Path, Sequence[str]], None]
    budget: Budget
    golden_tolerance: float
    attempts: Sequence[Sequence[str]] = ((),)

    @property
    def file(self) -> str:
        """Where the graph stands in a bundle."""
        return f"onnx/model{self.suffix}.onnx"


def keep_fp32(source: Path, target: Path, in_float: Sequence[str] = ()) -> None:
    """The exported graph is the fp32 variant."""
    if source != target:
        target.write_bytes(source.read_bytes())


def quantize_int8(source: Path, target: Path, in_float: Sequence[str] = ()) -> None:
    """8-bit weights, symmetric and per channel; 8-bit activations, scaled anew for each clip.

    Products of a few terms stay in floating point: that is the first convolution, which weighs nothing, and whose
    input is the waveform, where eight bits for the loudest sample leave two or three for the quiet ones.

    Raises:
        ParityError: ONNX Runtime left a product in floating point that was to be quantised.
    """
    intended = [name for name in weight_products(source) if not any(part in name for part in in_float)]
    with quiet_exporters():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=[WEIGHT_OPERATOR],
            nodes_to_quantize=intended,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    nodes = onnx.load(str(target), load_external_data=False).graph.node
    quantized = sum(node.op_type == QUANTIZED_OPERATOR for node in nodes)
    if quantized != len(intended):
        raise ParityError(
            f"int8: {quantized} products were quantised where {len(intended)} were intended;"
            " this version of ONNX Runtime's quantiser skips some: install the one in constraints.txt"
        )


def weight_products(path: Path) -> list[str]:
    """Names of a graph's matrix products with constant weights and enough terms to be worth eight bits."""
    graph = onnx.load(str(path), load_external_data=False).graph
    terms = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims) == 2}
    return [
        node.name
        for node in graph.node
        if node.op_type == WEIGHT_OPERATOR and terms.get(node.input[1], 0) >= FEWEST_TERMS
    ]


RECIPES = {
    "fp32": Recipe(
        suffix="",
        build=keep_fp32,
        budget=Budget(absolute_error=1e-4, changed_answers=0.0),
        golden_tolerance=1e-3,
    ),
    "int8": Recipe(
        suffix="_quantized",
        build=quantize_int8,
        budget=Budget(relative_error=0.25, wer_increase=0.005, accuracy_drop=0.005),
        golden_tolerance=0.1,
        # Group-norm encoders (wav2vec2-base) spread a clip's loud and quiet frames so far apart that eight bits for
        # both lose the quiet ones; layer-norm encoders (XLSR) bring every frame to one scale.
        attempts=((), ("/feature_extractor/",)),
    ),
}
"""Every precision this project can make."""
