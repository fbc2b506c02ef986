"""What ONNX Runtime says when it opens a graph, and which provider takes which part of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from wav2edge.evaluation.diagnosis.findings import Finding
from wav2edge.inference.sessions.device import import_onnxruntime

ASSIGNMENT = "session.record_ep_graph_assignment_info"
"""Option that lets ONNX Runtime say which provider takes which nodes (1.24 and later)."""
UNASKED = {"AzureExecutionProvider", "TensorrtExecutionProvider"}
"""One sends clips away; the other builds an engine for minutes before it answers."""

REFUSALS = (
    (
        re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"),
        "newer-ir",
        "its IR version is {0}, and up to {1} can be read",
        "upgrade ONNX Runtime, or save it again with ir_version={1}",
    ),
    (
        re.compile(r"Opset (\d+) is under development.*?till opset (\d+)", re.DOTALL),
        "newer-opset",
        "it is made for opset {0}, and those up to {1} are known",
        "upgrade ONNX Runtime, or export it for an opset up to {1}",
    ),
    (
        re.compile(r"(\S+?)\(-?\d+\) is not a registered function/op"),
        "unknown-operator",
        "there is no operator {0}",
        "register the library that has it, or export from the checkpoint: wav2edge export CHECKPOINT --output BUNDLE",
    ),
    (
        re.compile(r"Could not find an implementation for (\w+)"),
        "no-kernel",
        "there is no kernel for {0} with these types",
        "quantise MatMuls only, or export from the checkpoint: wav2edge export CHECKPOINT --output BUNDLE",
    ),
)
"""What ONNX Runtime's message holds, the finding, what it means, and the remedy."""


def opening(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Open a graph with every provider that is here: what each takes, and what is in the way.

    Returns:
        By provider its nodes after optimisation, and the subgraphs they were taken in; and the findings.

    Raises:
        MissingDependencyError: there is no ONNX Runtime.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1  # what goes wrong is raised as well
    options.add_session_config_entry(ASSIGNMENT, "1")
    providers = [each for each in runtime.get_available_providers() if each not in UNASKED]
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # its bindings raise a dozen unrelated types
        return {}, [refusal(path, runtime.__version__, " ".join(str(error).split()))]
    taken = _assignment(session)
    others = {name: counts for name, counts in taken.items() if name != "CPUExecutionProvider"}
    left = taken.get("CPUExecutionProvider", {}).get("nodes", 0)
    if not others or not left:
        return taken, []
    named = ", ".join(f"{name} {each['nodes']} nodes in {each['subgraphs']} parts" for name, each in others.items())
    return taken, [
        Finding(
            name="split-over-providers",
            severity="note",
            where=path.name,
            meaning=f"{named}, and {left} nodes are left to the CPU: tensors are copied at every boundary",
            remedy="export operators that the provider has: wav2edge export --operators gpu, or --operators standard",
            figures=taken,
        )
    ]


def refusal(path: Path, version: str, reason: str) -> Finding:
    """The finding that ONNX Runtime's reason stands for.

    Args:
        path: the graph that it does not open.
        version: of ONNX Runtime.
        reason: its message in one line.
    """
    for pattern, name, meaning, remedy in REFUSALS:
        if (match := pattern.search(reason)) is not None:
            words = [group or "" for group in match.groups()]
            return Finding(
                name=name,
                severity="unusable",
                where=path.name,
                meaning=f"{meaning.format(*words)} (ONNX Runtime {version})",
                remedy=remedy.format(*words),
            )
    return Finding(
        name="cannot-be-opened",
        severity="unusable",
        where=path.name,
        meaning=f"ONNX Runtime {version} does not open it: {reason}",
        remedy="export it again, or copy it again where it was damaged on the way",
    )


def _assignment(session: Any) -> dict[str, dict[str, int]]:
    """By provider its nodes and subgraphs; empty where this ONNX Runtime does not say."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    nodes: Counter[str] = Counter()
    subgraphs: Counter[str] = Counter()
    for each in ask() if ask is not None else ():
        nodes[each.ep_name] += len(each.get_nodes())
        subgraphs[each.ep_name] += 1
    return {name: {"nodes": nodes[name], "subgraphs": subgraphs[name]} for name in nodes}
