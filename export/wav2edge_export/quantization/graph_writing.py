"""What rewrites of a graph share: who computes what, nodes in the place of another one, and what nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


class NodeWriter:
    """Writes nodes and constants under the name of the node that they replace.

    Args:
        name: of that node.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, what: str, values: npt.ArrayLike, kind: npt.DTypeLike = np.int64) -> str:
        """The name of a constant, which is made where it is asked for first."""
        name = f"{self.name}_{what}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(values, kind), name)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The output of a new node."""
        return self._add(operator, inputs, (), attributes)[0]

    def split(self, values: str, count: int, axis: int = 0) -> Sequence[str]:
        """Equal parts of a tensor."""
        parts = [f"_{number}" for number in range(count)]
        return self._add("Split", (values,), parts, {"num_outputs": count, "axis": axis})

    def last(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """The node that computes what the replaced one did."""
        self.nodes.append(helper.make_node(operator, inputs, [output], f"{self.name}_whole", **attributes))

    def _add(self, operator: str, inputs: Iterable[str], parts: Sequence[str], attributes: Any) -> Sequence[str]:
        name = f"{self.name}_{len(self.nodes)}_{operator}"
        outputs = [f"{name}{part}" for part in parts] or [name]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name, **attributes))
        return outputs


def producers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that computes each tensor."""
    return {output: node for node in graph.node for output in node.output}


def replace(graph: onnx.GraphProto, written: Sequence[NodeWriter]) -> None:
    """Put nodes in the place of those whose names they were written under, and remove what nothing reads any more."""
    by_name = {writer.name: writer for writer in written}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += by_name[node.name].nodes if node.name in by_name else [node]
    kept = without_unread(nodes, {output.name for output in graph.output})
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(constant for writer in written for constant in writer.constants.values())
    read = {name for node in kept for name in node.input}
    for tensor in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(tensor)


def without_unread(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that lead to an output, in their order: last one first, each reader is met before what it reads."""
    read, kept = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    return kept[::-1]
