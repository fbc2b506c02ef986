"""The export, top to bottom: load, export, make each precision, certify, write what passed, commit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from wav2edge import __version__
from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle, sha256_of
from wav2edge.bundle.manifest import MANIFEST, FileRecord, Manifest, Variant
from wav2edge.errors import ParityError
from wav2edge.evaluation.benchmark.environment import installed_versions
from wav2edge.evaluation.parity.certificate import Certificate, certify
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.evaluation.parity.original_record import OriginalRecord, record_original
from wav2edge.evaluation.parity.padded_batch import padded_in_a_batch
from wav2edge.evaluation.parity.signals import synthetic_signals
from wav2edge.inference.cpu import NATIVE, TARGETS, native_target
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import write_json
from wav2edge.output.progress import Progress
from wav2edge_export.bundle.bundle_card import bundle_card
from wav2edge_export.bundle.evaluation_clips import Judges, choose_judges
from wav2edge_export.bundle.golden import golden_document
from wav2edge_export.bundle.staging import staged_folder
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.mixed_precision.search import PLOT, SEARCHED, Search, write_frontier
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_export.quantization.weight_matmuls import Level
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.complexity import count_macs_per_s, count_parameters
from wav2edge_train.reporting.card_metadata import license_of

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
    judges = choose_judges(
        options.data,
        split=options.split,
        max_clips=options.max_clips,
        search=any(RECIPES[name].build is None for name in options.precisions),
    )
    say(f"loading {options.checkpoint}")
    checkpoint = load_checkpoint(options.checkpoint)
    with staged_folder(options.output) as folder:
        say("exporting through Optimum")
        source = folder / RECIPES["fp32"].file
        operation = export_graph(checkpoint, source, operators=options.operators, batched=options.batched)
        for kept in operation.kept:
            say(f"{kept.path} is exported as it is: {kept.reason}")
        bench = _Bench(
            checkpoint=checkpoint,
            original=CachedModel(Original(checkpoint).outputs),
            macs_per_s=count_macs_per_s(checkpoint.model),
            folder=folder,
            source=source,
            judges=judges,
            prefer=options.prefer,
            operators=options.operators,
            target=_target(options, say),
            batched=options.batched,
            say=say,
        )
        made = [bench.make(precision) for precision in options.precisions]
        if "fp32" not in options.precisions:
            source.unlink()
        passed = [each for each in made if each.certificate.passed]
        refused = [each.certificate for each in made if not each.certificate.passed]
        if not passed:
            raise ParityError(f"{options.output}: nothing written, {_refusals(refused)}")
        for certificate in refused:
            (folder / RECIPES[certificate.precision].file).unlink()
        draft = bench.draft([each.variant for each in passed])
        _commit(checkpoint, draft, passed, bench.originals(), license_of(options.checkpoint))
    certificates = tuple(each.certificate for each in passed)
    return Export(bundle=Bundle.open(options.output), certificates=certificates, refused=tuple(refused))


def _target(options: ExportOptions, say: Callable[[str], None]) -> str:
    """The kind of processor that 8-bit products are made for, said with its reason."""
    native, reason = native_target()
    target = native if options.target == NATIVE else options.target
    recipes = [RECIPES[name] for name in options.precisions]
    if any(recipe.is_targeted(parts) for recipe in recipes for parts in recipe.attempts_for(batched=options.batched)):
        chosen = reason if options.target == NATIVE else "as asked"
        say(f"8-bit products are made for {target} ({TARGETS[target].summary}): {chosen}")
        if (target, native) == ("vnni", "avx2"):
            say(f"the certificate is made here, where they saturate ({reason}): it may refuse what is exact elsewhere")
    return target


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A variant with the verdict on it."""

    variant: Variant
    certificate: Certificate


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """Where variants are made from the fp32 graph and held against the original."""

    checkpoint: Checkpoint
    original: CachedModel
    macs_per_s: int
    folder: Path
    source: Path
    judges: Judges
    prefer: str
    operators: str
    target: str
    batched: bool
    say: Callable[[str], None]

    def make(self, precision: str) -> _Made:
        """Make one precision, leaving ever more of the graph at a higher one until it keeps its budget."""
        recipe = RECIPES[precision]
        if recipe.build is None:
            return self._search(precision)
        for parts in recipe.attempts_for(batched=self.batched):
            self.say(f"making {precision}" + "".join(f", {part} in {level}" for part, level in parts.items()))
            recipe.build(self.source, self.folder / recipe.file, parts=parts, target=TARGETS[self.target])
            variant = self._variant(precision, targeted=recipe.is_targeted(parts))
            certificate = self._certify(precision, self._open(variant), parts)
            self.say(f"{precision}: {certificate.summary}")
            if certificate.passed:
                break
        if recipe.note:
            self.say(f"{precision}: {recipe.note}")
        return _Made(variant=variant, certificate=certificate)

    def _search(self, precision: str) -> _Made:
        """Make the best mixture of levels that keeps its budget, and write down the frontier that was walked."""
        search = Search(
            source=self.source,
            path=self.folder / RECIPES[precision].file,
            reference=self._open(self._variant("fp32", targeted=False)),
            heads=self.checkpoint.heads,
            macs_per_s=self.macs_per_s,
            target=TARGETS[self.target],
            judges=self.judges,
            prefer=self.prefer,
            open_path=lambda levels: self._open(self._variant(precision, targeted="int8" in levels.values())),
            certify=partial(self._certify, precision, note=SEARCHED.format(told=self.judges.told, prefer=self.prefer)),
            say=self.say,
        )
        frontier = search.run()
        write_frontier(frontier, self.folder, say=self.say)
        levels = frontier.nearest.levels
        return _Made(
            variant=self._variant(precision, targeted="int8" in levels.values()),
            certificate=frontier.nearest.certificate,
        )

    def _open(self, variant: Variant) -> Engine:
        return Engine.from_graph(
            self.folder / variant.file,
            heads=self.checkpoint.heads,
            geometry=self.checkpoint.geometry,
            batched=variant.batched,
        )

    def _variant(self, precision: str, *, targeted: bool) -> Variant:
        return Variant(
            file=RECIPES[precision].file,
            precision=precision,
            operators=self.operators,
            target=self.target if targeted else None,
            batched=self.batched,
        )

    def _certify(
        self, precision: str, engine: Engine, parts: Mapping[str, Level], *, note: str | None = None
    ) -> Certificate:
        grid = list(synthetic_signals(self.checkpoint.geometry))
        signals = f"{len(grid)} synthetic signals{', alone and padded in a batch,' if self.batched else ''}"
        self.say(f"certifying on {signals} and {len(self.judges.utterances)} clips")
        with Progress(f"certifying {precision}", 1 + len(self.judges.utterances)) as progress:
            return certify(
                precision,
                RECIPES[precision].budget,
                original=self.original,
                variant=engine.outputs,
                padded=padded_in_a_batch(engine) if self.batched else None,
                heads=self.checkpoint.heads,
                geometry=self.checkpoint.geometry,
                signals=grid,
                utterances=self.judges.utterances,
                kept_in_float=[part for part, level in parts.items() if level == "float"],
                kept_in_int8=[part for part, level in parts.items() if level == "int8"],
                note=note,
                advance=progress.advance,
            )

    def originals(self) -> OriginalRecord:
        """What a device needs to repeat the certificates; the original has answered all of it before."""
        heads, geometry = self.checkpoint.heads, self.checkpoint.geometry
        return record_original(
            self.original, heads, geometry, signals=synthetic_signals(geometry), utterances=self.judges.utterances
        )

    def draft(self, variants: Sequence[Variant]) -> Bundle:
        """A bundle of these variants whose manifest is not written yet; the first one is its default."""
        manifest = Manifest(
            name=self.checkpoint.name,
            model_type=self.checkpoint.model.config.model_type,
            heads=self.checkpoint.heads,
            geometry=self.checkpoint.geometry,
            variants={variant.precision: variant for variant in variants},
            default_variant=variants[0].precision,
            files={variant.file: _record(self.folder / variant.file) for variant in variants},
            parameters=count_parameters(self.checkpoint.model),
            macs_per_s=self.macs_per_s,
            made_with={"wav2edge": __version__, **installed_versions(MADE_WITH)},
        )
        return Bundle(folder=self.folder, manifest=manifest)


def _refusals(refused: Sequence[Certificate]) -> str:
    return "; ".join(
        f"{certificate.precision} is over its budget ({', '.join(certificate.violations)}),"
        f" {'try --precision fp32' if certificate.precision != 'fp32' else 'report it: the export is not exact'}"
        for certificate in refused
    )


def _commit(
    checkpoint: Checkpoint,
    bundle: Bundle,
    passed: Sequence[_Made],
    originals: OriginalRecord,
    license_name: str | None,
) -> None:
    """Write everything beside the graphs, and the manifest, which makes a bundle of it, last."""
    certificates = [each.certificate for each in passed]
    folder = bundle.folder
    for name in COPIED_FILES:
        if checkpoint.folder is not None and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    engines = {
        precision: Engine.from_bundle(bundle, variant=precision, verify=False) for precision in bundle.manifest.variants
    }
    write_json(folder / GOLDEN, golden_document(engines))
    write_json(folder / CERTIFICATE, {"variants": {each.precision: each.to_dict() for each in certificates}})
    originals.write(folder)
    report = None if checkpoint.folder is None else checkpoint.folder / "report.json"
    card = bundle_card(
        bundle.manifest,
        certificates,
        license_name=license_name,
        training_report=report if report and report.is_file() else None,
        plot=PLOT if (folder / PLOT).is_file() else None,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = {path.relative_to(folder).as_posix(): _record(path) for path in folder.rglob("*") if path.is_file()}
    (folder / MANIFEST).write_text(replace(bundle.manifest, files=files).to_json(), encoding="utf-8")


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)
