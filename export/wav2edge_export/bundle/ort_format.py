"""Graphs in ONNX Runtime's own format (``.ort``), the only one that its minimal builds read, and their operators.

A minimal build has no optimiser: the graph is saved as the optimiser leaves it, up to the level whose fusions every
processor has kernels for. The next level lays out convolutions for the processor at hand, and is left out.
https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html
"""

from __future__ import annotations

from pathlib import Path

from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.inference.sessions.device import import_onnxruntime
from wav2edge_export.quantization.recipes import RECIPES, Level, Recipe

SUFFIX = "-ort"
"""Behind the name of a precision: its graph in this format."""
REQUIRED_OPERATORS = "onnx/required_operators.config"
"""The operators that the graphs of a bundle in this format need, which a build can be reduced to."""


def recipe_of(precision: str) -> Recipe:
    """The recipe of a precision, in either format."""
    return RECIPES[precision.removesuffix(SUFFIX)]


def graph_file(precision: str) -> str:
    """Path of a precision's graph in a bundle."""
    file = recipe_of(precision).file
    return str(Path(file).with_suffix(".ort").as_posix()) if precision.endswith(SUFFIX) else file


def parts_of(certificate: Certificate) -> dict[str, Level]:
    """The levels of the parts of a certified graph that are not at its recipe's base."""
    kept: dict[Level, tuple[str, ...]] = {
        "float": certificate.kept_in_float,
        "int8": certificate.kept_in_int8,
        "int8 by row": certificate.int8_by_row,
    }
    return {part: level for level, parts in kept.items() for part in parts}


def save_as_ort(graph: Path, path: Path) -> None:
    """Save an ONNX file in ONNX Runtime's format.

    Args:
        graph: the ONNX file.
        path: the file to write, whose name ends in ``.ort``.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.intra_op_num_threads = 1
    runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def write_required_operators(folder: Path) -> None:
    """List the operators of all graphs in this format, as ``--include_ops_by_config`` of ONNX Runtime's build takes it.

    Nothing is written where there is no such graph.

    Args:
        folder: of the bundle that is being written.
    """
    graphs = sorted(folder.glob("onnx/*.ort"))
    if not graphs:
        return
    # Its tool of the same purpose writes the paths of this machine into the list; this is what it reads graphs with.
    from onnxruntime.tools.ort_format_model.ort_model_processor import OrtFormatModelProcessor

    needed: dict[str, dict[int, set[str]]] = {}
    for graph in graphs:
        OrtFormatModelProcessor(str(graph), needed, None).process()
    lines = [
        f"{domain};{opset};{','.join(sorted(operators))}"
        for domain, opsets in sorted(needed.items())
        for opset, operators in sorted(opsets.items())
    ]
    title = f"# Operators of {', '.join(graph.name for graph in graphs)}"
    (folder / REQUIRED_OPERATORS).write_text("\n".join([title, *lines]) + "\n", encoding="utf-8")
