"""The graphs of streams: each precision made and certified, chunk by chunk, against the original that hears chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.evaluation.parity.original_record import OriginalRecord
from wav2edge.inference.sessions.stream_session import StreamSession
from wav2edge.inference.streaming.chunked_clips import ChunkedClips
from wav2edge_export.bundle import ort_format
from wav2edge_export.bundle.certification import Certifier
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.quantization.recipes import RECIPES, Level, build_graph
from wav2edge_export.rewrite.stream.stream_export import check_streaming, export_stream_graph
from wav2edge_export.rewrite.stream.stream_model import chunk_frames
from wav2edge_train.checkpoint.loading import Checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.chunked_encoder import Chunking

RECORDED_FRAMES = 250
"""Frames of the longest signal that the original's outputs are recorded for."""
STREAMED = ("copy", "quantize")
"""Methods of recipes that graphs of streams are made by; the others are for GPUs, or search layer by layer."""


@dataclass(frozen=True, kw_only=True)
class CertifiedStreams:
    """What a bundle gets for streams.

    Attributes:
        streams: the entry of the manifest; its first chunk is the default.
        certificates: by precision and chunk, in milliseconds.
        refused: those that are over their budget.
        records: what the original gave, by chunk in milliseconds.
    """

    streams: CachedStreams
    certificates: Mapping[str, Mapping[int, Certificate]]
    refused: tuple[Certificate, ...]
    records: Mapping[int, OriginalRecord]
    heads: Heads
    geometry: ConvGeometry

    def chunked(self, folder: Path) -> Iterator[tuple[str, int, ChunkedClips]]:
        """Precision, chunk in milliseconds, and what hears clips in such chunks, one by one."""
        for precision, file in self.streams.files.items():
            for chunk_ms, frames in zip(self.records, self.streams.chunk_frames, strict=True):
                yield precision, chunk_ms, _chunked(folder / file, self.streams, frames, self.heads, self.geometry)

    def to_dict(self, whole: Certificate) -> dict[str, Any]:
        """The entry ``streams`` of ``certificate.json``, with the original's rates on the same clips heard whole.

        Args:
            whole: the certificate of a variant that hears clips whole.
        """
        rates = {} if whole.clips is None else {name: rate.original for name, rate in whole.clips.rates.items()}
        return {
            precision: {
                str(chunk_ms): {**certificate.to_dict(), "original_on_whole_clips": rates}
                for chunk_ms, certificate in by_chunk.items()
            }
            for precision, by_chunk in self.certificates.items()
        }


def check_stream_options(options: ExportOptions, checkpoint: Checkpoint) -> None:
    """Refuse what cannot be exported, before anything is.

    Raises:
        CheckpointError: the checkpoint cannot stream.
        UsageError: a chunk is no whole number of frames.
    """
    check_streaming(checkpoint)
    for chunk_ms in (*options.stream_ms, options.look_ahead_ms):
        chunk_frames(chunk_ms, checkpoint.geometry)


def _chunked(path: Path, streams: CachedStreams, frames: int, heads: Heads, geometry: ConvGeometry) -> ChunkedClips:
    return ChunkedClips(StreamSession(path, streams, chunk_frames=frames, heads=heads, geometry=geometry))


def _short(record: OriginalRecord) -> OriginalRecord:
    """The record without its longest signals: each chunk has one, and the ring of keys goes round in five seconds."""
    signals = {
        name: signal
        for name, signal in record.signals.items()
        if max(map(len, signal.outputs.values())) <= RECORDED_FRAMES
    }
    return replace(record, signals=signals)


@dataclass(kw_only=True)
class StreamExport:
    """Makes the graphs of streams of one export.

    Attributes:
        options: what is asked for.
        checkpoint: trained for streams.
        certifier: of the bundle's variants, whose signals and clips serve here too.
        folder: of the bundle that is being written.
        target: the kind of processor that int8 MatMuls are made for.
        log: gets one line per step.
    """

    options: ExportOptions
    checkpoint: Checkpoint
    certifier: Certifier
    folder: Path
    target: str
    log: Callable[[str], None]

    def run(self) -> CertifiedStreams:
        """Export, make each precision, and certify each chunk; what is over its budget is not kept."""
        options, geometry = self.options, self.checkpoint.geometry
        left = round(options.left_context_s / geometry.frame_s)
        chunkings = {
            chunk_ms: Chunking(
                frames=chunk_frames(chunk_ms, geometry),
                left=left,
                look_ahead=chunk_frames(options.look_ahead_ms, geometry),
                delay=self.checkpoint.model.config.streaming["delay_frames"],
            )
            for chunk_ms in options.stream_ms
        }
        self.log(f"exporting streams in chunks of {', '.join(map(str, chunkings))} ms")
        source = self._path("fp32")
        operators = options.operators
        streams = export_stream_graph(self.checkpoint, source, chunkings=tuple(chunkings.values()), operators=operators)
        certifiers = {
            chunk_ms: replace(
                self.certifier,
                original=CachedModel(Original(self.checkpoint, chunking).outputs),
                batched=False,
            )
            for chunk_ms, chunking in chunkings.items()
        }
        made: dict[str, dict[int, Certificate]] = {}
        for precision in self._precisions():
            made[precision] = self._make(precision, streams, certifiers)
            if options.graph_format == "ort" and _passed(made[precision]):
                name = f"{precision}{ort_format.SUFFIX}"
                self.log(f"making {name} for streams")
                ort_format.save_as_ort(self._path(precision), self._path(name))
                parts = ort_format.parts_of(next(iter(made[precision].values())))
                made[name] = self._certify(name, streams, certifiers, parts)
        certificates = {name: found for name, found in made.items() if _passed(found)}
        for name in made.keys() - certificates.keys():
            self._path(name).unlink()
        if "fp32" not in certificates:
            source.unlink(missing_ok=True)
        files = {precision: self._path(precision).relative_to(self.folder).as_posix() for precision in certificates}
        return CertifiedStreams(
            streams=replace(streams, files=files),
            certificates=certificates,
            refused=tuple(each for found in made.values() for each in found.values() if not each.passed),
            records={chunk_ms: _short(certifier.original_record()) for chunk_ms, certifier in certifiers.items()},
            heads=self.checkpoint.heads,
            geometry=geometry,
        )

    def _precisions(self) -> list[str]:
        """Those that can be made of a stream, ``fp32`` last, since the others are made of its graph."""
        found = [name for name in self.options.precisions if RECIPES[name].method in STREAMED]
        for name in self.options.precisions:
            if name not in found:
                self.log(f"{name}: not made for streams")
        return sorted(found or ["int8"], key=lambda name: name == "fp32")

    def _path(self, precision: str) -> Path:
        return self.folder / ort_format.graph_file(precision).replace("model", "model_stream")

    def _make(
        self, precision: str, streams: CachedStreams, certifiers: Mapping[int, Certifier]
    ) -> dict[int, Certificate]:
        """Convert the fp32 graph, leaving ever more of it at a higher level until the budget is kept at every chunk."""
        recipe, path = RECIPES[precision], self._path(precision)
        found: dict[int, Certificate] = {}
        for parts in recipe.attempts_on(self._path("fp32")):
            self.log(f"making {precision} for streams" + "".join(f", {part} in {lv}" for part, lv in parts.items()))
            build_graph(recipe, self._path("fp32"), path, parts=parts, target=self.target)
            found = self._certify(precision, streams, certifiers, parts)
            if _passed(found):
                break
        return found

    def _certify(
        self, name: str, streams: CachedStreams, certifiers: Mapping[int, Certifier], parts: Mapping[str, Level]
    ) -> dict[int, Certificate]:
        """Certify a graph at every chunk."""
        budget, found = ort_format.recipe_of(name).budget, {}
        for (chunk_ms, certifier), frames in zip(certifiers.items(), streams.chunk_frames, strict=True):
            clips = _chunked(self._path(name), streams, frames, self.checkpoint.heads, self.checkpoint.geometry)
            found[chunk_ms] = certifier.certify(clips, f"{name} stream of {chunk_ms} ms", budget, parts=parts)
            self.log(f"{found[chunk_ms].precision}: {found[chunk_ms].summary}")
        return found


def _passed(found: Mapping[int, Certificate]) -> bool:
    return all(each.passed for each in found.values())
