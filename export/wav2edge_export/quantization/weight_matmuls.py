"""Every weight MatMul of a graph at the level it is given: int4, int8, int8 by row, or floating point.

Activations are then quantised before they are stacked, so that bytes are copied where numbers of four bytes were. The
graph rewrite turns convolutions into MatMuls over stacked frames, and ``quantize_dynamic`` quantises the input of a
MatMul: the stack, which holds each frame 1.5 times in the feature encoder and 16 times in the positional convolution.
Quantising is element by element with one scale per tensor, and stacking only moves elements: the two can be swapped.
The frames are then quantised once, and the stack is a quarter of its size, which is most of the memory of long clips:
196 MB for the second convolution of XLSR-53 and ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from wav2edge.errors import ParityError
from wav2edge.inference.sessions.cpu import TARGETS, Target
from wav2edge_export.quantization.graph_writing import producers_of, without_unread
from wav2edge_export.quantization.recipes import Level
from wav2edge_export.quantization.skip_norms import keep_sums_apart
from wav2edge_train.checkpoint.library_logging import quiet_exporters

WEIGHT_OPERATOR = "MatMul"
"""Gemm is left alone: it is the classifier, one row per clip."""
FEWEST_IN_FEATURES = 16
"""MatMuls with fewer input features stay in floating point: that is the first convolution, whose weights are few, and
whose input is the waveform, where eight bits for the loudest sample leave two or three for the quiet ones."""
INT4_BLOCK = 64
"""Weights that share a scale: 4 + 32 / 64 = 4.5 bits each, 0.56 of int8's; blocks of 32 would be 0.62, of 128 0.53."""
INT4_ACCURACY_LEVEL = 4
"""8-bit activations, scaled per row and block, and integer arithmetic; the default multiplies in float.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
"""
LARGE = 1 << 19
"""Weights of a MatMul over stacked frames that is computed in parts: those of the encoder, not of positions."""
QUANTIZE = "DynamicQuantizeLinear"
MOVEMENTS = frozenset({"Gather", "Reshape", "Slice", "Split"})
"""Operators that move the elements of their first input, whatever these are."""
STACKING = "Gather"
"""The movement that writes elements more than once; without one on the way, quantising stays where it is."""


@dataclass(frozen=True, kw_only=True)
class WeightMatMul:
    """A MatMul with constant weights ``[in_features, out_features]``, by the name of its node."""

    name: str
    in_features: int
    out_features: int


def weight_matmuls(path: Path) -> list[WeightMatMul]:
    """A graph's MatMuls with constant weights that are large enough to quantise, in the graph's order."""
    graph = onnx.load(str(path), load_external_data=False).graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer if len(tensor.dims) == 2}
    found = ((node.name, weights.get(node.input[1])) for node in graph.node if node.op_type == WEIGHT_OPERATOR)
    return [
        WeightMatMul(name=name, in_features=shape[0], out_features=shape[1])
        for name, shape in found
        if shape is not None and shape[0] >= FEWEST_IN_FEATURES
    ]


def assign(matmuls: Sequence[WeightMatMul], base: Level, parts: Mapping[str, Level]) -> dict[str, Level]:
    """The level of each MatMul by its name: that of the first part that the name contains, else the base."""
    return {
        matmul.name: next((level for part, level in parts.items() if part in matmul.name), base) for matmul in matmuls
    }


def quantize_matmuls(
    source: Path, path: Path, levels: Mapping[str, Level], *, target: Target = TARGETS["vnni"]
) -> None:
    """Write a copy of the fp32 graph for CPUs: each weight MatMul at its level, and activations quantised early.

    Args:
        source: the fp32 graph.
        path: the file to write.
        levels: by the name of the MatMul; what is not named stays in floating point.
        target: the kind of processor that int8 MatMuls are made for.

    Raises:
        ParityError: ONNX Runtime left a MatMul in floating point that was to be quantised.
    """
    quantize_in_place(source, path, levels, target=target)
    quantize_before_stacking(path)
    keep_sums_apart(path)


def quantize_in_place(source: Path, path: Path, levels: Mapping[str, Level], *, target: Target) -> None:
    """The same with each MatMul quantised between its own input and output.

    int8 weights are symmetric and per channel, with 8-bit activations scaled per clip; int4 weights are symmetric and
    per block.
    """
    path.write_bytes(source.read_bytes())
    if "int8 by row" in levels.values():
        _compute_large_ones_in_parts(path, levels)
    with quiet_exporters():
        for level, quantize in _QUANTIZERS.items():
            names = [name for name, wanted in levels.items() if wanted == level]
            if names:
                quantize(path, names, target)


def _compute_large_ones_in_parts(path: Path, levels: Mapping[str, Level]) -> None:
    """Compute large MatMuls over stacked floats in parts, as those by row are."""
    from wav2edge_export.quantization.stacked_parts import compute_in_parts  # here: few graphs need it

    large = (each for each in weight_matmuls(path) if each.in_features * each.out_features >= LARGE)
    compute_in_parts(path, [each.name for each in large if levels.get(each.name) == "float"])


def _quantize_int8(path: Path, names: Sequence[str], target: Target) -> None:
    quantize_dynamic(
        path,
        path,
        op_types_to_quantize=[WEIGHT_OPERATOR],
        nodes_to_quantize=names,
        weight_type=QuantType.QInt8 if target.signed else QuantType.QUInt8,
        per_channel=True,
        reduce_range=target.weight_bits < 8,
        extra_options={"WeightSymmetric": True},
    )
    _check_count(path, "int8", "MatMulInteger", len(names))


def _quantize_int8_by_row(path: Path, names: Sequence[str], target: Target) -> None:
    from wav2edge_export.quantization.row_quantization import quantize_by_row  # here: few graphs need it

    quantize_by_row(path, names, target)


def _quantize_int4(path: Path, names: Sequence[str], target: Target) -> None:
    model = onnx.load(str(path))
    # Its list of nodes to include is ignored for operators that it knows: the others are excluded instead.
    others = [node.name for node in model.graph.node if node.name not in set(names)]
    quantizer = MatMulNBitsQuantizer(
        model,
        bits=4,
        block_size=INT4_BLOCK,
        is_symmetric=True,
        accuracy_level=INT4_ACCURACY_LEVEL,
        nodes_to_exclude=others,
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(path), use_external_data_format=False)
    _check_count(path, "int4", "MatMulNBits", len(names))


_QUANTIZERS: dict[Level, Callable[[Path, Sequence[str], Target], None]] = {
    "int8": _quantize_int8,
    "int8 by row": _quantize_int8_by_row,
    "int4": _quantize_int4,
}
"""int8 goes first: it infers the shapes of the whole graph, which MatMulNBits hides from it."""


def _check_count(path: Path, level: Level, operator: str, intended: int) -> None:
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    quantized = sum(node.op_type == operator for node in nodes)
    if quantized != intended:
        raise ParityError(
            f"{level}: {quantized} weight MatMuls were quantised where {intended} were intended;"
            " this version of ONNX Runtime's quantiser skips some: install the one in constraints.txt"
        )


def quantize_before_stacking(path: Path) -> int:
    """Move the quantising of stacked activations in front of the stacking, in place.

    Returns:
        Products whose activations are now quantised earlier.
    """
    model = onnx.load(str(path))
    moved = _Rewriting(model.graph).run()
    if moved:
        onnx.save(model, str(path))
    return moved


class _Rewriting:
    """One graph while its quantising moves; new nodes stand right behind those that they take over from."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._producers = producers_of(graph)
        self._behind: dict[str, list[onnx.NodeProto]] = {}
        self._quantized: dict[str, tuple[str, str, str]] = {}

    def run(self) -> int:
        """Move what can be moved."""
        renamed: dict[str, str] = {}
        for node in self._graph.node:
            way = self._way_up(node.input[0]) if node.op_type == QUANTIZE else []
            if any(step.op_type == STACKING for step in way):
                renamed |= zip(node.output, self._moved(node.input[0], way), strict=True)
        if renamed:
            self._rewire(renamed)
        return len(renamed) // 3

    def _way_up(self, tensor: str) -> list[onnx.NodeProto]:
        """The movements between a tensor and where it was computed, last one first."""
        way = []
        while (node := self._producers.get(tensor)) is not None and node.op_type in MOVEMENTS:
            way.append(node)
            tensor = node.input[0]
        return way

    def _moved(self, tensor: str, way: Sequence[onnx.NodeProto]) -> tuple[str, str, str]:
        """Names of the tensor in eight bits, of its scale and of its zero point, quantised at the top of its way."""
        top = way[-1].input[0]
        if top not in self._quantized:
            self._quantized[top] = self._quantize(top)
        _, scale, zero_point = self._quantized[top]
        for step in reversed(way):
            if step.output[0] not in self._quantized:
                self._repeat_in_bytes(step, scale, zero_point)
        return self._quantized[tensor]

    def _quantize(self, tensor: str) -> tuple[str, str, str]:
        names = (_in_bytes(tensor), f"{tensor}_scale", f"{tensor}_zero_point")
        self._place(tensor, onnx.helper.make_node(QUANTIZE, [tensor], names, name=f"{tensor}_{QUANTIZE}"))
        return names

    def _repeat_in_bytes(self, step: onnx.NodeProto, scale: str, zero_point: str) -> None:
        twin = onnx.NodeProto()
        twin.CopyFrom(step)
        twin.name = f"{_in_bytes(step.output[0])}_{step.op_type}"
        twin.input[0] = self._quantized[step.input[0]][0]
        for index, output in enumerate(step.output):
            twin.output[index] = _in_bytes(output)
            self._quantized[output] = (_in_bytes(output), scale, zero_point)
        self._place(step.output[0], twin)

    def _place(self, tensor: str, node: onnx.NodeProto) -> None:
        self._behind.setdefault(tensor, []).append(node)

    def _rewire(self, renamed: dict[str, str]) -> None:
        """Put the new nodes in, let the products read them, and remove what nothing reads any more."""
        nodes = list(self._in_order())
        for node in nodes:
            for index, name in enumerate(node.input):
                node.input[index] = renamed.get(name, name)
        kept = without_unread(nodes, {output.name for output in self._graph.output})
        del self._graph.node[:]
        self._graph.node.extend(kept)

    def _in_order(self) -> Iterator[onnx.NodeProto]:
        for value in self._graph.input:
            yield from self._behind.get(value.name, ())
        for node in self._graph.node:
            yield node
            for output in node.output:
                yield from self._behind.get(output, ())


def _in_bytes(name: str) -> str:
    return f"{name}_in_bytes"
