"""What is wrong with a bundle on this device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.errors import BundleError
from wav2edge.evaluation.diagnosis.findings import Finding, Severity
from wav2edge.evaluation.diagnosis.opening_faults import opening
from wav2edge.inference.sessions.cpu import int8_saturation_warning

AGAIN = "copy the bundle again, or export it again: wav2edge export CHECKPOINT --output BUNDLE"


def diagnose_bundle(bundle: Bundle) -> tuple[dict[str, Any], list[Finding]]:
    """Facts of a bundle, and what is wrong with it here. Nothing in a damaged file is looked at."""
    manifest = bundle.manifest
    facts: dict[str, Any] = {
        "name": manifest.name,
        "manifest_sha256": bundle.manifest_sha256(),
        "files": len(manifest.files),
        "variants": {name: {"target": each.target} for name, each in manifest.variants.items()},
    }
    findings = list(_files(bundle))
    if any(each.severity == "unusable" for each in findings):
        return facts, findings
    findings += _certificates(bundle)
    for name, file in (manifest.stream.files if manifest.stream is not None else {}).items():
        facts.setdefault("streams", {})[name], refused = opening(bundle.folder / file)
        findings += refused
    for name, variant in manifest.variants.items():
        taken, refused = opening(bundle.folder / variant.file)
        facts["variants"][name]["providers"] = taken
        findings += refused
        if (saturation := int8_saturation_warning(variant)) is not None:
            meaning, _, remedy = saturation.rpartition("; ")
            findings.append(_finding("int8-saturation", "fault", variant.file, meaning, remedy))
    return facts, findings


def unusable_bundle(where: str, error: BundleError) -> Finding:
    """The finding of a bundle that does not open, or of a file in it that is damaged."""
    meaning, _, remedy = str(error).rpartition("; ")
    return _finding("damaged-bundle", "unusable", where, meaning or str(error), remedy or AGAIN)


def _files(bundle: Bundle) -> Iterator[Finding]:
    for name in bundle.manifest.files:
        try:
            bundle.check_hash(name)
        except BundleError as error:
            yield unusable_bundle(name, error)
    for name in bundle.unlisted_files() if bundle.repository is None else ():
        meaning = "the manifest does not list it: nothing checks it, and nothing uses it"
        yield _finding("unlisted-file", "note", name, meaning, "remove it, unless it is yours")


def _certificates(bundle: Bundle) -> Iterator[Finding]:
    listed = CERTIFICATE in bundle.manifest.files
    verdicts = bundle.read_json(CERTIFICATE)["variants"] if listed else {}
    for name in bundle.manifest.variants:
        if name not in verdicts:
            yield _finding("no-certificate", "fault", name, "nobody measured what it does to the logits", AGAIN)
        elif not verdicts[name].get("passed"):
            meaning = f"its certificate says that it failed: {verdicts[name].get('summary', '')}"
            yield _finding("failed-certificate", "fault", name, meaning, "use another variant, or export it again")


def _finding(name: str, severity: Severity, where: str, meaning: str, remedy: str) -> Finding:
    return Finding(name=name, severity=severity, where=where, meaning=meaning, remedy=remedy)
