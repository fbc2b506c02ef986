"""Writes the files of a bundle next to its graphs, and the manifest, which makes it a bundle, last."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge import __version__
from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, sha256_of
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.bundle.manifest import MANIFEST, FileRecord, Manifest
from wav2edge.evaluation.benchmark.environment import installed_versions
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.original_record import OriginalRecord
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import write_json
from wav2edge_export.bundle.bundle_card import bundle_card
from wav2edge_export.bundle.tokenizer_file import tokenizer_json
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_train.checkpoint.loading import Checkpoint

COPIED_FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files of the checkpoint that other tools need to load the bundle, where the checkpoint has them."""
MADE_WITH = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu")
GOLDEN_SAMPLES = SAMPLE_RATE_HZ // 2
DECIMALS = 6


def write_bundle(
    folder: Path,
    manifest: Manifest,
    *,
    checkpoint: Checkpoint,
    certificates: Sequence[Certificate],
    original_record: OriginalRecord,
    engines: Iterable[tuple[str, Engine]],
    license_name: str | None,
) -> None:
    """Write everything but the graphs, which are there; the manifest comes last.

    Args:
        folder: holds the graphs.
        manifest: its ``files`` and ``made_with`` are filled here.
        checkpoint: the original, whose small files are copied.
        certificates: of the variants.
        original_record: what the original gave for the certificates' signals and clips.
        engines: an engine per precision, taken one by one.
        license_name: what the checkpoint's card names; None where it names none.
    """
    for name in COPIED_FILES:
        if checkpoint.folder is not None and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    if manifest.heads.ctc is not None:
        (folder / "tokenizer.json").write_text(tokenizer_json(manifest.heads.ctc), encoding="utf-8")
    write_json(folder / GOLDEN, golden_document(engines))
    write_json(folder / CERTIFICATE, {"variants": {each.precision: each.to_dict() for each in certificates}})
    original_record.write(folder)
    report = None if checkpoint.folder is None else checkpoint.folder / "report.json"
    sizes_bytes = {name: (folder / variant.file).stat().st_size for name, variant in manifest.variants.items()}
    card = bundle_card(
        manifest,
        certificates,
        sizes_bytes=sizes_bytes,
        license_name=license_name,
        training_report=report if report and report.is_file() else None,
        plot="frontier.png" if (folder / "frontier.png").is_file() else None,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = {path.relative_to(folder).as_posix(): _record(path) for path in folder.rglob("*") if path.is_file()}
    complete = replace(manifest, files=files, made_with={"wav2edge": __version__, **installed_versions(MADE_WITH)})
    (folder / MANIFEST).write_text(complete.to_json(), encoding="utf-8")


def golden_document(engines: Iterable[tuple[str, Engine]]) -> dict[str, Any]:
    """A short input as 16-bit PCM (divide by 32,768) with each variant's outputs, text and label.

    Args:
        engines: an engine per precision, taken one by one.
    """
    pcm = np.round(voiced(GOLDEN_SAMPLES, seed=7) * 32767).astype(np.int16)
    samples = pcm.astype(np.float32) / np.float32(32768)
    variants = {}
    for precision, engine in engines:
        result = engine(pcm, rate_hz=SAMPLE_RATE_HZ)
        outputs = {
            name: np.round(values.astype(float), DECIMALS).tolist() for name, values in engine.outputs(samples).items()
        }
        variants[precision] = {
            "tolerance": RECIPES[precision].golden_tolerance,
            "text": result.text,
            "label": result.label,
            "outputs": outputs,
        }
    return {"rate_hz": SAMPLE_RATE_HZ, "pcm_int16": pcm.tolist(), "variants": variants}


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)
