"""What is wrong with somebody's wav2vec2 graph: each check reads the graph and gives at most one finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.evaluation.diagnosis.findings import Finding
from wav2edge.evaluation.diagnosis.graph_anatomy import INT8_PRODUCTS, Anatomy
from wav2edge.evaluation.diagnosis.onnx_graph import INT8, STANDARD, Node, read_onnx
from wav2edge.evaluation.diagnosis.opening_faults import opening
from wav2edge.inference.sessions.cpu import int8_features, native_target

EXPORT = "export from the checkpoint: wav2edge export CHECKPOINT --output BUNDLE"
RUNTIME_DOMAINS = frozenset({"com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "ai.onnx.preview.training"})
"""Domains of operators that every ONNX Runtime has, next to the standard ones."""
PASSING = frozenset({"Cast", "Identity", "Where", "Dropout", "Reshape"})
"""Operators between a softmax and the product that reads it."""
WIDEST_EXACT = 64
"""Of 8-bit weights by magnitude: two products with unsigned 8-bit activations fit 16 bits, 2 * 255 * 64 < 32,768."""


def diagnose_graph(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Facts of an ONNX file, and what is wrong with it.

    Raises:
        MissingDependencyError: there is no ONNX Runtime to open it with.
    """
    try:
        graph = read_onnx(path)
    except (OSError, ValueError) as error:
        return {}, [_unreadable(path, error)]
    anatomy = Anatomy(graph)
    findings = [found for check in CHECKS if (found := check(anatomy)) is not None]
    facts = _facts(anatomy)
    if any(each.severity == "unusable" for each in findings):
        return facts, findings  # ONNX Runtime would say the same once more
    facts["providers"], refused = opening(path)
    return facts, findings + refused


def _facts(anatomy: Anatomy) -> dict[str, Any]:
    graph = anatomy.graph
    operators = Counter(node.operator for node in graph.nodes)
    return {
        "producer": graph.producer,
        "ir_version": graph.ir_version,
        "opsets": dict(graph.opsets),
        "inputs": list(map(str, graph.inputs)),
        "outputs": list(map(str, graph.outputs)),
        "size_bytes": graph.path.stat().st_size,
        "nodes": len(graph.nodes),
        "quantized_products": len(anatomy.quantized),
        "float_products": len(anatomy.float_products),
        "operators": dict(operators.most_common()),
    }


def _unreadable(path: Path, error: Exception) -> Finding:
    reason = getattr(error, "strerror", None) or str(error)
    return Finding(
        name="unreadable",
        severity="unusable",
        where=path.name,
        meaning=f"it is no ONNX file that can be read: {reason}",
        remedy="copy or export it again; a Git LFS pointer is a text of three lines: run git lfs pull",
    )


def _fault(anatomy: Anatomy, name: str, where: str, meaning: str, remedy: str, **figures: Any) -> Finding:
    file = anatomy.graph.path.name
    where = f"{file}: {where}" if where else file
    return Finding(name=name, severity="fault", where=where, meaning=meaning, remedy=remedy, figures=figures)


def _no_waveforms(anatomy: Anatomy) -> Finding | None:
    if anatomy.waveforms is not None:
        return None
    inputs = ", ".join(map(str, anatomy.graph.inputs)) or "none"
    return _fault(
        anatomy,
        "no-waveform-input",
        f"inputs {inputs}",
        "none of its inputs is [batch, samples] of floats: it is no wav2vec2 graph, or an encoder without its front",
        EXPORT,
    )


def _missing_mask(anatomy: Anatomy) -> Finding | None:
    waveforms = anatomy.waveforms
    if waveforms is None or len(anatomy.graph.inputs) > 1 or (waveforms.shape and waveforms.shape[0] == 1):
        return None
    return _fault(
        anatomy,
        "missing-mask",
        f"input {waveforms}",
        "it takes clips in batches and no mask: the padding of shorter clips is heard, and changes their answers",
        "run one clip at a time, or export with a mask: wav2edge export CHECKPOINT --batched --output BUNDLE",
    )


def _fixed_length(anatomy: Anatomy) -> Finding | None:
    shape = anatomy.waveforms.shape if anatomy.waveforms is not None else None
    if not shape or not isinstance(shape[-1], int):
        return None
    return _fault(
        anatomy,
        "fixed-length",
        f"input {anatomy.waveforms}",
        f"it takes clips of {shape[-1]} samples ({shape[-1] / 16_000:g} s at 16 kHz) and no others",
        f"export it with dynamic axes, or {EXPORT}",
        samples=shape[-1],
    )


def _decomposed_norms(anatomy: Anatomy) -> Finding | None:
    found = list(_norms(anatomy))
    if not found:
        return None
    return _fault(
        anatomy,
        "decomposed-layernorm",
        _first(found),
        f"{_counted(found, 'layer normalisation')} written as nine operators: slower wherever they are not fused again,"
        " and in half precision the square among them overflows",
        f"export it for opset 17 or later, which has LayerNormalization, or {EXPORT}",
        count=len(found),
    )


def _norms(anatomy: Anatomy) -> Iterator[Node]:
    """Quotients ``(x - mean) / sqrt(variance + eps)`` over the last axis that a weight per feature then scales."""
    for node in anatomy.graph.nodes:
        if node.operator != "Div" or tuple(map(anatomy.above, node.inputs)) != ("Sub", "Sqrt"):
            continue
        mean = next(reversed(anatomy.producers[node.inputs[0]].inputs), "")
        scaled = (each for each in anatomy.readers(node) if each.operator == "Mul")
        weights = (anatomy.weight(name) for each in scaled for name in each.inputs)
        if anatomy.above(mean) == "ReduceMean" and any(w and len(w.shape) == 1 for w in weights):
            yield node


def _integer_convolutions(anatomy: Anatomy) -> Finding | None:
    """512 channels, kernel 3, one core with VNNI, ONNX Runtime 1.32: 3 times Conv's time signed, 0.7 unsigned."""
    found = [node for node in anatomy.graph.nodes if node.operator == "ConvInteger"]
    if not found:
        return None
    return _fault(
        anatomy,
        "conv-integer",
        _first(found),
        f"{_counted(found, 'convolution')} quantised as ConvInteger: with signed weights slower than in fp32, and"
        " refused by some versions of ONNX Runtime; one that hears the waveform itself loses its quiet sounds",
        f"quantise MatMuls only (op_types_to_quantize=['MatMul']), or {EXPORT}",
        count=len(found),
    )


def _partly_quantized(anatomy: Anatomy) -> Finding | None:
    done, left = len(anatomy.quantized), len(anatomy.float_products)
    if not done or not left:
        return None
    return _fault(
        anatomy,
        "partly-quantised",
        "",
        f"{done} of {done + left} products with weights are quantised; the quantiser has left out {left}",
        f"check the quantiser's lists of nodes and its version, or {EXPORT}",
        quantized=done,
        left=left,
    )


def _unfused_attention(anatomy: Anatomy) -> Finding | None:
    found = [node for node in anatomy.graph.nodes if node.operator == "Softmax" and _leads_to_product(anatomy, node)]
    if not found:
        return None
    return _fault(
        anatomy,
        "unfused-attention",
        _first(found),
        f"{_counted(found, 'attention layer')} written as MatMul, Softmax, MatMul: heads are transposed, and scores"
        " [heads, frames, frames] stored in between, which grow with the square of the length",
        f"fuse it (onnxruntime.transformers.optimizer), or {EXPORT}",
        count=len(found),
    )


def _leads_to_product(anatomy: Anatomy, node: Node, depth: int = 4) -> bool:
    """Whether a product of two tensors that both depend on the input reads a node, or what only passes it on."""
    for each in anatomy.readers(node):
        if each.operator == "MatMul" and all(anatomy.weight(name) is None for name in each.inputs):
            return True
        if depth and each.operator in PASSING and _leads_to_product(anatomy, each, depth - 1):
            return True
    return False


def _external_data(anatomy: Anatomy) -> Finding | None:
    graph = anatomy.graph
    files = sorted({each.location for each in graph.weights.values() if each.location is not None})
    if not files:
        return None
    missing = [name for name in files if not (graph.path.parent / name).is_file()]
    return Finding(
        name="external-data",
        severity="unusable" if missing else "note",
        where=f"{graph.path.name}: {', '.join(missing or files)}",
        meaning=f"its weights are in {', '.join(files)}{', which is not there' if missing else ''}",
        remedy="put the file back next to it, under that name" if missing else "copy both files together",
        figures={"files": files, "missing": missing},
    )


def _custom_domains(anatomy: Anatomy) -> Finding | None:
    own = {*STANDARD, *RUNTIME_DOMAINS, *anatomy.graph.local_domains}
    found = [node for node in anatomy.graph.nodes if node.domain not in own]
    if not found:
        return None
    names = ", ".join(sorted({f"{node.domain}:{node.operator}" for node in found}))
    return _fault(
        anatomy,
        "custom-domain",
        _first(found),
        f"{_counted(found, 'node')} of a library that ONNX Runtime does not come with: {names}",
        f"ship the library and register it, or {EXPORT}",
        operators=names,
    )


def _float_weights(anatomy: Anatomy) -> Finding | None:
    found = {each.name: each for each in anatomy.float_products}.values()
    if not found:
        return None
    now = sum(4 * each.elements for each in found)
    return _fault(
        anatomy,
        "float-weights",
        "",
        f"{now / 1e6:.2f} MB of weights are fp32 that an export by wav2edge stores in 8 bits:"
        f" {3 * now / 4e6:.2f} MB less to ship, load and keep in memory",
        "export from the checkpoint, which measures what 8 bits cost: wav2edge export CHECKPOINT --output BUNDLE",
        fp32_bytes=now,
        saved_bytes=3 * now // 4,
    )


def _saturation(anatomy: Anatomy) -> Finding | None:
    if not int8_features() or native_target()[0] != "avx2":
        return None
    products = [node for node in anatomy.graph.nodes if node.operator in INT8_PRODUCTS]
    wide = [node for node in products if any(_is_wide(anatomy, name) for name in node.inputs)]
    if not wide:
        return None
    return _fault(
        anatomy,
        "int8-saturation",
        _first(wide),
        f"{_counted(wide, 'product')} with signed 8-bit weights, and this processor has no VNNI: sums saturate, and"
        " logits drift",
        "quantise with reduce_range=True, or export with --target avx2",
        count=len(wide),
    )


def _is_wide(anatomy: Anatomy, name: str) -> bool:
    weight = anatomy.graph.weights.get(name)
    if weight is None or weight.type != INT8 or len(weight.shape) < 2:
        return False
    values = np.frombuffer(anatomy.graph.bytes_of(weight), np.int8).astype(np.int16)
    return bool(values.size and np.abs(values).max() > WIDEST_EXACT)


def _counted(nodes: list[Node], thing: str) -> str:
    return f"{len(nodes)} {thing}{'s' if len(nodes) > 1 else ''}"


def _first(nodes: list[Node]) -> str:
    others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
    return f"node {nodes[0].name or next(iter(nodes[0].outputs), nodes[0].operator)}{others}"


CHECKS: tuple[Callable[[Anatomy], Finding | None], ...] = (
    _no_waveforms,
    _missing_mask,
    _fixed_length,
    _decomposed_norms,
    _integer_convolutions,
    _partly_quantized,
    _unfused_attention,
    _external_data,
    _custom_domains,
    _float_weights,
    _saturation,
)
