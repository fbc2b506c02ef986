"""fp16: half the bytes, for GPUs; what half precision cannot hold stays in float32."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from wav2edge.errors import ParityError
from wav2edge_export.quantization.weight_matmuls import WEIGHT_OPERATOR
from wav2edge_train.checkpoint.library_logging import quiet_exporters

ADDED_CAST = "_cast"
"""In the names of the casts that ONNX Runtime's converter adds."""
FOR_GPUS = "SkipLayerNormalization"
"""An operator that only graphs for GPUs have."""
LAYER_NORMS = ("LayerNormalization", FOR_GPUS)
"""Their kernels for GPUs read and write half precision and sum in float32; others sum in half precision."""
FLOAT_OPERATORS = (
    "GroupNormalization",
    "InstanceNormalization",
    "Softmax",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Pow",
    "Sqrt",
    "Range",
)
"""Statistics and probabilities: sums of many terms, which lose their small ones in half precision or overflow it."""
FLOAT_PARTS = ("/normalization/", "/features/", "/norm/", "/normalized/", "/norms.0/", "/embed_positions/")
"""The waveform's normalisation, whose eps of 1e-7 is next to nothing in half precision and whose count of samples is
beyond its largest number, and log-mel features, which have both; the group norm of wav2vec2-base's encoder, whose
statistics span the whole clip; and the Conformer's positions, whose angles are of up to thousands of frames."""


def convert_to_fp16(source: Path, target: Path) -> None:
    """Write a copy of the fp32 graph in fp16; inputs and outputs stay float32.

    Raises:
        ParityError: ONNX Runtime's converter left weights of a MatMul in float32.
    """
    model = onnx.load(str(source))
    kept = [
        node.name
        for node in model.graph.node
        if any(part in node.name for part in FLOAT_PARTS) and node.op_type not in LAYER_NORMS
    ]
    for_gpu = any(node.op_type == FOR_GPUS for node in model.graph.node)
    intended = _matmul_weights(model.graph)
    with quiet_exporters():
        half = convert_float_to_float16(
            model,
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FLOAT_OPERATORS, *(() if for_gpu else LAYER_NORMS)],
            node_block_list=kept,
        )
    _join_casts(half.graph)
    OnnxModel(half).topological_sort()  # the converter adds its casts at the end, which ONNX does not allow
    onnx.save(half, str(target))
    converted = _matmul_weights(half.graph, onnx.TensorProto.FLOAT16)
    if converted != intended:
        raise ParityError(
            f"fp16: {len(converted)} weights were converted where {len(intended)} were intended;"
            " this version of ONNX Runtime's converter skips some: install the one in constraints.txt"
        )


def _join_casts(graph: onnx.GraphProto) -> None:
    """Let float32 nodes that follow each other hand on float32: the converter casts between them to half and back."""
    # The graph's own casts, of masks and counts, have other names.
    added = [node for node in graph.node if ADDED_CAST in node.name]
    halved = {node.output[0]: node.input[0] for node in added if _casts_to(node, onnx.TensorProto.FLOAT16)}
    whole = {
        node.output[0]: halved[node.input[0]]
        for node in added
        if _casts_to(node, onnx.TensorProto.FLOAT) and node.input[0] in halved
    }
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = whole.get(name, name)
    casts, outputs = {*halved, *whole}, {output.name for output in graph.output}
    while unused := casts & _made(graph) - outputs - {name for node in graph.node for name in node.input}:
        for node in [each for each in graph.node if each.output[0] in unused]:
            graph.node.remove(node)


def _made(graph: onnx.GraphProto) -> set[str]:
    return {node.output[0] for node in graph.node}


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and onnx.helper.get_node_attr_value(node, "to") == kind


def _matmul_weights(graph: onnx.GraphProto, kind: int = onnx.TensorProto.FLOAT) -> set[str]:
    """Names of MatMul weights ``[in_features, out_features]`` that are of this type."""
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2 and tensor.data_type == kind}
    return {name for name in _second_inputs(graph.node) if name in weights}


def _second_inputs(nodes: Iterable[onnx.NodeProto]) -> Iterable[str]:
    return (node.input[1] for node in nodes if node.op_type == WEIGHT_OPERATOR)
