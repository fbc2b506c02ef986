"""The export, top to bottom: load, export, make each precision, certify, write what passed, commit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from wav2edge.bundle import CERTIFICATE, GOLDEN, Bundle, sha256_of
from wav2edge.dataset import Utterance, read_dataset
from wav2edge.engine import Engine
from wav2edge.errors import ParityError
from wav2edge.evaluation import choose_split
from wav2edge.manifest import MANIFEST, FileRecord, Manifest, Variant
from wav2edge.progress import Progress
from wav2edge.version import __version__
from wav2edge_export.card import bundle_card
from wav2edge_export.certificate import Certificate, certify
from wav2edge_export.golden import golden_document
from wav2edge_export.graph import export_graph
from wav2edge_export.options import ExportOptions
from wav2edge_export.precision import RECIPES
from wav2edge_export.signals import parity_grid
from wav2edge_export.staging import staged_folder
from wav2edge_export.weight import count_macs_per_s, count_parameters
from wav2edge_train.checkpoint import Checkpoint, load_checkpoint
from wav2edge_train.reference import Reference

COPIED_FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files of the checkpoint that other tools need to load the bundle, where they are there."""

MADE_WITH = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an export wrote, and what it refused."""

    bundle: Bundle
    certificates: tuple[Certificate, ...]
    refused: tuple[Certificate, ...]


def export_bundle(options: ExportOptions, *, say: Callable[[str], None] = lambda line: None) -> Export:
    """Export a checkpoint to a certified bundle; the folder of an earlier one is replaced in one step, or not at all.

    Args:
        options: what is asked for.
        say: told each stage as it begins.

    Raises:
        ParityError: no variant kept its budget; nothing was written.
        CheckpointError, DataError, UsageError: the input cannot be used; nothing was written.
    """
    utterances = _judges(options)
    say(f"loading {options.checkpoint}")
    checkpoint = load_checkpoint(options.checkpoint)
    with staged_folder(options.output) as folder:
        say("exporting through Optimum")
        draft = _write_graphs(checkpoint, options, folder, say)
        certificates = _certify(checkpoint, draft, options, utterances, say)
        passed = [certificate for certificate in certificates if certificate.passed]
        refused = [certificate for certificate in certificates if not certificate.passed]
        if not passed:
            raise ParityError(f"{options.output}: nothing written, {_refusals(refused)}")
        _commit(checkpoint, _keep(draft, passed), passed)
    return Export(bundle=Bundle.open(options.output), certificates=tuple(passed), refused=tuple(refused))


def _judges(options: ExportOptions) -> Sequence[Utterance]:
    """The real clips that the certificate is judged on."""
    if options.data is None:
        return ()
    return choose_split(read_dataset(options.data), options.split)[: options.max_clips]


def _write_graphs(checkpoint: Checkpoint, options: ExportOptions, folder: Path, say: Callable[[str], None]) -> Bundle:
    """Every precision's graph, and a draft of the manifest that describes them."""
    source = folder / RECIPES["fp32"].file
    export_graph(checkpoint, source, operators=options.operators)
    variants = {}
    for precision in options.precisions:
        say(f"making {precision}")
        recipe = RECIPES[precision]
        recipe.build(source, folder / recipe.file)
        variants[precision] = Variant(file=recipe.file, precision=precision, operators=options.operators)
    if "fp32" not in options.precisions:
        source.unlink()
    manifest = Manifest(
        name=checkpoint.name,
        model_type=checkpoint.model.config.model_type,
        heads=checkpoint.heads,
        geometry=checkpoint.geometry,
        variants=variants,
        default_variant=options.precisions[0],
        files={variant.file: _record(folder / variant.file) for variant in variants.values()},
        parameters=count_parameters(checkpoint.model),
        macs_per_s=count_macs_per_s(checkpoint.model),
        made_with=_versions(),
    )
    return Bundle(folder=folder, manifest=manifest)


def _certify(
    checkpoint: Checkpoint,
    draft: Bundle,
    options: ExportOptions,
    utterances: Sequence[Utterance],
    say: Callable[[str], None],
) -> list[Certificate]:
    original = Reference(checkpoint)
    grid = list(parity_grid(checkpoint.geometry))
    certificates = []
    for precision in options.precisions:
        say(f"certifying {precision} on {len(grid)} synthetic signals and {len(utterances)} clips")
        engine = Engine(draft, variant=precision, verify=False)
        with Progress(f"certifying {precision}", 1 + len(utterances)) as progress:
            certificates.append(
                certify(
                    precision,
                    RECIPES[precision].budget,
                    original=original.outputs,
                    variant=engine.outputs,
                    heads=checkpoint.heads,
                    geometry=checkpoint.geometry,
                    grid=grid,
                    utterances=utterances,
                    advance=progress.advance,
                )
            )
        say(f"{precision}: {certificates[-1].summary}")
    return certificates


def _refusals(refused: Sequence[Certificate]) -> str:
    return "; ".join(
        f"{certificate.precision} is over its budget ({', '.join(certificate.violations)}),"
        f" {'try --precision fp32' if certificate.precision != 'fp32' else 'report it: the export is not exact'}"
        for certificate in refused
    )


def _keep(draft: Bundle, passed: Sequence[Certificate]) -> Bundle:
    """The draft with the variants that passed; the files of the others are removed."""
    kept = {certificate.precision: draft.manifest.variants[certificate.precision] for certificate in passed}
    for precision, variant in draft.manifest.variants.items():
        if precision not in kept:
            (draft.folder / variant.file).unlink()
    files = {variant.file: draft.manifest.files[variant.file] for variant in kept.values()}
    manifest = replace(draft.manifest, variants=kept, default_variant=next(iter(kept)), files=files)
    return replace(draft, manifest=manifest)


def _commit(checkpoint: Checkpoint, bundle: Bundle, certificates: Sequence[Certificate]) -> None:
    """Write everything beside the graphs, and the manifest, which makes a bundle of it, last."""
    folder = bundle.folder
    for name in COPIED_FILES:
        if checkpoint.folder is not None and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    engines = {precision: Engine(bundle, variant=precision, verify=False) for precision in bundle.manifest.variants}
    _write_json(folder / GOLDEN, golden_document(engines))
    _write_json(folder / CERTIFICATE, {"variants": {each.precision: each.to_dict() for each in certificates}})
    report = None if checkpoint.folder is None else checkpoint.folder / "report.json"
    card = bundle_card(bundle.manifest, certificates, training_report=report if report and report.is_file() else None)
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = {path.relative_to(folder).as_posix(): _record(path) for path in folder.rglob("*") if path.is_file()}
    (folder / MANIFEST).write_text(replace(bundle.manifest, files=files).to_json(), encoding="utf-8")


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    found = {"wav2edge": __version__}
    for name in MADE_WITH:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
