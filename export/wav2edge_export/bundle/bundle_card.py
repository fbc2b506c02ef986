"""The bundle's README.md: a model card that the Hub renders, filled from the certificate and the training report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from wav2edge.bundle.manifest import Manifest
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge_export.bundle.ort_format import SUFFIX, recipe_of
from wav2edge_train.reporting.card_metadata import TASKS

INTERVALS = (
    "Intervals are at 95 %: of a share of changed results by Wilson's score, of the difference that the variant makes"
    " to WER and accuracy by bootstrap over the clips."
)
CALIBRATION = (
    "Calibration error is how far confidences are from the share of answers that are right (expected calibration error,"
    " {bins} bins of equal width), before and after the temperatures of the manifest were found: every second one of"
    " {clips} clips is measured with what the others give."
)
JOINT = (
    "`audio-classification` pipelines of transformers.js and Optimum read the output `logits`, which here is the CTC"
    " head: for classes use wav2edge, or read the output `class_logits`."
)
GIVES = {
    "ctc": "a transcription",
    "classification": "a class",
    "frame_classification": "labels with their times",
    "embedding": "an embedding of the voice",
}
"""What each head gives."""
REPEAT = "`wav2edge verify . --repeat --data DATA` measures all of it again on your device, without PyTorch."


def bundle_card(
    manifest: Manifest,
    certificates: Sequence[Certificate],
    *,
    sizes_bytes: Mapping[str, int],
    license_name: str | None,
    training_report: Path | None,
    plot: str | None,
    streams: Mapping[str, Mapping[int, Certificate]] | None = None,
) -> str:
    """The card as Markdown with a metadata block.

    Args:
        manifest: the bundle's manifest.
        certificates: of the variants that are in it.
        sizes_bytes: of each variant's graph.
        license_name: what the checkpoint's card names; None where it names none.
        training_report: ``report.json`` of the training run, where the checkpoint has one.
        plot: the file name of the frontier that ``auto`` walked, where there is one.
        streams: certificates of streams by precision and chunk in milliseconds, where there are any.
    """
    sections = [
        _metadata(manifest, license_name),
        f"# {manifest.name}\n\n{_what(manifest)}",
        "## Use\n\n```bash\npip install 'wav2edge[cpu]'\nwav2edge run . clip.wav\nwav2edge verify .\n```",
        f"## Variants\n\n{_variants(manifest, certificates, sizes_bytes)}",
    ]
    if streams:
        sections.append(f"## Streams\n\n{_streams(manifest, streams)}")
    if plot is not None:
        sections.append(f"## The frontier that auto walked\n\n![size and time against accuracy]({plot})")
    if training_report is not None:
        title = "## Evaluation of the checkpoint, on the split that chose it"
        sections.append(f"{title}\n\n{_training_figures(training_report)}")
    return "\n\n".join(sections) + "\n"


def _metadata(manifest: Manifest, license_name: str | None) -> str:
    card = ModelCardData(
        license=license_name,
        library_name="wav2edge",
        pipeline_tag=TASKS[manifest.heads.names[0]],
        tags=[manifest.model_type, "onnx", "wav2edge", *manifest.heads.names],
    )
    return f"---\n{card.to_yaml()}\n---"


def _what(manifest: Manifest) -> str:
    heads, labels = " and ".join(GIVES[name] for name in manifest.heads.names), manifest.heads.labels
    kind = "Classes" if manifest.heads.frame_classification is None else "Labels"
    classes = f" {kind}: {', '.join(labels)}." if labels else ""
    return (
        f"A {manifest.model_type} model of {manifest.parameters / 1e6:.2f} M parameters that gives"
        f" {heads} for 16 kHz speech, exported to ONNX and certified by wav2edge.{classes}"
    )


def _variants(manifest: Manifest, certificates: Sequence[Certificate], sizes_bytes: Mapping[str, int]) -> str:
    lines = ["| variant | file | size MB | for | compared with the PyTorch original |", "|---|---|---:|---|---|"]
    for certificate in certificates:
        variant = manifest.variants[certificate.precision]
        size_mb = sizes_bytes[variant.precision] / 1e6
        use = recipe_of(variant.precision).summary
        use += "; for minimal builds of ONNX Runtime" if variant.precision.endswith(SUFFIX) else ""
        lines.append(
            f"| {variant.precision} | `{variant.file}` | {size_mb:.2f} | {use}"
            f"{f'; target {variant.target}' if variant.target else ''} | {certificate.summary}"
            f"{f'; {certificate.note}' if certificate.note else ''} |"
        )
    evaluated = any(certificate.clips is not None for certificate in certificates)
    length = f"Certified for audio of up to {manifest.certified_up_to_s:g} s; nothing is known of longer audio."
    both = manifest.heads.ctc is not None and manifest.heads.classification is not None
    calibrations = [each for certificate in certificates for each in (certificate.calibration or {}).values()]
    calibrated = [CALIBRATION.format(bins=each.bins, clips=each.clips) for each in calibrations[:1]]
    notes = [length, *([INTERVALS] if evaluated else []), *calibrated, *([JOINT] if both else []), REPEAT]
    return "\n".join([*lines, "", *notes])


def _streams(manifest: Manifest, streams: Mapping[str, Mapping[int, Certificate]]) -> str:
    """The certificates of streams, a line each."""
    files = manifest.stream.files if manifest.stream else {}
    lines = ["| stream | file | chunk ms | compared with the PyTorch original that hears the same chunks |"]
    lines += ["|---|---|---:|---|"]
    for precision, by_chunk in streams.items():
        lines += [
            f"| {precision} | `{files[precision]}` | {chunk_ms} | {certificate.summary} |"
            for chunk_ms, certificate in by_chunk.items()
        ]
    return "\n".join([*lines, "", "`wav2edge stream .` listens to a microphone, and computes nothing twice."])


def _training_figures(report: Path) -> str:
    figures: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    shown = {name: value for name, value in figures.items() if isinstance(value, (int, float))}
    return "\n".join(
        f"- {name}: {value:.4f}" if isinstance(value, float) else f"- {name}: {value}" for name, value in shown.items()
    )
