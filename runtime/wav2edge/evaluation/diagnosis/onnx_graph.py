"""What an ONNX file says of itself: operators, inputs, shapes of weights; read without the package ``onnx``.

Field numbers are those of ``onnx.proto`` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Weights are skipped
over, so a file of gigabytes takes as long as its nodes are many.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wav2edge.inference.sessions.graph_file import (
    LENGTH,
    MODEL_GRAPH,
    TENSOR_EXTERNAL_DATA,
    TENSOR_RAW_DATA,
    Field,
    fields,
    read_varint,
)

MODEL_IR_VERSION, MODEL_PRODUCER, MODEL_PRODUCER_VERSION, MODEL_OPSET, MODEL_FUNCTION = 1, 2, 3, 8, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
FUNCTION_NODE, FUNCTION_DOMAIN = 7, 10
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 3, 4, 5, 7
ATTRIBUTE_TENSOR = 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME = 1, 2, 8
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR, TENSOR_TYPE_ELEMENT, TENSOR_TYPE_SHAPE, SHAPE_AXIS, AXIS_LENGTH, AXIS_NAME = 1, 1, 2, 1, 1, 2
ENTRY_KEY, ENTRY_VALUE = 1, 2
FLOAT, UINT8, INT8, FLOAT16 = 1, 2, 3, 10
"""``TensorProto.DataType``."""
STANDARD = ("", "ai.onnx")

LONGEST_NAME = 24
"""Of an axis; exporters name some by the formula of their length."""

Content = mmap.mmap | bytes


@dataclass(frozen=True, kw_only=True)
class Node:
    """An operator and the names of what it reads and writes."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A constant tensor. ``raw`` is where its bytes are in the file, ``location`` the other file that has them."""

    name: str
    shape: tuple[int, ...]
    type: int
    raw: tuple[int, int] | None
    location: str | None

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Value:
    """An input or output. An axis that varies is its name, or ``?``; ``shape`` is None where nothing is declared."""

    name: str
    type: int
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape or ('...',)))}]"


@dataclass(frozen=True, kw_only=True)
class OnnxGraph:
    """A graph without its weights' content.

    Attributes:
        path: its file.
        producer: what wrote it.
        opsets: version by domain, that of the standard is ``ai.onnx``.
        nodes: those of its local functions included.
        weights: by name; constants of nodes included.
        inputs: those that are no weights.
        local_domains: domains of its own functions.
    """

    path: Path
    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    nodes: tuple[Node, ...]
    weights: Mapping[str, Weight]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    local_domains: frozenset[str]

    def bytes_of(self, weight: Weight) -> bytes:
        """The content of a weight; empty where it is not in this file."""
        if weight.raw is None:
            return b""
        start, end = weight.raw
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def read_onnx(path: Path) -> OnnxGraph:
    """Read a file.

    Raises:
        ValueError: it is empty, damaged, or no ONNX file.
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is a folder, a pipe or a device")  # opening a named pipe would wait for its writer
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _Reader(content).read(path)


class _Reader:
    """Walks one file; a message is the list of its fields."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def read(self, path: Path) -> OnnxGraph:
        model = list(fields(self._content, 0, len(self._content)))
        graph = next((self._fields(each) for each in model if each.number == MODEL_GRAPH), None)
        if graph is None:
            raise ValueError("it has no graph")
        functions = [self._fields(each) for each in model if each.number == MODEL_FUNCTION]
        found = [each for each in graph if each.number == GRAPH_NODE]
        found += [each for function in functions for each in function if each.number == FUNCTION_NODE]
        weights = [self._weight(each) for each in graph if each.number == GRAPH_INITIALIZER]
        weights += [weight for each in found for weight in self._constants(each)]
        named = {each.name: each for each in weights}
        producer = (self._text(model, MODEL_PRODUCER), self._text(model, MODEL_PRODUCER_VERSION))
        inputs = (self._value(each) for each in graph if each.number == GRAPH_INPUT)
        return OnnxGraph(
            path=path,
            ir_version=self._number(model, MODEL_IR_VERSION),
            producer=" ".join(filter(None, producer)),
            opsets=dict(self._opset(each) for each in model if each.number == MODEL_OPSET),
            nodes=tuple(map(self._node, found)),
            weights=named,
            inputs=tuple(each for each in inputs if each.name not in named),
            outputs=tuple(self._value(each) for each in graph if each.number == GRAPH_OUTPUT),
            local_domains=frozenset(self._text(function, FUNCTION_DOMAIN) for function in functions),
        )

    def _fields(self, message: Field) -> list[Field]:
        if message.wire_type != LENGTH:
            raise ValueError(f"no message at byte {message.start}")
        return list(fields(self._content, message.content, message.end))

    def _texts(self, message: list[Field], number: int) -> Iterator[str]:
        for each in message:
            if each.number == number:
                yield self._content[each.content : each.end].decode("utf-8", "replace")

    def _text(self, message: list[Field], number: int) -> str:
        return next(self._texts(message, number), "")

    def _numbers(self, message: list[Field], number: int) -> Iterator[int]:
        """The integers of a field, whether they are packed into one or not; negative ones are in two's complement."""
        for each in message:
            position = each.content
            while each.number == number and position < each.end:
                value, position = read_varint(self._content, position)
                yield value - (1 << 64) if value >> 63 else value

    def _number(self, message: list[Field], number: int) -> int:
        return next(self._numbers(message, number), 0)

    def _opset(self, message: Field) -> tuple[str, int]:
        inside = self._fields(message)
        return self._text(inside, OPSET_DOMAIN) or "ai.onnx", self._number(inside, OPSET_VERSION)

    def _node(self, message: Field) -> Node:
        inside = self._fields(message)
        return Node(
            name=self._text(inside, NODE_NAME),
            operator=self._text(inside, NODE_OPERATOR),
            domain=self._text(inside, NODE_DOMAIN),
            inputs=tuple(self._texts(inside, NODE_INPUT)),
            outputs=tuple(self._texts(inside, NODE_OUTPUT)),
        )

    def _constants(self, message: Field) -> Iterator[Weight]:
        """The tensor of a node ``Constant``, by the name of its output."""
        inside = self._fields(message)
        if self._text(inside, NODE_OPERATOR) != "Constant":
            return
        for attribute in inside:
            for tensor in self._fields(attribute) if attribute.number == NODE_ATTRIBUTE else ():
                if tensor.number == ATTRIBUTE_TENSOR and tensor.wire_type == LENGTH:
                    yield self._weight(tensor, self._text(inside, NODE_OUTPUT))

    def _weight(self, message: Field, name: str | None = None) -> Weight:
        inside = self._fields(message)
        entries = [self._fields(each) for each in inside if each.number == TENSOR_EXTERNAL_DATA]
        external = {self._text(each, ENTRY_KEY): self._text(each, ENTRY_VALUE) for each in entries}
        return Weight(
            name=self._text(inside, TENSOR_NAME) if name is None else name,
            shape=tuple(self._numbers(inside, TENSOR_DIMS)),
            type=self._number(inside, TENSOR_TYPE),
            raw=next(((each.content, each.end) for each in inside if each.number == TENSOR_RAW_DATA), None),
            location=external.get("location"),
        )

    def _value(self, message: Field) -> Value:
        inside = self._fields(message)
        tensor = self._inside(self._inside(inside, VALUE_TYPE), TYPE_TENSOR)
        declared = any(each.number == TENSOR_TYPE_SHAPE for each in tensor)
        axes = self._inside(tensor, TENSOR_TYPE_SHAPE)
        return Value(
            name=self._text(inside, VALUE_NAME),
            type=self._number(tensor, TENSOR_TYPE_ELEMENT),
            shape=tuple(map(self._axis, axes)) if declared else None,
        )

    def _inside(self, message: list[Field], number: int) -> list[Field]:
        return next((self._fields(each) for each in message if each.number == number), [])

    def _axis(self, message: Field) -> int | str:
        inside = self._fields(message)
        name = self._text(inside, AXIS_NAME)
        return max(0, self._number(inside, AXIS_LENGTH)) or (name if 0 < len(name) <= LONGEST_NAME else "?")
