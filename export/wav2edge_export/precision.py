"""Precision recipes: a table from a name to how the graph is made and what it may cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from wav2edge.errors import ParityError
from wav2edge_export.budget import Budget
from wav2edge_export.quiet import quiet_exporters

WEIGHT_OPERATORS = ("MatMul", "Gemm")
FEWEST_TERMS = 16
QUANTIZED_OPERATORS = ("MatMulInteger", "DynamicQuantizeMatMul")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one precision is made from the fp32 graph.

    ``suffix`` follows the file names of transformers.js; ``golden_tolerance`` is how far, relative to the largest
    output, another processor may be from the golden outputs.
    """

    suffix: str
    build: Callable[[Path, Path], None]
    budget: Budget
    golden_tolerance: float

    @property
    def file(self) -> str:
        """Where the graph stands in a bundle."""
        return f"onnx/model{self.suffix}.onnx"


def keep_fp32(source: Path, target: Path) -> None:
    """The exported graph is the fp32 variant."""
    if source != target:
        target.write_bytes(source.read_bytes())


def quantize_int8(source: Path, target: Path) -> None:
    """8-bit weights, symmetric and per channel; 8-bit activations, scaled anew for each clip.

    Products of a few terms stay in floating point: that is the first convolution, which weighs nothing, and whose
    input is the waveform, where eight bits for the loudest sample leave two or three for the quiet ones.

    Raises:
        ParityError: ONNX Runtime left a product in floating point that was to be quantised.
    """
    intended = weight_products(source)
    with quiet_exporters():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(WEIGHT_OPERATORS),
            nodes_to_quantize=intended,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    counts = Counter(node.op_type for node in onnx.load(str(target), load_external_data=False).graph.node)
    quantized = sum(counts[name] for name in QUANTIZED_OPERATORS)
    if quantized != len(intended):
        raise ParityError(
            f"int8: {quantized} products were quantised where {len(intended)} were intended;"
            " this version of ONNX Runtime's quantiser skips some: install the one in constraints.txt"
        )


def weight_products(path: Path) -> list[str]:
    """Names of a graph's matrix products with constant weights and enough terms to be worth eight bits."""
    graph = onnx.load(str(path), load_external_data=False).graph
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer if len(tensor.dims) == 2}
    return [
        node.name
        for node in graph.node
        if node.op_type in WEIGHT_OPERATORS
        and node.input[1] in shapes
        and _terms(node, shapes[node.input[1]]) >= FEWEST_TERMS
    ]


def _terms(node: onnx.NodeProto, weight_shape: Sequence[int]) -> int:
    """Terms of each sum of a product with a weight; Gemm may hold the weight transposed."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return weight_shape[1] if transposed else weight_shape[0]


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
    ),
}
"""Every precision this project can make."""
