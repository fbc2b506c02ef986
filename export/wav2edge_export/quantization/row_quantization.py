"""int8 MatMuls whose activations have a scale of their own in each row, for a feature encoder whose frames differ in level.

``quantize_dynamic`` gives all activations of a MatMul one scale. Behind the group norm of wav2vec2-base loud frames are
hundreds of times as large as quiet ones, of which eight bits then leave nothing; a scale for each window keeps both (as
for the tokens of Yao et al., "ZeroQuant", 2022, section 4.1). Standard operators of ONNX compute it::

    y = scale * (q @ W - zero_point * sum(W)) * weight_scale        q = round(x / scale) + zero_point

since a zero point of each row is what ``MatMulInteger`` of ONNX Runtime does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from wav2edge.inference.sessions.cpu import Target

LEVELS = 255.0
SMALLEST = 1e-30
"""Of a row's range, so that silence is not divided by zero."""


def quantize_by_row(path: Path, names: Sequence[str], target: Target) -> None:
    """Quantise MatMuls with constant weights, in place.

    Args:
        path: the graph.
        names: of the nodes.
        target: the kind of processor that int8 MatMuls are made for.
    """
    model = onnx.load(str(path))
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name in names:
            rows = _Rows(node.name, target)
            nodes += rows.quantized(node, numpy_helper.to_array(weights[node.input[1]]))
            graph.initializer.extend(rows.constants)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in graph.node for name in node.input}
    for tensor in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(tensor)
    onnx.save(model, str(path))


class _Rows:
    """The nodes of one MatMul."""

    def __init__(self, name: str, target: Target) -> None:
        self._name, self._target = name, target
        self.constants: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []

    def quantized(self, matmul: onnx.NodeProto, weight: npt.NDArray[np.float32]) -> list[onnx.NodeProto]:
        """Nodes that take the place of a MatMul of activations ``[batch, rows, K]`` and a weight ``[K, N]``."""
        scales, whole = quantized_columns(weight, self._target)
        stored = whole.astype(np.int8) if self._target.signed else (whole + 128).astype(np.uint8)
        rows = self._node("Reshape", matmul.input[0], self._constant("rows", [-1, len(weight)], np.int64))
        scale, zero_point = self._scale_and_zero_point(rows)
        in_bytes = self._node("QuantizeLinear", rows, scale, self._node("Cast", zero_point, to=TensorProto.UINT8), axis=0)
        offset = () if self._target.signed else ("", self._constant("weight_zero_point", 128, np.uint8))
        product = self._node("MatMulInteger", in_bytes, self._constant("weight", stored, stored.dtype), *offset)
        sums = self._constant("weight_sums", whole.sum(axis=0), np.float32)
        centred = self._node(
            "Sub", self._node("Cast", product, to=TensorProto.FLOAT), self._node("Mul", self._column(zero_point), sums)
        )
        scaled = self._node("Mul", centred, self._constant("weight_scales", scales, np.float32))
        found = self._node("Mul", scaled, self._column(scale))
        self._nodes.append(
            helper.make_node("Reshape", [found, self._shape(matmul, weight.shape[1])], matmul.output, f"{self._name}_shaped")
        )
        return self._nodes

    def _scale_and_zero_point(self, rows: str) -> tuple[str, str]:
        """Of each row, ``[rows]`` float32: what its range is divided by, and the byte that stands for zero."""
        axis, zero = self._constant("axis", [1], np.int64), self._constant("zero", 0, np.float32)
        highest = self._node("Max", self._node("ReduceMax", rows, axis, keepdims=0), zero)
        lowest = self._node("Min", self._node("ReduceMin", rows, axis, keepdims=0), zero)
        width = self._node("Max", self._node("Sub", highest, lowest), self._constant("smallest", SMALLEST, np.float32))
        scale = self._node("Div", width, self._constant("levels", LEVELS, np.float32))
        return scale, self._node("Round", self._node("Neg", self._node("Div", lowest, scale)))

    def _column(self, values: str) -> str:
        return self._node("Unsqueeze", values, self._constant("axis", [1], np.int64))

    def _shape(self, matmul: onnx.NodeProto, columns: int) -> str:
        """The shape of the MatMul's output, int64."""
        first = self._node("Shape", matmul.input[0], end=-1)
        return self._node("Concat", first, self._constant("columns", [columns], np.int64), axis=0)

    def _constant(self, name: str, values: npt.ArrayLike, kind: npt.DTypeLike) -> str:
        full = f"{self._name}_{name}"
        if full not in {tensor.name for tensor in self.constants}:
            self.constants.append(numpy_helper.from_array(np.asarray(values, kind), full))
        return full

    def _node(self, operator: str, *inputs: str, **attributes: int) -> str:
        name = f"{self._name}_{len(self._nodes)}_{operator}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name


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
