"""The export, top to bottom: load, export, make each precision, certify, write what passed, commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import FileRecord, Manifest, Variant
from wav2edge.errors import ParityError
from wav2edge.evaluation.parity.certificate import Certificate, certified_up_to_s
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.inference.cpu import NATIVE, TARGETS, native_target
from wav2edge_export.bundle.certification import Certifier
from wav2edge_export.bundle.evaluation_clips import choose_evaluation_clips
from wav2edge_export.bundle.staging import staged_folder
from wav2edge_export.bundle.writing import write_bundle
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_export.quantization.variant_builder import VariantBuilder
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.complexity import count_macs_per_s, count_parameters
from wav2edge_train.reporting.card_metadata import license_of


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an export wrote, and what it refused."""

    bundle: Bundle
    certificates: tuple[Certificate, ...]
    refused: tuple[Certificate, ...]


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A variant with its certificate."""

    variant: Variant
    certificate: Certificate


def export_bundle(options: ExportOptions, *, log: Callable[[str], None] = lambda line: None) -> Export:
    """Export a checkpoint to a certified bundle; the folder of an earlier one is replaced in one step, or not at all.

    Args:
        options: what is asked for.
        log: gets one line per stage as it begins.

    Raises:
        ParityError: no variant kept its budget; nothing was written.
        CheckpointError, DataError, UsageError: the input cannot be used; nothing was written.
    """
    clips = choose_evaluation_clips(
        options.data,
        split=options.split,
        max_clips=options.max_clips,
        search=any(RECIPES[name].method == "search" for name in options.precisions),
    )
    log(f"loading {options.checkpoint}")
    checkpoint = load_checkpoint(options.checkpoint)
    with staged_folder(options.output) as folder:
        log("exporting through Optimum")
        source = folder / RECIPES["fp32"].file
        result = export_graph(checkpoint, source, operators=options.operators, batched=options.batched)
        for module in result.unchanged:
            log(f"{module.path} is exported unchanged: {module.reason}")
        heads, geometry = checkpoint.heads, checkpoint.geometry
        builder = VariantBuilder(
            folder=folder,
            heads=heads,
            geometry=geometry,
            operators=options.operators,
            target=_target(options, log),
            batched=options.batched,
        )
        certifier = Certifier(
            original=CachedModel(Original(checkpoint).outputs),
            clips=clips,
            heads=heads,
            geometry=geometry,
            batched=options.batched,
            log=log,
        )
        macs_per_s = count_macs_per_s(checkpoint.model)
        made = [_make(each, builder, certifier, macs_per_s, options.prefer, log) for each in options.precisions]
        if "fp32" not in options.precisions:
            source.unlink()
        passed = [each for each in made if each.certificate.passed]
        refused = [each.certificate for each in made if not each.certificate.passed]
        if not passed:
            raise ParityError(f"{options.output}: nothing written, {_refusals(refused)}")
        for certificate in refused:
            builder.path(certificate.precision).unlink()
        write_bundle(
            folder,
            _manifest(checkpoint, passed, macs_per_s),
            checkpoint=checkpoint,
            certificates=[each.certificate for each in passed],
            original_record=certifier.original_record(),
            engines=((each.variant.precision, builder.open(folder / each.variant.file)) for each in passed),
            license_name=license_of(options.checkpoint),
        )
    certificates = tuple(each.certificate for each in passed)
    return Export(bundle=Bundle.open(options.output), certificates=certificates, refused=tuple(refused))


def _target(options: ExportOptions, log: Callable[[str], None]) -> str:
    """The kind of processor that int8 MatMuls are made for, logged with the reason."""
    native, reason = native_target()
    target = native if options.target == NATIVE else options.target
    recipes = [RECIPES[name] for name in options.precisions]
    if any(recipe.has_int8(parts) for recipe in recipes for parts in recipe.attempts_for(batched=options.batched)):
        chosen = reason if options.target == NATIVE else "as requested"
        log(f"int8 MatMuls are made for {target} ({TARGETS[target].summary}): {chosen}")
        if (target, native) == ("vnni", "avx2"):
            log(
                f"certified here, where int8 sums saturate ({reason}): variants that are exact elsewhere may be refused"
            )
    return target


def _make(
    precision: str,
    builder: VariantBuilder,
    certifier: Certifier,
    macs_per_s: int,
    prefer: str,
    log: Callable[[str], None],
) -> _Made:
    """Make one precision, leaving ever more of the graph at a higher one until it keeps its budget."""
    recipe = RECIPES[precision]
    if recipe.method == "search":
        from wav2edge_export.mixed_precision.search import Search, write_frontier

        search = Search(builder=builder, certifier=certifier, macs_per_s=macs_per_s, prefer=prefer, log=log)
        frontier = search.run()
        write_frontier(frontier, builder.folder, log=log)
        nearest = frontier.nearest
        variant = builder.variant(precision, has_int8="int8" in nearest.levels.values())
        return _Made(variant=variant, certificate=nearest.certificate)
    for parts in recipe.attempts_for(batched=builder.batched):
        log(f"making {precision}" + "".join(f", {part} in {level}" for part, level in parts.items()))
        builder.build(precision, parts)
        engine = builder.open(builder.path(precision))
        certificate = certifier.certify(engine, precision, recipe.budget, parts=parts)
        log(f"{precision}: {certificate.summary}")
        if certificate.passed:
            break
    if recipe.note:
        log(f"{precision}: {recipe.note}")
    return _Made(variant=builder.variant(precision, has_int8=recipe.has_int8(parts)), certificate=certificate)


def _manifest(checkpoint: Checkpoint, passed: Sequence[_Made], macs_per_s: int) -> Manifest:
    """The manifest without its digests, which are computed when every file is written; the first variant is default."""
    variants = [each.variant for each in passed]
    return Manifest(
        name=checkpoint.name,
        model_type=checkpoint.model.config.model_type,
        heads=checkpoint.heads,
        geometry=checkpoint.geometry,
        variants={variant.precision: variant for variant in variants},
        default_variant=variants[0].precision,
        files={variant.file: FileRecord(sha256="", size_bytes=0) for variant in variants},
        parameters=count_parameters(checkpoint.model),
        macs_per_s=macs_per_s,
        certified_up_to_s=certified_up_to_s([each.certificate for each in passed]),
    )


def _refusals(refused: Sequence[Certificate]) -> str:
    return "; ".join(
        f"{certificate.precision} is over its budget ({', '.join(certificate.violations)}),"
        f" {'try --precision fp32' if certificate.precision != 'fp32' else 'report it: the export is not exact'}"
        for certificate in refused
    )
