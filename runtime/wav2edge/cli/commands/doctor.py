"""``wav2edge doctor``: what is wrong with an installation, an ONNX file or a bundle, and its remedy."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import Bundle, is_hub_name
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.cli.live.terminal_text import printable
from wav2edge.cli.verbs import Command
from wav2edge.errors import BundleError, Wav2EdgeError
from wav2edge.evaluation.diagnosis.bundle_faults import diagnose_bundle, unusable_bundle
from wav2edge.evaluation.diagnosis.findings import Diagnosis, Finding, worst_first
from wav2edge.evaluation.diagnosis.graph_faults import diagnose_graph
from wav2edge.evaluation.diagnosis.installation import EXTRAS_MISSING, diagnose_installation
from wav2edge.output.documents import json_for

INSTALLATION = "installation"
DEPTH = 2
"""Folders between a graph and the manifest of its bundle, at most."""


def diagnose(source: str | None) -> Diagnosis:
    """Look at an ONNX file, a folder of them, a bundle, or where None the installation.

    Raises:
        BundleError: there is no such file or folder.
    """
    facts: dict[str, Any]
    if source is None:
        facts, findings = diagnose_installation()
        return Diagnosis(source=INSTALLATION, facts=facts, findings=worst_first(findings))
    path = Path(source)
    if not source or (not path.exists() and not is_hub_name(source)):
        raise BundleError(f"{source or repr(source)}: no such file or folder; check the path")
    graphs = sorted(path.glob("*.onnx")) if path.is_dir() and not (path / MANIFEST).is_file() else []
    if path.is_file() and (around := _bundle_around(path)) is None:
        graphs = [path]
    elif path.is_file():
        source = str(around)
    if not graphs:
        facts, findings = _diagnose_bundle(source)
    else:
        look = diagnose_graph if len(graphs) == 1 else _diagnose_one_of_many
        each = {graph.name: look(graph) for graph in graphs}
        findings = [finding for _, found in each.values() for finding in found]
        facts = {name: known for name, (known, _) in each.items()} if len(graphs) > 1 else each[graphs[0].name][0]
    return Diagnosis(source=source, facts=facts, findings=worst_first(findings))


def _diagnose_one_of_many(graph: Path) -> tuple[dict[str, Any], list[Finding]]:
    """As ``diagnose_graph``; what nobody foresaw in one file is a finding, and does not cost those of the others."""
    try:
        return diagnose_graph(graph)
    except Wav2EdgeError:
        raise
    except Exception as error:
        meaning = f"looking at it ended in an unexpected {type(error).__name__}: {error}"
        remedy = f"report what this prints: wav2edge --debug doctor {graph}"
        return {}, [Finding(name="not-diagnosed", severity="fault", where=graph.name, meaning=meaning, remedy=remedy)]


def _diagnose_bundle(source: str) -> tuple[dict[str, Any], list[Finding]]:
    try:
        return diagnose_bundle(Bundle.open(source))
    except BundleError as error:
        return {}, [unusable_bundle(source, error)]


def _bundle_around(graph: Path) -> Path | None:
    """The bundle whose manifest lists a graph; None for a file of somebody else's."""
    for folder in list(graph.resolve().parents)[:DEPTH]:
        if not (folder / MANIFEST).is_file():
            continue
        try:
            listed = Bundle.open(folder).manifest.files
        except BundleError:
            return None
        return folder if graph.resolve().relative_to(folder).as_posix() in listed else None
    return None


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield diagnosis.source
    width = max(map(len, diagnosis.facts), default=0)
    for name, value in diagnosis.facts.items():
        yield f"  {name:{width}}  {_needs(value) if name == EXTRAS_MISSING else _shown(value)}"
    for finding in diagnosis.findings:
        yield f"{finding.severity:8}  {finding.name}  {finding.where}"
        yield f"          {finding.meaning}"
        yield f"          remedy: {finding.remedy}"
    counts = Counter(finding.severity for finding in diagnosis.findings)
    yield ", ".join(f"{number} {severity}" for severity, number in counts.items()) or "nothing found"


def _needs(packages: dict[str, list[str]]) -> str:
    return "; ".join(f"{extra} needs {', '.join(missing)}" for extra, missing in packages.items()) or "-"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inside)}".strip() for key, inside in value.items()) or "-"
    if isinstance(value, list):
        return "(" + ", ".join(map(str, value)) + ")" if value else "-"
    return "-" if value is None or value == "" else str(value)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="FILE.onnx|BUNDLE",
        nargs="?",
        help="an ONNX file of anybody's, a folder of them, or a bundle (default: this installation)",
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")


def _run(options: Namespace) -> int:
    diagnosis = diagnose(options.source)
    # Names of nodes and operators are anybody's: none may steer the terminal, or look like a finding.
    print(json_for(sys.stdout, diagnosis.to_dict()) if options.json else "\n".join(map(printable, _lines(diagnosis))))
    return diagnosis.exit_code


COMMAND = Command(
    name="doctor",
    summary="say what is wrong with this installation, an ONNX file or a bundle, and what to do about it",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge doctor
  wav2edge doctor model.onnx
  wav2edge doctor bundle --json""",
)
