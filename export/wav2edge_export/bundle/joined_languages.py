"""Several languages in one bundle: each is exported and certified by itself, and they share nothing but the folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle, sha256_of
from wav2edge.bundle.manifest import MANIFEST, FileRecord, Manifest, Variant
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.original_record import record_files
from wav2edge.output.documents import write_json
from wav2edge_export.bundle.writing import staged_folder
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import Export, export_bundle

PARTS = ".languages"
"""Where the bundle of each language is until they are joined."""
CARD = "README.md"


def export_languages(options: ExportOptions, *, log: Callable[[str], None] = lambda line: None) -> Export:
    """Export a checkpoint in each of several languages, and join them; an earlier bundle is replaced in one step.

    Args:
        options: what is asked for; its data, where there is any, is a folder with a data set per language.
        log: gets one line per stage as it begins.

    Raises:
        ParityError: in one of the languages no variant kept its budget; nothing was written.
        CheckpointError, DataError, UsageError: the input cannot be used; nothing was written.
    """
    with staged_folder(options.output) as folder:
        exports = {}
        for language in options.languages:
            log(f"language {language}")
            data = None if options.data is None else options.data / language
            one = replace(options, output=folder / PARTS / language, languages=(language,), data=data)
            exports[language] = export_bundle(one, log=log)
        join_languages([export.bundle for export in exports.values()], folder)
        shutil.rmtree(folder / PARTS)
    return Export(
        bundle=Bundle.open(options.output),
        certificates=tuple(_renamed(exports, lambda export: export.certificates)),
        refused=tuple(_renamed(exports, lambda export: export.refused)),
    )


def join_languages(bundles: list[Bundle], folder: Path) -> None:
    """Make one bundle of several that are each in one language, whose files are moved; the first is its default.

    Args:
        bundles: each exported with one language, on the same file system as ``folder``.
        folder: what is to become the bundle.
    """
    first, *others = bundles
    moved: dict[str, FileRecord] = {}
    for name in first.manifest.files:
        _move(first, name, folder, name, moved)
    variants = dict(first.manifest.variants)
    for bundle in others:
        for variant in bundle.manifest.variants.values():
            joined = _joined(variant, bundle.manifest)
            variants[joined.name] = joined
            _move(bundle, variant.file, folder, joined.file, moved)
        language = bundle.languages[0]
        for name, target in zip(record_files(None), record_files(None, language), strict=True):
            _move(bundle, name, folder, target, moved)
    certificates = _merged(bundles, CERTIFICATE, folder)
    _merged(bundles, GOLDEN, folder)
    with (folder / CARD).open("a", encoding="utf-8") as card:
        card.write(_section(variants, certificates))
    rewritten = {name: _record(folder / name) for name in (CERTIFICATE, GOLDEN, CARD)}
    manifest = _manifest([bundle.manifest for bundle in bundles], variants, {**moved, **rewritten})
    (folder / MANIFEST).write_bytes(manifest.to_json().encode())


def _manifest(manifests: list[Manifest], variants: Mapping[str, Variant], files: Mapping[str, FileRecord]) -> Manifest:
    """That of all, which says of them together what holds for each."""
    lengths_s = [each.certified_up_to_s for each in manifests]
    known_s = [each for each in lengths_s if each is not None]
    return replace(
        manifests[0],
        variants=variants,
        files=files,
        certified_up_to_s=min(known_s) if len(known_s) == len(manifests) else None,
        word_times=_together(each.word_times for each in manifests),
        trims_silence=_together(each.trims_silence for each in manifests),
        confidence_temperature=None,  # found for each language, while a manifest has one for all
    )


def _together(verdicts: Iterable[bool | None]) -> bool | None:
    found = set(verdicts)
    return False if False in found else None if None in found else True


def _joined(variant: Variant, manifest: Manifest) -> Variant:
    """A variant as one of a further language: ``onnx/model_quantized.onnx`` is ``onnx/model_swh_quantized.onnx``."""
    path = Path(variant.file)
    file = path.with_name(path.name.replace("model", f"model_{variant.language}", 1)).as_posix()
    return replace(variant, file=file, heads=manifest.heads)


def _move(bundle: Bundle, name: str, folder: Path, target: str, moved: dict[str, FileRecord]) -> None:
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    (bundle.folder / name).replace(folder / target)
    moved[target] = bundle.manifest.files[name]


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _merged(bundles: list[Bundle], name: str, folder: Path) -> dict[str, Any]:
    """A document of the first with the entries of all variants, written anew."""
    merged: dict[str, Any] = json.loads((folder / name).read_bytes())
    for bundle in bundles[1:]:
        document = json.loads((bundle.folder / name).read_bytes())
        for precision, entry in document["variants"].items():
            merged["variants"][_joined(bundle.manifest.variants[precision], bundle.manifest).name] = entry
    write_json(folder / name, merged)
    return merged


def _section(variants: Mapping[str, Variant], certificates: Mapping[str, Any]) -> str:
    """The part of the card about languages."""
    lines = ["| language | variant | file | compared with the PyTorch original |", "|---|---|---|---|"]
    lines += [
        f"| {variant.language} | {name} | `{variant.file}` | {certificates['variants'][name]['summary']} |"
        for name, variant in variants.items()
    ]
    use = f"`wav2edge run . --language {list(variants.values())[-1].language} clip.wav` takes one of them."
    return "\n".join(["", "## Languages", "", *lines, "", f"{use} The variants above are those of the first."]) + "\n"


def _renamed(
    exports: Mapping[str, Export], chosen: Callable[[Export], tuple[Certificate, ...]]
) -> Iterable[Certificate]:
    """Certificates under the names that their variants have in the joined bundle."""
    first = next(iter(exports))
    for language, export in exports.items():
        for certificate in chosen(export):
            name = certificate.precision if language == first else f"{certificate.precision}-{language}"
            yield replace(certificate, precision=name)
