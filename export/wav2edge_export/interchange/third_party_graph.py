"""A wav2vec2 CTC graph that somebody else exported: its input and output found by shape, and made those of a bundle.

Optimum writes ``input_values`` and ``logits`` and leaves the normalisation to the feature extractor; ``torch.onnx``
writes whatever names it was given. Some graphs take a mask, some have the normalisation inside, some keep their weights
in another file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from wav2edge.bundle.heads import CtcHead
from wav2edge.errors import BundleError
from wav2edge.inference.many_clips import INPUT
from wav2edge_export.interchange.graph_editing import PREFIX, NewNodes, drop_unused, rename
from wav2edge_export.rewrite.inputs.waveform_normalization import ZeroMeanUnitVariance
from wav2edge_export.rewrite.onnx_export import LARGEST_GRAPH_BYTES
from wav2edge_train.checkpoint.library_logging import first_line, quiet_exporters

LEAST_OPSET, LARGEST_TRACED_OPSET = 13, 20
"""What the nodes that are added need, and the newest that PyTorch's tracer writes."""
MASK_TYPES = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT)
QUANTIZED_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "int4": ("MatMulNBits",),
    "int8": (
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "DequantizeLinear",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    ),
}
"""Operators by which a precision is known, the lowest first."""


@dataclass(frozen=True, kw_only=True)
class ThirdPartyGraph:
    """A graph and the tensors in it that matter.

    Attributes:
        path: its file, for messages.
        model: with its weights.
        waveforms: the input ``[batch, samples]`` float32.
        mask: the input of the same shape that tells clips from padding; None where there is none.
        outputs: those that could be ``[batch, frames, vocabulary]`` float32 by what the graph declares.
        batch: 1 where it takes no other number of clips.
    """

    path: Path
    model: onnx.ModelProto
    waveforms: str
    mask: onnx.ValueInfoProto | None
    outputs: tuple[str, ...]
    batch: int | None

    @property
    def precision(self) -> str:
        """The precision of its weights, by its operators."""
        operators = {node.op_type for node in self.model.graph.node}
        for precision, names in QUANTIZED_OPERATORS.items():
            if operators & set(names):
                return precision
        half = any(each.data_type == TensorProto.FLOAT16 for each in self.model.graph.initializer)
        return "fp16" if half else "fp32"

    @property
    def operators(self) -> str:
        """``fused`` where operators of ONNX Runtime are among its own, or else ``standard``."""
        domains = {node.domain for node in self.model.graph.node}
        return "standard" if domains <= {"", "ai.onnx"} else "fused"

    def serving(self, output: str, head: CtcHead, *, normalized: bool) -> onnx.ModelProto:
        """The graph as one of a bundle: raw waveforms in, the output of the head out, under the names of a bundle.

        Args:
            output: which of ``outputs``.
            head: what it means.
            normalized: the graph is given waveforms of zero mean and unit variance, and that is put in front of it.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        own = f"{PREFIX}.waveforms" if normalized else INPUT
        for old, new in ((self.waveforms, own), (output, head.output)):
            if old != new:
                rename(graph, new, f"{PREFIX}.other.{new}")
                rename(graph, old, new)
        if self.mask is not None:
            _count_everything(graph, self.mask)
        if normalized:
            _normalize(model, own)
        batch = self.batch or "batch"
        for field in (graph.input, graph.output, graph.value_info):
            del field[:]
        width = len(head.vocabulary)
        graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, "samples"]))
        graph.output.append(helper.make_tensor_value_info(head.output, TensorProto.FLOAT, [batch, "frames", width]))
        drop_unused(graph)
        return model


def read_graph(path: Path, head: CtcHead) -> ThirdPartyGraph:
    """Read a graph and find its input and what could be its output.

    Args:
        path: an ONNX file; weights in another file next to it are read, too.
        head: what the output should be.

    Raises:
        BundleError: it is no ONNX file, or no graph from waveforms to scores of such a vocabulary.
    """
    model = _load(path)
    if (opset := _opset(model)) < LEAST_OPSET:
        raise BundleError(f"{path}: made for opset {opset}; export it for opset {LEAST_OPSET} or later")
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    # A mask may be of floats as well, and come first.
    likely_first = sorted(inputs, key=lambda each: "mask" in each.name.lower())
    waveforms = [each for each in likely_first if _type(each) == TensorProto.FLOAT and len(_sizes(each)) == 2]
    masks = [
        each for each in inputs if each not in waveforms[:1] and _type(each) in MASK_TYPES and len(_sizes(each)) == 2
    ]
    if not waveforms or len(inputs) > 1 + len(masks) or len(masks) > 1:
        raise BundleError(
            f"{path}: its inputs are {_described(inputs)}; waveforms [batch, samples] float32 are needed, and nothing"
            " else but a mask of them"
        )
    batch, samples = _sizes(waveforms[0])
    if samples or (batch or 1) > 1:
        raise BundleError(
            f"{path}: takes {batch or 'any number of'} clips of {samples or 'any number of'} samples and no others;"
            " export it with dynamic axes"
        )
    return ThirdPartyGraph(
        path=path,
        model=model,
        waveforms=waveforms[0].name,
        mask=masks[0] if masks else None,
        outputs=tuple(_scores(path, model, len(head.vocabulary))),
        batch=batch,
    )


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path))
    except Exception as error:  # the file system, protocol buffers and onnx each raise their own kind
        raise BundleError(f"{path}: no ONNX file that can be read ({first_line(error)}); export it again") from None
    size_bytes = sum(each.ByteSize() for each in model.graph.initializer)
    if size_bytes >= LARGEST_GRAPH_BYTES:
        raise BundleError(f"{path}: {size_bytes / 1e9:.1f} GB do not fit one ONNX file of 2 GB; quantise it first")
    return model


def _opset(model: onnx.ModelProto) -> int:
    """The version of the standard operators, which a file may give under both of their names; 0 where it does not."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)


def _scores(path: Path, model: onnx.ModelProto, width: int) -> Iterator[str]:
    """Outputs that could be scores of so many tokens, those that say so first."""
    outputs = [each for each in model.graph.output if _type(each) == TensorProto.FLOAT]
    sure = [each for each in outputs if len(_sizes(each)) == 3 and _sizes(each)[2] == width]
    maybe = [each for each in outputs if each not in sure and len(_sizes(each)) in (0, 3) and not any(_sizes(each)[2:])]
    if not sure and not maybe:
        raise BundleError(
            f"{path}: its outputs are {_described(model.graph.output)}; [batch, frames, {width}] float32 is needed, for"
            f" the checkpoint has {width} tokens"
        )
    yield from (each.name for each in sure or maybe)


def _type(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Its lengths by axis, 0 for those that vary; empty where nothing is declared."""
    return [each.dim_value for each in value.type.tensor_type.shape.dim]


def _described(values: Iterable[onnx.ValueInfoProto]) -> str:
    names = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return ", ".join(
        f"{each.name} [{', '.join(str(size or '?') for size in _sizes(each))}]"
        f" {names.get(_type(each), f'of type {_type(each)}')}"
        for each in values
    )


def _count_everything(graph: onnx.GraphProto, mask: onnx.ValueInfoProto) -> None:
    """A mask that is 1 everywhere in place of the input: a bundle without one takes a clip at a time."""
    nodes = NewNodes(graph, "mask")
    one = helper.make_tensor("one", _type(mask), [1], [1])
    nodes.add("ConstantOfShape", nodes.add("Shape", INPUT), output=mask.name, value=one)
    nodes.put_in_front()


def _normalize(model: onnx.ModelProto, waveforms: str) -> None:
    """Put the normalisation that every export of wav2edge has in front of a graph that reads ``waveforms``."""
    with tempfile.TemporaryDirectory() as folder, quiet_exporters():
        path = str(Path(folder) / "normalization.onnx")
        torch.onnx.export(
            ZeroMeanUnitVariance(),
            (torch.zeros(1, 16_000),),
            path,
            input_names=["raw"],
            output_names=["normalized"],
            dynamic_axes={name: {0: "batch", 1: "samples"} for name in ("raw", "normalized")},
            opset_version=min(_opset(model), LARGEST_TRACED_OPSET),
            dynamo=False,
        )
        front = add_prefix(onnx.load(path), f"{PREFIX}.normalization.").graph
    rename(front, front.input[0].name, INPUT)
    rename(front, front.output[0].name, waveforms)
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*front.node, *own])
    model.graph.initializer.extend(front.initializer)
