"""The export, top to bottom: load, export, make each precision, certify, write what passed, commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import FileRecord, Manifest, Variant
from wav2edge.errors import ParityError
from wav2edge.evaluation.parity.certificate import (
    Certificate,
    certified_up_to_s,
    confidence_temperature,
    word_times_borne_out,
)
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.inference.sessions.cpu import NATIVE, TARGETS, native_target
from wav2edge_export.bundle import ort_format
from wav2edge_export.bundle.certification import ROUNDING, Certifier, EvaluationClips, choose_evaluation_clips
from wav2edge_export.bundle.writing import DecoderFiles, read_decoder, staged_folder, write_bundle
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.quantization.recipes import RECIPES, VariantBuilder
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.complexity import count_macs_per_s, count_parameters
from wav2edge_train.reporting.card_metadata import license_of

if TYPE_CHECKING:
    from wav2edge.bundle.cached_streams import CachedStreams
    from wav2edge_export.bundle.stream_certification import CertifiedStreams


NOT_EXACT = (
    f"report it: the export is not exact, for rounding is within {RECIPES['fp32'].budget.absolute_error:g} or"
    f" {ROUNDING:g} of the largest logit"
)


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an export wrote, and what it refused."""

    bundle: Bundle
    certificates: tuple[Certificate, ...]
    refused: tuple[Certificate, ...]
    streams: CertifiedStreams | None = None


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
    checkpoint = load_checkpoint(options.checkpoint, language=next(iter(options.languages), None))
    if options.stream_ms:
        from wav2edge_export.bundle.stream_certification import check_stream_options  # here: most exports have none

        check_stream_options(options, checkpoint)
    decoder = None if options.decoder is None else read_decoder(options.decoder, checkpoint.heads)
    with staged_folder(options.output) as folder:
        log("exporting through Optimum")
        source = folder / RECIPES["fp32"].file
        how = {"batched": options.takes_mask, "transient": options.quantizes_only}
        result = export_graph(checkpoint, source, operators=options.operators, **how)
        for module in result.unchanged:
            log(f"{module.path} is exported unchanged: {module.reason}")
        export = _Export(options=options, checkpoint=checkpoint, clips=clips, folder=folder, log=log)
        made = [export.make(precision) for precision in options.precisions]
        made += [export.in_ort_format(each) for each in made if export.goes_into_ort_format(each)]
        streams = export.streams() if options.stream_ms else None
        if "fp32" not in options.precisions:
            for file in source.parent.glob(f"{source.name}*"):
                file.unlink()
        passed = [each for each in made if each.certificate.passed]
        refused = [each.certificate for each in made if not each.certificate.passed]
        refused_streams = [] if streams is None else list(streams.refused)
        if streams is not None and not streams.certificates:
            raise ParityError(f"{options.output}: nothing written, {_refusals(refused_streams)}")
        if not passed:
            raise ParityError(f"{options.output}: nothing written, {_refusals(refused)}")
        for certificate in refused:
            (folder / ort_format.graph_file(certificate.precision)).unlink()
        export.write(passed, decoder, streams)
    return Export(
        bundle=Bundle.open(options.output),
        certificates=tuple(each.certificate for each in passed),
        refused=(*refused, *refused_streams),
        streams=streams,
    )


class _Export:
    """One export between the fp32 graph and the bundle: makes and certifies each precision, then writes the rest."""

    def __init__(
        self,
        *,
        options: ExportOptions,
        checkpoint: Checkpoint,
        clips: EvaluationClips,
        folder: Path,
        log: Callable[[str], None],
    ) -> None:
        self._options, self._checkpoint, self._folder, self._log = options, checkpoint, folder, log
        self._macs_per_s = count_macs_per_s(checkpoint.model)
        heads, geometry, batched = checkpoint.heads, checkpoint.geometry, options.takes_mask
        self._target = _target(options, log)
        self.builder = VariantBuilder(
            folder=folder,
            heads=heads,
            geometry=geometry,
            operators=options.operators,
            target=self._target,
            batched=batched,
        )
        original = CachedModel(Original(checkpoint).outputs)
        self._certifier = Certifier(
            original=original, clips=clips, heads=heads, geometry=geometry, batched=batched, log=log
        )

    def make(self, precision: str) -> _Made:
        """Make and certify a precision."""
        return self._search(precision) if RECIPES[precision].method == "search" else self._convert(precision)

    def _search(self, precision: str) -> _Made:
        """Find the best mixture of levels within the budget, and write down the frontier."""
        from wav2edge_export.mixed_precision.search import Search, write_frontier  # here: only ``auto`` needs it

        frontier = Search(
            builder=self.builder,
            certifier=self._certifier,
            macs_per_s=self._macs_per_s,
            prefer=self._options.prefer,
            log=self._log,
        ).run()
        write_frontier(frontier, self._folder, log=self._log)
        nearest = frontier.nearest
        variant = self.builder.variant(precision, has_int8="int8" in nearest.levels.values())
        return _Made(variant=variant, certificate=nearest.certificate)

    def _convert(self, precision: str) -> _Made:
        """Convert the fp32 graph, leaving ever more of it at a higher level until the budget is kept."""
        recipe = RECIPES[precision]
        budget = self._options.budget_of(recipe)
        for parts in recipe.attempts_on(self.builder.source, batched=self.builder.batched):
            self._log(f"making {precision}" + "".join(f", {part} in {level}" for part, level in parts.items()))
            self.builder.build(precision, parts)
            engine = self.builder.open(self.builder.path(precision))
            certificate = self._certifier.certify(engine, precision, budget, parts=parts)
            self._log(f"{precision}: {certificate.summary}")
            if certificate.passed:
                break
        if recipe.note:
            self._log(f"{precision}: {recipe.note}")
        return _Made(variant=self.builder.variant(precision, has_int8=recipe.has_int8(parts)), certificate=certificate)

    def goes_into_ort_format(self, made: _Made) -> bool:
        """Whether a variant is wanted in ONNX Runtime's own format too."""
        return made.certificate.passed and made.certificate.precision in self._options.ort_precisions

    def in_ort_format(self, made: _Made) -> _Made:
        """A variant in ONNX Runtime's own format, certified by itself."""
        of, name = made.certificate, f"{made.certificate.precision}{ort_format.SUFFIX}"
        file = ort_format.graph_file(name)
        self._log(f"making {name}")
        ort_format.save_as_ort(self._folder / made.variant.file, self._folder / file)
        engine = self.builder.open(self._folder / file)
        certificate = self._certifier.certify(engine, name, of.budget, parts=ort_format.parts_of(of), note=of.note)
        self._log(f"{name}: {certificate.summary}")
        # Fused whatever it was made from: ONNX Runtime's optimiser has put its own operators in.
        return _Made(
            variant=replace(made.variant, file=file, precision=name, operators="fused"), certificate=certificate
        )

    def streams(self) -> CertifiedStreams:
        """Make and certify the graphs of streams."""
        from wav2edge_export.bundle.stream_certification import StreamExport  # here: most exports have none

        return StreamExport(
            options=self._options,
            checkpoint=self._checkpoint,
            certifier=self._certifier,
            folder=self._folder,
            target=self._target,
            log=self._log,
        ).run()

    def write(self, passed: Sequence[_Made], decoder: DecoderFiles | None, streams: CertifiedStreams | None) -> None:
        """Write everything but the graphs, which are there."""
        engines = ((each.variant.precision, self.builder.open(self._folder / each.variant.file)) for each in passed)
        silence = self._certifier.silence(self.builder.open(self._folder / passed[0].variant.file))
        if silence is not None:
            outcome = "is" if silence.loses_nothing else "is not"
            where = f"on {silence.clips} clips between half seconds of added silence"
            counts = f"{where} {silence.errors_with} errors with it, {silence.errors_without} without"
            self._log(f"silence at the ends of clips {outcome} left out: {counts}")
        ort_format.write_required_operators(self._folder)
        write_bundle(
            self._folder,
            _manifest(
                self._checkpoint,
                passed,
                self._macs_per_s,
                longest_clip_s=self._options.longest_clip_s,
                decoder=None if decoder is None else decoder.copy_into(self._folder),
                trims_silence=None if silence is None else silence.loses_nothing,
                stream=None if streams is None else streams.streams,
            ),
            streams=streams,
            checkpoint=self._checkpoint,
            certificates=[each.certificate for each in passed],
            silence=silence,
            original_record=self._certifier.original_record(),
            engines=engines,
            license_name=license_of(self._options.checkpoint),
        )


def _target(options: ExportOptions, log: Callable[[str], None]) -> str:
    """The kind of processor that int8 MatMuls are made for, logged with the reason."""
    native, reason = native_target()
    target = native if options.target == NATIVE else options.target
    recipes = [RECIPES[name] for name in options.precisions]
    if any(recipe.has_int8(parts) for recipe in recipes for parts in recipe.attempts_for(batched=options.takes_mask)):
        chosen = reason if options.target == NATIVE else "as requested"
        log(f"int8 MatMuls are made for {target} ({TARGETS[target].summary}): {chosen}")
        if (target, native) == ("vnni", "avx2"):
            log(
                f"certified here, where int8 sums saturate ({reason}): variants that are exact elsewhere may be refused"
            )
    return target


def _manifest(
    checkpoint: Checkpoint,
    passed: Sequence[_Made],
    macs_per_s: int,
    *,
    longest_clip_s: float | None,
    decoder: Mapping[str, Any] | None,
    trims_silence: bool | None,
    stream: CachedStreams | None,
) -> Manifest:
    """The manifest without its digests, which are computed when every file is written; the first variant is default."""
    variants = [replace(each.variant, language=checkpoint.language) for each in passed]
    return Manifest(
        name=checkpoint.name,
        model_type=checkpoint.model.config.model_type,
        heads=checkpoint.heads,
        geometry=checkpoint.geometry,
        variants={variant.precision: variant for variant in variants},
        default_variant=variants[0].precision,
        files={
            file: FileRecord(sha256="", size_bytes=0)
            for file in (*(variant.file for variant in variants), *(stream.files.values() if stream else ()))
        },
        stream=stream,
        parameters=count_parameters(checkpoint.model),
        macs_per_s=macs_per_s,
        certified_up_to_s=certified_up_to_s([each.certificate for each in passed]),
        longest_clip_s=longest_clip_s or getattr(checkpoint.model.config, "longest_clip_s", None),
        word_times=word_times_borne_out([each.certificate for each in passed]),
        confidence_temperature=confidence_temperature([each.certificate for each in passed]),
        decoder=decoder,
        trims_silence=trims_silence,
    )


def _refusals(refused: Sequence[Certificate]) -> str:
    return "; ".join(
        f"{certificate.precision} is over its budget ({', '.join(certificate.violations)}),"
        f" {'try --precision fp32' if certificate.precision != 'fp32' else NOT_EXACT}"
        for certificate in refused
    )
