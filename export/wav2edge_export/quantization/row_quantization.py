"""int8 MatMuls whose activations have a scale of their own in each row, for frames that differ in level.

``quantize_dynamic`` gives all activations of a MatMul one scale. Behind the group norm of wav2vec2-base loud frames are
hundreds of times as large as quiet ones, of which eight bits then leave nothing; a scale for each frame keeps both (as
for the tokens of Yao et al., "ZeroQuant", 2022, section 4.1). Standard operators of ONNX compute it::

    y = scale * (q @ W) - scale * zero_point * sum(W)      q = round(x / scale) + zero_point

since a zero point of each row is what ``MatMulInteger`` of ONNX Runtime does not take.

A convolution over stacked frames is the sum of such products, one for each frame of a window, with the weights that
belong to it. A frame is then quantised once, before it is stacked, and next to a louder one it keeps its own scale: at
base shape with random weights this takes a Conformer's logits from 0.038 off, of their root mean square, to 0.035.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from wav2edge.inference.sessions.cpu import Target
from wav2edge_export.quantization.graph_writing import NodeWriter, producers_of, replace
from wav2edge_export.quantization.stacked_parts import Stack, index_parts, stack_of

ORT_DOMAIN = "com.microsoft"
LEVELS = 255.0
SMALLEST = 1e-30
"""Of a row's range, so that silence is not divided by zero."""


def quantize_by_row(path: Path, names: Sequence[str], target: Target) -> None:
    """Quantise MatMuls with constant weights, in place.

    Args:
        path: the graph; where it says how wide frames are, stacked ones are quantised one by one.
        names: of the nodes.
        target: the kind of processor that int8 MatMuls are made for.
    """
    model = onnx.load(str(path))
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    producers, widths = producers_of(graph), _widths(graph)
    # Two passes over each product fewer, where the graph is for ONNX Runtime alone anyway.
    fused = any(node.domain == ORT_DOMAIN for node in graph.node)
    written = []
    for node in graph.node:
        if node.name not in names:
            continue
        weight, stack = numpy_helper.to_array(tensors[node.input[1]]), stack_of(node, producers)
        kernel = len(weight) // widths.get(stack.frames, len(weight)) if stack is not None else 1
        product = _RowProduct(node.name, weight, kernel, target, fused=fused)
        written.append(product.write(node, stack if kernel > 1 else None))
    replace(graph, written)
    onnx.save(model, str(path))


def _widths(graph: onnx.GraphProto) -> dict[str, int]:
    """The last dimension of each tensor whose type is in the graph."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.input)}
    return {name: dims[-1].dim_value for name, dims in shapes.items() if dims and dims[-1].dim_value}


class _RowProduct:
    """One MatMul as the sum of the products of each frame of a window; of one frame where nothing is stacked.

    Args:
        name: of the MatMul.
        weight: ``[kernel * K, N]``.
        kernel: frames of a window.
        target: the kind of processor that it is made for.
        fused: ONNX Runtime's own operators may be used.
    """

    def __init__(self, name: str, weight: npt.NDArray[np.float32], kernel: int, target: Target, *, fused: bool) -> None:
        self._writer = NodeWriter(name)
        self._kernel, self._width, self._fused = kernel, len(weight) // kernel, fused
        parts = [quantized_columns(part, target) for part in np.split(weight, kernel)]
        self._weights = [self._weight(number, *part, target) for number, part in enumerate(parts)]
        sums = [scales * whole.sum(axis=0) for scales, whole in parts]
        self._sums = self._writer.constant("weight_sums", sums, np.float32)

    def _weight(
        self, number: int, scales: npt.NDArray[np.float32], whole: npt.NDArray[np.float32], target: Target
    ) -> tuple[str, str, tuple[str, ...]]:
        """Names of the weights of one frame, of their scales, and what the operators take behind them."""
        constant = self._writer.constant
        stored = whole.astype(np.int8) if target.signed else (whole + 128).astype(np.uint8)
        zero_point = () if target.signed else ("", constant("weight_zero_point", 128, np.uint8))
        name = constant(f"weight_{number}", stored, stored.dtype)
        return name, constant(f"weight_scales_{number}", scales, np.float32), zero_point

    def write(self, matmul: onnx.NodeProto, stack: Stack | None) -> NodeWriter:
        """The nodes that take the place of the MatMul, whose activations are ``[batch, rows, K]`` or a stack."""
        writer = self._writer
        in_bytes, scales, shifts = self._quantized(matmul.input[0] if stack is None else stack.frames)
        if stack is None:
            last = writer.constant("last_axis", [-1])
            columns = [writer.node("Unsqueeze", scales, last)]
            terms = self._terms([in_bytes], columns, writer.node("Unsqueeze", shifts, last))
            writer.last("Sub", terms, matmul.output[0])
            return writer
        products = []
        for index in index_parts(writer, stack, writer.constant("kernel", [self._kernel])):
            flat = [self._flat(frame) for frame in writer.split(index, self._kernel, axis=1)]
            frames = [writer.node("Gather", in_bytes, each, axis=1) for each in flat]
            columns = list(writer.split(writer.node("Gather", scales, index, axis=1), self._kernel, axis=2))
            terms = self._terms(frames, columns, writer.node("Gather", shifts, index, axis=1))
            products.append(writer.node("Sub", *terms))
        writer.last("Concat", products, matmul.output[0], axis=1)
        return writer

    def _flat(self, index: str) -> str:
        return self._writer.node("Reshape", index, self._writer.constant("any", [-1]))

    def _terms(self, frames: Sequence[str], columns: Sequence[str], shifts: str) -> tuple[str, str]:
        """What was multiplied, and what the zero points have added to it.

        Args:
            frames: of windows, in bytes ``[batch, windows, K]``, one for each frame of a window.
            columns: their scales ``[batch, windows, 1]``.
            shifts: scales times zero points ``[batch, windows, kernel]``.
        """
        writer, total = self._writer, ""
        for number, (frame, column) in enumerate(zip(frames, columns, strict=True)):
            product = writer.node("Mul", self._product(frame, number), column)
            total = writer.node("Add", total, product) if total else product
        return total, writer.node("MatMul", shifts, self._sums)

    def _product(self, in_bytes: str, number: int) -> str:
        """Bytes times the weights of one frame of a window, in units of the rows' scales: float32."""
        writer = self._writer
        weight, scales, zero_point = self._weights[number]
        if self._fused:
            inputs = (in_bytes, weight, writer.constant("unit", 1, np.float32), scales, *zero_point)
            return writer.node("MatMulIntegerToFloat", *inputs, domain=ORT_DOMAIN)
        whole = writer.node("MatMulInteger", in_bytes, weight, *zero_point)
        return writer.node("Mul", writer.node("Cast", whole, to=TensorProto.FLOAT), scales)

    def _quantized(self, values: str) -> tuple[str, str, str]:
        """Values ``[batch, rows, K]`` in bytes; ``[batch, rows]`` scales, and scales times zero points."""
        writer = self._writer
        rows = writer.node("Reshape", values, writer.constant("rows", [-1, self._width]))
        axis, zero = writer.constant("axis", [1]), writer.constant("zero", 0, np.float32)
        highest = writer.node("Max", writer.node("ReduceMax", rows, axis, keepdims=0), zero)
        lowest = writer.node("Min", writer.node("ReduceMin", rows, axis, keepdims=0), zero)
        smallest = writer.constant("smallest", SMALLEST, np.float32)
        width = writer.node("Max", writer.node("Sub", highest, lowest), smallest)
        scale = writer.node("Div", width, writer.constant("levels", LEVELS, np.float32))
        zero_point = writer.node("Round", writer.node("Neg", writer.node("Div", lowest, scale)))
        byte_of_zero = writer.node("Cast", zero_point, to=TensorProto.UINT8)
        in_bytes = writer.node("QuantizeLinear", rows, scale, byte_of_zero, axis=0)
        shape, lead = writer.node("Shape", values), writer.node("Shape", values, end=-1)
        shifts = writer.node("Mul", scale, zero_point)
        return (
            writer.node("Reshape", in_bytes, shape, allowzero=1),
            writer.node("Reshape", scale, lead, allowzero=1),
            writer.node("Reshape", shifts, lead, allowzero=1),
        )


def quantized_columns(
    weight: npt.NDArray[np.float32], target: Target
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Whole numbers and the scale of each column that they are multiplied with.

    Args:
        weight: ``[K, N]``.
        target: says how many bits they may have.

    Returns:
        Scales ``[N]`` and whole numbers ``[K, N]``, both float32.
    """
    highest = 2 ** (target.weight_bits - 1) - 1
    scales = np.maximum(np.abs(weight).max(axis=0), SMALLEST) / highest
    return scales.astype(np.float32), np.round(weight / scales)
