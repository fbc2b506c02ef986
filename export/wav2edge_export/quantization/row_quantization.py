"""int8 MatMuls whose activations have a scale of their own in each row, for frames that differ in level.

``quantize_dynamic`` gives all activations of a MatMul one scale. Behind the group norm of wav2vec2-base loud frames are
hundreds of times as large as quiet ones, of which eight bits then leave nothing; a scale for each window keeps both (as
for the tokens of Yao et al., "ZeroQuant", 2022, section 4.1). Standard operators of ONNX compute it::

    y = scale * ((q @ W) * weight_scale - zero_point * sum(W) * weight_scale)      q = round(x / scale) + zero_point

since a zero point of each row is what ``MatMulInteger`` of ONNX Runtime does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from wav2edge.inference.sessions.cpu import Target

ORT_DOMAIN = "com.microsoft"
LEVELS = 255.0
SMALLEST = 1e-30
"""Of a row's range, so that silence is not divided by zero."""


def quantize_by_row(path: Path, names: Sequence[str], target: Target) -> None:
    """Quantise MatMuls with constant weights, in place.

    Args:
        path: the graph.
        names: of the nodes; several may share their weights.
        target: the kind of processor that int8 MatMuls are made for.
    """
    model = onnx.load(str(path))
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    weights: dict[str, _Weight] = {}
    # Two passes over the product fewer, where the graph is for ONNX Runtime alone anyway.
    fused = any(node.domain == ORT_DOMAIN for node in graph.node)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name not in names:
            nodes.append(node)
            continue
        name = node.input[1]
        if name not in weights:
            weights[name] = _Weight(node.name, numpy_helper.to_array(tensors[name]), target, fused=fused)
        nodes += _Rows(node.name, weights[name]).quantized(node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constant for weight in weights.values() for constant in weight.constants)
    read = {name for node in graph.node for name in node.input}
    for tensor in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(tensor)
    onnx.save(model, str(path))


class _Weight:
    """The constants of a weight ``[K, N]``, with the names of its first MatMul."""

    def __init__(self, name: str, weight: npt.NDArray[np.float32], target: Target, *, fused: bool) -> None:
        self._name, self.fused = name, fused
        self.constants: list[onnx.TensorProto] = []
        self.rows, self.columns = weight.shape
        scales, whole = quantized_columns(weight, target)
        stored = whole.astype(np.int8) if target.signed else (whole + 128).astype(np.uint8)
        self.stored = self.constant("weight", stored, stored.dtype)
        self.zero_point = () if target.signed else ("", self.constant("weight_zero_point", 128, np.uint8))
        self.sums = self.constant("weight_sums", scales * whole.sum(axis=0), np.float32)
        self.scales = self.constant("weight_scales", scales, np.float32)

    def constant(self, name: str, values: npt.ArrayLike, kind: npt.DTypeLike) -> str:
        """The name of a constant, which is made where it is asked for first."""
        full = f"{self._name}_{name}"
        if full not in {tensor.name for tensor in self.constants}:
            self.constants.append(numpy_helper.from_array(np.asarray(values, kind), full))
        return full


class _Rows:
    """The nodes of one MatMul."""

    def __init__(self, name: str, weight: _Weight) -> None:
        self._name, self._weight, self._constant = name, weight, weight.constant
        self._nodes: list[onnx.NodeProto] = []

    def quantized(self, matmul: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Nodes that take the place of a MatMul of activations ``[batch, rows, K]``."""
        weight = self._weight
        rows = self._node("Reshape", matmul.input[0], self._constant("rows", [-1, weight.rows], np.int64))
        scale, zero_point = self._scale_and_zero_point(rows)
        byte_of_zero = self._node("Cast", zero_point, to=TensorProto.UINT8)
        in_bytes = self._node("QuantizeLinear", rows, scale, byte_of_zero, axis=0)
        centred = self._node("Sub", self._product(in_bytes), self._node("Mul", self._column(zero_point), weight.sums))
        found = self._node("Mul", centred, self._column(scale))
        first = self._node("Shape", matmul.input[0], end=-1)
        shape = self._node("Concat", first, self._constant("columns", [weight.columns], np.int64), axis=0)
        shaped = helper.make_node("Reshape", [found, shape], matmul.output, f"{self._name}_shaped", allowzero=1)
        return [*self._nodes, shaped]

    def _product(self, in_bytes: str) -> str:
        """Bytes ``[rows, K]`` times the weight, in units of the rows' scales: ``[rows, N]`` float32."""
        weight = self._weight
        if weight.fused:
            scales = self._constant("one", 1, np.float32), weight.scales
            inputs = (in_bytes, weight.stored, *scales, *weight.zero_point)
            return self._node("MatMulIntegerToFloat", *inputs, domain=ORT_DOMAIN)
        whole = self._node("MatMulInteger", in_bytes, weight.stored, *weight.zero_point)
        return self._node("Mul", self._node("Cast", whole, to=TensorProto.FLOAT), weight.scales)

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

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
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
