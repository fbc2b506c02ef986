"""What checks of a graph ask: who computes a tensor, which weight it is, and which products are quantised."""

from __future__ import annotations

import math
from functools import cached_property

from wav2edge.evaluation.diagnosis.onnx_graph import FLOAT, FLOAT16, Node, OnnxGraph, Value, Weight

FEWEST_IN_FEATURES = 16
"""Products with fewer input features stay in floating point, as in an export: the first convolution."""
INT8_PRODUCTS = frozenset(
    {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm", "QAttention"}
)
QUANTIZED = INT8_PRODUCTS | {"ConvInteger", "QLinearConv", "MatMulNBits"}
PRODUCTS = frozenset({"MatMul", "Gemm", "Conv"})
FOLDABLE = frozenset({"Identity", "Transpose", "Mul", "Div", "Cast", "Reshape", "ReduceL2", "ReduceSum", "Sqrt", "Pow"})
"""Operators between a stored weight and its use, such as weight normalisation; ONNX Runtime computes them at load."""


class Anatomy:
    """A graph with what several checks need of it."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.producers = {output: node for node in graph.nodes for output in node.outputs}
        self._readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def readers(self, node: Node) -> list[Node]:
        """The nodes that read an output of a node."""
        return [each for output in node.outputs for each in self._readers.get(output, ())]

    def above(self, name: str) -> str:
        """The operator that computes a tensor; empty for an input or a weight."""
        node = self.producers.get(name)
        return node.operator if node is not None else ""

    def weight(self, name: str, depth: int = 6) -> Weight | None:
        """The stored weight that a tensor is, or is computed from; None where it depends on the input."""
        if name in self.graph.weights:
            return self.graph.weights[name]
        node = self.producers.get(name)
        if node is None or not depth or node.operator not in FOLDABLE:
            return None
        found = [self.weight(each, depth - 1) for each in node.inputs if each]
        known = [each for each in found if each is not None]
        return max(known, key=lambda each: each.elements) if found and len(known) == len(found) else None

    @cached_property
    def float_products(self) -> list[Weight]:
        """fp32 weights of products that an export of wav2edge would store in 8 bits."""
        found = (
            (node, self.weight(node.inputs[1]))
            for node in self.graph.nodes
            if node.operator in PRODUCTS and len(node.inputs) > 1
        )
        return [
            weight
            for node, weight in found
            if weight is not None and weight.type == FLOAT and _in_features(node, weight) >= FEWEST_IN_FEATURES
        ]

    @cached_property
    def quantized(self) -> list[Node]:
        """Quantised products, those of which a DequantizeLinear gives the weight included."""
        return [
            node
            for node in self.graph.nodes
            if node.operator in QUANTIZED
            or (node.operator in PRODUCTS and len(node.inputs) > 1 and self.above(node.inputs[1]) == "DequantizeLinear")
        ]

    @cached_property
    def waveforms(self) -> Value | None:
        """The input ``[batch, samples]``."""
        floats = [each for each in self.graph.inputs if each.type in (FLOAT, FLOAT16)]
        return next((each for each in floats if each.shape is None or len(each.shape) == 2), None)


def _in_features(node: Node, weight: Weight) -> int:
    """How many numbers go into one output: of a convolution ``[out, in, kernel]``, of a MatMul ``[in, out]``."""
    if not weight.shape:
        return 0
    inside = weight.shape[1:] if node.operator == "Conv" else weight.shape[-2:-1]
    return math.prod(inside) if inside else 0
