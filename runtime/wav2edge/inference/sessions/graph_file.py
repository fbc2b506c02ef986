"""Graphs without their weights, which stay in the file and are mapped into memory, so that no second copy is made.

ONNX Runtime reads a model file whole, copies each weight out of it, and packs each copy once more for its processor.
Weights in an external file it maps instead, and releases as soon as they are packed. A bundle's graph is one
self-contained file, so the engine passes the graph with each large weight declared as external data in that same file.
At XLSR-53's shape (317 MB, int8) the load took a third of the time, and the process at its largest 0.66 of the memory.

The file is Protocol Buffers (https://protobuf.dev/programming-guides/encoding) of the schema ``onnx.proto``
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Only three levels of it are walked, so ``onnx`` is not needed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGE_BYTES = 1 << 16
"""Smaller tensors are biases and shapes, which ONNX Runtime folds and reads while it loads: they stay in the graph."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types of Protocol Buffers."""
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_RAW_DATA, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 9, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1
"""``TensorProto.DataLocation.EXTERNAL``."""
LOCATION = b"\n\x08location"
"""How the place of a tensor outside of its graph begins: a field 1 of 8 bytes, ``location``."""


@dataclass(frozen=True, kw_only=True)
class MappedGraph:
    """A graph that refers to its large weights by their place in its file.

    Attributes:
        model: a serialised ``ModelProto``.
        folder: the folder that the places are relative to.
        is_one_file: no weight was in another file before.
    """

    model: bytes
    folder: Path
    is_one_file: bool


@dataclass(frozen=True)
class Field:
    """One field of a message: where it starts, where its content starts, and where it ends."""

    number: int
    wire_type: int
    start: int
    content: int
    end: int


def map_graph(path: Path) -> MappedGraph:
    """Replace the large weights of a graph by references to their place in the file.

    Args:
        path: an ONNX file. Where it is a link, as in the Hub's cache, the places are in the file it points to.

    Raises:
        ValueError: the file is not Protocol Buffers.
        OSError: it cannot be read.
    """
    real = path.resolve()
    with real.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        model = _model(content, real.name)
        placed = model.count(LOCATION + _message(ENTRY_VALUE, real.name.encode()))
        return MappedGraph(model=model, folder=real.parent, is_one_file=model.count(LOCATION) == placed)


def _model(content: mmap.mmap | bytes, name: str) -> bytes:
    parts = [
        _message(MODEL_GRAPH, _graph(content, field, name)) if _is(field, MODEL_GRAPH) else _copy(content, field)
        for field in fields(content, 0, len(content))
    ]
    return b"".join(parts)


def _graph(content: mmap.mmap | bytes, graph: Field, name: str) -> bytes:
    parts = [
        _message(GRAPH_INITIALIZER, _tensor(content, field, name))
        if _is(field, GRAPH_INITIALIZER)
        else _copy(content, field)
        for field in fields(content, graph.content, graph.end)
    ]
    return b"".join(parts)


def _tensor(content: mmap.mmap | bytes, tensor: Field, name: str) -> bytes:
    if tensor.end - tensor.content < LARGE_BYTES:
        return content[tensor.content : tensor.end]
    parts = []
    for field in fields(content, tensor.content, tensor.end):
        size = field.end - field.content
        if _is(field, TENSOR_RAW_DATA) and size >= LARGE_BYTES:
            place = {"location": name, "offset": str(field.content), "length": str(size)}
            parts += [_message(TENSOR_EXTERNAL_DATA, _entry(key, value)) for key, value in place.items()]
            parts.append(_varint(TENSOR_DATA_LOCATION << 3 | VARINT) + _varint(EXTERNAL))
        elif field.number != TENSOR_DATA_LOCATION:  # the last one would count
            parts.append(_copy(content, field))
    return b"".join(parts)


def _entry(key: str, value: str) -> bytes:
    """A ``StringStringEntryProto``."""
    return _message(ENTRY_KEY, key.encode()) + _message(ENTRY_VALUE, value.encode())


def _is(field: Field, number: int) -> bool:
    return field.number == number and field.wire_type == LENGTH


def _copy(content: mmap.mmap | bytes, field: Field) -> bytes:
    return content[field.start : field.end]


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(content)) + content


def fields(content: mmap.mmap | bytes, position: int, end: int) -> Iterator[Field]:
    """The fields between two positions, none of which may reach past the end."""
    while position < end:
        start = position
        tag, position = read_varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        size, position = _extent(content, wire_type, position)
        if number == 0 or position + size > end:
            raise ValueError(f"damaged at byte {start}")
        yield Field(number, wire_type, start, position, position + size)
        position += size


def _extent(content: mmap.mmap | bytes, wire_type: int, position: int) -> tuple[int, int]:
    """Bytes of a field's content, and where it starts."""
    if wire_type == LENGTH:
        return read_varint(content, position)
    if wire_type == VARINT:
        return read_varint(content, position)[1] - position, position
    if wire_type in FIXED_BYTES:
        return FIXED_BYTES[wire_type], position
    raise ValueError(f"unknown wire type {wire_type} at byte {position}")


def read_varint(content: mmap.mmap | bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, least significant first, and the position behind it."""
    value = 0
    for count in range(10):
        if position + count >= len(content):
            break
        byte = content[position + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, position + count + 1
    raise ValueError(f"truncated varint at byte {position}")


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
