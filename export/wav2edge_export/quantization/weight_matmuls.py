"""Every weight MatMul of a graph at the level it is given: int4, int8, or floating point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from wav2edge.errors import ParityError
from wav2edge.inference.cpu import TARGETS, Target
from wav2edge_export.quantization.early_quantization import quantize_before_stacking
from wav2edge_export.quantization.recipes import Level
from wav2edge_train.checkpoint.library_logging import quiet_exporters

WEIGHT_OPERATOR = "MatMul"
"""Gemm is left alone: it is the classifier, one row per clip."""
FEWEST_IN_FEATURES = 16
"""MatMuls with fewer input features stay in floating point: that is the first convolution, whose weights are few, and
whose input is the waveform, where eight bits for the loudest sample leave two or three for the quiet ones."""
INT4_BLOCK = 64
"""Weights that share a scale: 4 + 32 / 64 = 4.5 bits each, 0.56 of int8's; blocks of 32 would be 0.62, of 128 0.53."""
INT4_ACCURACY_LEVEL = 4
"""8-bit activations, scaled per row and block, and integer arithmetic; the default multiplies in float.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
"""
QUANTIZED_OPERATORS: dict[Level, str] = {"int4": "MatMulNBits", "int8": "MatMulInteger"}


@dataclass(frozen=True, kw_only=True)
class WeightMatMul:
    """A MatMul with constant weights ``[in_features, out_features]``, by the name of its node."""

    name: str
    in_features: int
    out_features: int


def weight_matmuls(path: Path) -> list[WeightMatMul]:
    """A graph's MatMuls with constant weights that are large enough to quantise, in the graph's order."""
    graph = onnx.load(str(path), load_external_data=False).graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer if len(tensor.dims) == 2}
    found = ((node.name, weights.get(node.input[1])) for node in graph.node if node.op_type == WEIGHT_OPERATOR)
    return [
        WeightMatMul(name=name, in_features=shape[0], out_features=shape[1])
        for name, shape in found
        if shape is not None and shape[0] >= FEWEST_IN_FEATURES
    ]


def assign(matmuls: Sequence[WeightMatMul], base: Level, parts: Mapping[str, Level]) -> dict[str, Level]:
    """The level of each MatMul by its name: that of the first part that the name contains, else the base."""
    return {
        matmul.name: next((level for part, level in parts.items() if part in matmul.name), base) for matmul in matmuls
    }


def quantize_matmuls(
    source: Path, path: Path, levels: Mapping[str, Level], *, target: Target = TARGETS["vnni"]
) -> None:
    """Write a copy of the fp32 graph with each weight MatMul at its level, and activations quantised early.

    Args:
        source: the fp32 graph.
        path: the file to write.
        levels: by the name of the MatMul; what is not named stays in floating point.
        target: the kind of processor that int8 MatMuls are made for.

    Raises:
        ParityError: ONNX Runtime left a MatMul in floating point that was to be quantised.
    """
    quantize_in_place(source, path, levels, target=target)
    quantize_before_stacking(path)


def quantize_in_place(source: Path, path: Path, levels: Mapping[str, Level], *, target: Target) -> None:
    """The same with each MatMul quantised between its own input and output.

    int8 weights are symmetric and per channel, with 8-bit activations scaled per clip; int4 weights are symmetric and
    per block.
    """
    path.write_bytes(source.read_bytes())
    with quiet_exporters():
        for level, quantize in _QUANTIZERS.items():
            names = [name for name, wanted in levels.items() if wanted == level]
            if names:
                quantize(path, names, target)
    _check_counts(path, levels)


def _quantize_int8(path: Path, names: Sequence[str], target: Target) -> None:
    quantize_dynamic(
        path,
        path,
        op_types_to_quantize=[WEIGHT_OPERATOR],
        nodes_to_quantize=names,
        weight_type=QuantType.QInt8 if target.signed else QuantType.QUInt8,
        per_channel=True,
        reduce_range=target.weight_bits < 8,
        extra_options={"WeightSymmetric": True},
    )


def _quantize_int4(path: Path, names: Sequence[str], target: Target) -> None:
    model = onnx.load(str(path))
    # Its list of nodes to include is ignored for operators that it knows: the others are excluded instead.
    others = [node.name for node in model.graph.node if node.name not in set(names)]
    quantizer = MatMulNBitsQuantizer(
        model,
        bits=4,
        block_size=INT4_BLOCK,
        is_symmetric=True,
        accuracy_level=INT4_ACCURACY_LEVEL,
        nodes_to_exclude=others,
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(path), use_external_data_format=False)


_QUANTIZERS: dict[Level, Callable[[Path, Sequence[str], Target], None]] = {
    "int8": _quantize_int8,
    "int4": _quantize_int4,
}
"""int8 goes first: it infers the shapes of the whole graph, which MatMulNBits hides from it."""


def _check_counts(path: Path, levels: Mapping[str, Level]) -> None:
    operators = [node.op_type for node in onnx.load(str(path), load_external_data=False).graph.node]
    for level, operator in QUANTIZED_OPERATORS.items():
        quantized, intended = operators.count(operator), list(levels.values()).count(level)
        if quantized != intended:
            raise ParityError(
                f"{level}: {quantized} weight MatMuls were quantised where {intended} were intended;"
                " this version of ONNX Runtime's quantiser skips some: install the one in constraints.txt"
            )
