"""The class of an ONNX Runtime operator and its amount of work, both from the shapes in a profile.

A profile does not list weights that were packed for the processor: a weight MatMul shows one tensor, and a MatMul of
two activations, which belongs to attention, shows two and no parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = Sequence[int]

INT8, INT4, FP32 = "int8 MatMuls", "int4 MatMuls", "fp32 MatMuls, Convs"
ATTENTION, NORMALISATION, ACTIVATION = "attention", "normalisation", "activation"
MOVEMENT, ELEMENT_WISE, QUANTISATION, OTHER = "data movement", "element-wise", "quantisation", "other"

OPERATORS = {
    INT8: ("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger", "QLinearMatMul", "QGemm", "ConvInteger"),
    INT4: ("MatMulNBits",),
    FP32: ("MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Conv", "FusedConv"),
    ATTENTION: ("MultiHeadAttention", "Attention", "Softmax"),
    NORMALISATION: (
        "LayerNormalization",
        "SkipLayerNormalization",
        "InstanceNormalization",
        "GroupNorm",
        "ReduceMean",
        "ReduceSum",
        "ReduceSumSquare",
    ),
    ACTIVATION: ("Gelu", "BiasGelu", "FastGelu", "QuickGelu", "Erf", "Tanh", "Relu", "Sigmoid"),
    MOVEMENT: (
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Range",
        "ReorderInput",
        "ReorderOutput",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ),
    ELEMENT_WISE: ("Add", "Div", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "Reciprocal", "Sqrt", "Sub", "Where"),
    QUANTISATION: ("Cast", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"),
}
"""Class -> operators; those not listed are ``other``."""

CLASSES = {operator: name for name, operators in OPERATORS.items() for operator in operators}
MATMUL_CLASSES = (INT8, INT4, FP32, ATTENTION)
"""Classes whose work is counted in multiply-accumulates; the others are counted in bytes moved."""
PARENTS = ("If", "Loop", "Scan")
"""Their time is that of the nodes inside, which a profile lists as well."""
VIEWS = ("Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze")
"""They pass their input on and move no bytes."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One execution of a node: its time, and its work in multiply-accumulates and in bytes read and written.

    ``shape`` is that of a MatMul: rows, terms and columns.
    """

    name: str
    operator: str
    operator_class: str
    duration_s: float
    macs: int
    bytes_moved: int
    shape: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Node:
        """Read an event of category ``Node`` from an ONNX Runtime profile."""
        facts = event["args"]
        operator: str = facts["op_name"]
        inputs, outputs = (_shapes(facts[f"{side}_type_shape"]) for side in ("input", "output"))
        name = CLASSES.get(operator, OTHER)
        if name == FP32 and len(inputs) > 1 and not int(facts["parameter_size"]):
            name = ATTENTION
        sizes = ("activation_size", "parameter_size", "output_size")
        return cls(
            name=event["name"].removesuffix("_kernel_time"),
            operator=operator,
            operator_class=name,
            duration_s=event["dur"] / 1e6,
            macs=MACS[operator](inputs, outputs) if operator in MACS else 0,
            bytes_moved=0 if operator in VIEWS else sum(int(facts[size]) for size in sizes),
            shape=_matmul_shape(inputs, outputs) if MACS.get(operator) is _matmul_macs else None,
        )


def _shapes(tensors: Sequence[Mapping[str, Shape]]) -> list[Shape]:
    """A profile writes ``{"float": [1, 49, 1024]}`` for each tensor."""
    return [shape for tensor in tensors for shape in tensor.values()]


def _matmul_shape(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> tuple[int, int, int]:
    """Rows, terms and columns of ``[..., rows, terms]`` by ``[terms, columns]``, a batch counted as rows.

    ``FusedMatMul`` may read its left side transposed, which only the rows of its output reveal.
    """
    left, output = inputs[0], outputs[0]
    terms = left[-1] if min(len(left), len(output)) < 2 else math.prod(left[-2:]) // output[-2]
    return math.prod(output[:-1]), terms, output[-1]


def _matmul_macs(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    return math.prod(_matmul_shape(inputs, outputs))


def _convolution(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Weights are ``[output channels, input channels per group, *kernel]``; 0 where packed weights are not listed."""
    weights = inputs[1] if len(inputs) > 1 and len(inputs[1]) == len(inputs[0]) else None
    return 0 if weights is None else math.prod(outputs[0]) * math.prod(weights[1:])


def _attention(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Scores and the weighted sum of the values: keys ``[batch, frames, hidden]``, or packed with the queries."""
    keys = inputs[1] if len(inputs) > 1 and len(inputs[1]) > 1 else inputs[0]
    return 2 * math.prod(outputs[0]) * keys[1]


MACS: Mapping[str, Callable[[Sequence[Shape], Sequence[Shape]], int]] = {
    **dict.fromkeys((*OPERATORS[INT8], *OPERATORS[INT4], *OPERATORS[FP32]), _matmul_macs),
    **dict.fromkeys(("Conv", "FusedConv", "ConvInteger"), _convolution),
    "MultiHeadAttention": _attention,
}
"""Operator -> its multiply-accumulates, from the shapes of its inputs and outputs."""
