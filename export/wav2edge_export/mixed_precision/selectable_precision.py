"""One graph that holds every weight matmul at every level and takes, call by call, which one to compute.

A session for each layer and level would load the model two hundred times at XLSR-53's shape; here it is loaded once.
Each matmul becomes a nested ``If`` over an input of switches, and ONNX Runtime computes the branch that is chosen and
no other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from wav2edge.inference.many_clips import INPUT
from wav2edge.inference.sessions.cpu import Target
from wav2edge.inference.sessions.device import import_onnxruntime, physical_cores
from wav2edge_export.quantization.graph_writing import producers_of
from wav2edge_export.quantization.recipes import LEVELS, QUANTIZED, Level
from wav2edge_export.quantization.weight_matmuls import WeightMatMul, quantize_in_place

SWITCHES = "switches"
"""The second input, ``[matmuls] int64``: the place of each matmul's level in ``LEVELS``."""
EXTERNAL = "selectable.weights"


class SelectablePrecisionGraph:
    """The fp32 graph with each matmul at a level that may change from call to call.

    Args:
        source: the fp32 graph.
        matmuls: those that can be switched; the others stay in floating point.
        outputs: names of the outputs that are asked for.
        target: of int8.
    """

    def __init__(
        self, source: Path, matmuls: Sequence[WeightMatMul], outputs: Sequence[str], *, target: Target
    ) -> None:
        self._outputs = list(outputs)
        self._places = {matmul.name: place for place, matmul in enumerate(matmuls)}
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = physical_cores()
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory(prefix="wav2edge-") as folder:
            path = _write(source, matmuls, Path(folder), target=target)
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def outputs(
        self, samples: npt.NDArray[np.float32], levels: Mapping[str, Level]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The outputs for one clip, without the batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz.
            levels: by the name of the matmul; what is not named is in floating point.
        """
        switches = np.full(len(self._places), LEVELS.index("float"))
        for name, level in levels.items():
            switches[self._places[name]] = LEVELS.index(level)
        values = self._session.run(self._outputs, {INPUT: samples[None], SWITCHES: switches})
        return {name: value[0] for name, value in zip(self._outputs, values, strict=True)}


def _write(source: Path, matmuls: Sequence[WeightMatMul], folder: Path, *, target: Target) -> Path:
    """The selectable graph as a file; its weights are in another file, since one ONNX file holds at most 2 GB."""
    model = onnx.load(str(source))
    branches: dict[Level, _Branches] = {"float": _Branches(model.graph)}
    for level in QUANTIZED:
        path = folder / f"{level}.onnx"
        quantize_in_place(source, path, dict.fromkeys((each.name for each in matmuls), level), target=target)
        branches[level] = _Branches(onnx.load(str(path)).graph)
    nodes, names = [], {matmul.name: place for place, matmul in enumerate(matmuls)}
    for node in model.graph.node:
        if node.name in names:
            nodes += _switched(node, names[node.name], branches)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info(SWITCHES, TensorProto.INT64, [len(matmuls)]))
    _drop_unused_weights(model.graph)
    if all(opset.domain != "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path = folder / "selectable.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location=EXTERNAL)
    return path


class _Branches:
    """Cuts what computes a matmul out of a graph."""

    def __init__(self, graph: GraphProto) -> None:
        self._makers = producers_of(graph)
        self._order = {output: place for place, node in enumerate(graph.node) for output in node.output}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}

    def cut(self, begin: str, end: str, name: str) -> GraphProto:
        """The nodes that make the tensor ``end`` out of the tensor ``begin``, with their weights, as a branch."""
        found: dict[int, NodeProto] = {}
        wanted = [end]
        while wanted:
            tensor = wanted.pop()
            if tensor != begin and tensor in self._makers and self._order[tensor] not in found:
                found[self._order[tensor]] = self._makers[tensor]
                wanted += self._makers[tensor].input
        nodes = [_renamed(found[place], end, name) for place in sorted(found)]
        weights = {each: self._weights[each] for node in nodes for each in node.input if each in self._weights}
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [output], list(weights.values()))


def _renamed(node: NodeProto, output: str, name: str) -> NodeProto:
    """A copy whose output of that name has another one: a branch may not give out what the graph around it holds."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = [name if each == output else each for each in node.output]
    return copy


def _switched(matmul: NodeProto, place: int, branches: Mapping[Level, _Branches]) -> list[NodeProto]:
    """The nodes that compute a matmul at the level its switch says."""
    begin, (end,) = matmul.input[0], matmul.output
    index = _number(place)
    nodes = [
        helper.make_node("Constant", [], [f"{end}.place"], value=index),
        helper.make_node("Gather", [SWITCHES, f"{end}.place"], [f"{end}.switch"]),
    ]
    otherwise = branches["float"].cut(begin, end, f"{end}.float")
    for level in QUANTIZED:
        value = _number(LEVELS.index(level))
        nodes += [
            helper.make_node("Constant", [], [f"{end}.{level}?"], value=value),
            helper.make_node("Equal", [f"{end}.switch", f"{end}.{level}?"], [f"{end}.is_{level}"]),
        ]
        chosen = branches[level].cut(begin, end, f"{end}.{level}")
        name = f"{end}.or_{level}"
        either = helper.make_node(
            "If", [f"{end}.is_{level}"], [name], then_branch=chosen, else_branch=otherwise, name=f"{name}/If"
        )
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        otherwise = helper.make_graph([either], name, [], [output])
    (outermost,) = otherwise.node
    outermost.output[0] = end
    return [*nodes, outermost]


def _number(value: int) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.int64))


def _drop_unused_weights(graph: GraphProto) -> None:
    """The weights of the matmuls are in their branches now."""
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
