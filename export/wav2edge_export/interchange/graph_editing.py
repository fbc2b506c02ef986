"""Small edits of ONNX graphs: nodes in front of and behind what is there, other names, and nothing left unused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

PREFIX = "wav2edge"
"""What the names of new tensors begin with."""


class NewNodes:
    """Nodes that are added to a graph, one by one, each with one output.

    Args:
        graph: gets the constants at once, and the nodes with ``put_in_front`` or ``put_behind``.
        purpose: tells their names from those of other nodes that are added.
    """

    def __init__(self, graph: onnx.GraphProto, purpose: str) -> None:
        self._graph, self._purpose = graph, purpose
        self._nodes: list[onnx.NodeProto] = []
        self._made = 0

    def constant(self, *values: int) -> str:
        """The name of an int64 tensor ``[values]``."""
        return self.tensor(np.array(values, np.int64))

    def tensor(self, values: npt.NDArray[Any]) -> str:
        """The name of a tensor with these values."""
        name = self._name("constant")
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """The name of the output of a new node."""
        output = output or self._name(operator)
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def size(self, tensor: str, axis: int) -> str:
        """The name of the length of an axis, ``[1] int64``."""
        return self.add("Gather", self.add("Shape", tensor), self.constant(axis))

    def count(self, length: str) -> str:
        """The name of the numbers below a length ``[1]``, ``[length] int64``."""
        scalars = [self.add("Squeeze", each) for each in (self.constant(0), length, self.constant(1))]
        return self.add("Range", *scalars)

    def put_in_front(self) -> None:
        """Add the nodes before those that are there."""
        own = list(self._graph.node)
        del self._graph.node[:]
        self._graph.node.extend([*self._nodes, *own])

    def put_behind(self) -> None:
        """Add the nodes after those that are there."""
        self._graph.node.extend(self._nodes)

    def _name(self, what: str) -> str:
        self._made += 1
        return f"{PREFIX}.{self._purpose}.{self._made}.{what}"


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a tensor another name wherever it is made or read; inputs and outputs of the graph keep theirs."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for inner in _inner_graphs(node):
            rename(inner, old, new)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Take out the nodes and the initializers that no output of the graph depends on."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= _read(node)
    nodes = list(reversed(kept))
    weights = [each for each in graph.initializer if each.name in needed]
    for field, values in ((graph.node, nodes), (graph.initializer, weights)):
        del field[:]
        field.extend(values)


def _read(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, in its inner graphs, too."""
    return set(node.input) | {name for inner in _inner_graphs(node) for each in inner.node for name in _read(each)}


def _inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs
