"""MatMuls over stacked frames in parts, each of which fits a processor's cache where the whole does not.

The second convolution of an encoder stacks 4,799 windows of 1,536 numbers for three seconds: 29 MB to write, read and
quantise, and a product of 10 MB that is added to for every block of the weights. In four parts, with one thread of ONNX
Runtime 1.32, such a product took 0.86 of its time in float (87 ms), and a whole Data2Vec of base shape 0.93 (244 ms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from wav2edge_export.quantization.graph_writing import NodeWriter, producers_of, replace

PARTS = 4
STACKING, SHAPING = "Gather", "Reshape"


@dataclass(frozen=True)
class Stack:
    """What a MatMul is given by the graph rewrite: ``frames`` ``[batch, frames, width]``, one window after the other.

    ``index`` ``[windows * kernel]`` are the frames of each window.
    """

    frames: str
    index: str


def stack_of(matmul: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto]) -> Stack | None:
    """The frames that a MatMul is given stacked; None where it is not."""
    shaping = producers.get(matmul.input[0])
    stacking = producers.get(shaping.input[0]) if shaping is not None and shaping.op_type == SHAPING else None
    return Stack(*stacking.input) if stacking is not None and stacking.op_type == STACKING else None


def index_parts(writer: NodeWriter, stack: Stack, kernel: str) -> list[str]:
    """The index in ``PARTS`` parts of ``[windows, kernel]``; ``kernel`` is the tensor ``[1]`` of that number."""
    by_window = writer.node("Concat", writer.constant("any", [-1]), kernel, axis=0)
    index = writer.node("Reshape", stack.index, by_window)
    scaled = writer.node("Mul", writer.node("Shape", index, end=1), writer.constant("numbers", range(PARTS + 1)))
    bounds = writer.split(writer.node("Div", scaled, writer.constant("parts", [PARTS])), PARTS + 1)
    axis, one = writer.constant("first_axis", [0]), writer.constant("one", [1])
    return [writer.node("Slice", index, *bounds[part : part + 2], axis, one) for part in range(PARTS)]


def compute_in_parts(path: Path, names: Sequence[str]) -> None:
    """Compute MatMuls in parts, in place.

    Args:
        path: the graph.
        names: of MatMuls; those whose activations are not stacked stay whole.
    """
    model = onnx.load(str(path))
    producers = producers_of(model.graph)
    widths = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    found = [(node, stack_of(node, producers)) for node in model.graph.node if node.name in names]
    written = [_in_parts(node, stack, widths[node.input[1]]) for node, stack in found if stack is not None]
    if written:
        replace(model.graph, written)
        onnx.save(model, str(path))


def _in_parts(matmul: onnx.NodeProto, stack: Stack, width: int) -> NodeWriter:
    """The nodes that take the place of a MatMul over ``[batch, windows, width]``."""
    writer = NodeWriter(matmul.name)
    whole = writer.constant("width", [width])
    # K says how wide the frames of a window are together, and the frames how wide one is.
    kernel = writer.node("Div", whole, writer.node("Shape", stack.frames, start=2))
    products = []
    for index in index_parts(writer, stack, kernel):
        windows = writer.node("Gather", stack.frames, index, axis=1)
        shape = writer.node("Concat", writer.node("Shape", windows, end=2), whole, axis=0)
        rows = writer.node("Reshape", windows, shape, allowzero=1)
        products.append(writer.node("MatMul", rows, matmul.input[1]))
    writer.last("Concat", products, matmul.output[0], axis=1)
    return writer
