"""A worker: one engine, and one shard after the other answered with it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from uuid import uuid4

from wav2edge.audio.segmentation import ENERGY
from wav2edge.audio.silero import INSTALLED, installed_graph
from wav2edge.bundle.folder import Bundle, sha256_of
from wav2edge.decoding.language_model import LanguageModel
from wav2edge.errors import BundleError, DataError, DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.engine import Engine
from wav2edge.inference.feeding.archives import storage
from wav2edge.inference.feeding.archives.archived_clips import ArchivedClip, recordings
from wav2edge.inference.feeding.archives.shard_results import BUNDLE, MADE_BY, SETTINGS, as_row, new_results
from wav2edge.inference.feeding.archives.shards import CLIPS, Shard
from wav2edge.inference.load import open_engine
from wav2edge.inference.sessions.device import check_threads
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from wav2edge.audio.segmentation import Segmentation
    from wav2edge.decoding.hypothesis import Decoder


class Recognising(TypedDict, total=False):
    """How an archive is answered: options of ``wav2edge.load``, of ``Engine.map``, and settings of an engine."""

    variant: str | None
    language: str | None
    revision: str | None
    decoder: Decoder | None
    device: str
    threads: int | None
    memory_gb: float | None
    segmentation: Segmentation | None
    segments: bool | None
    reject_below: float
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class EngineRecipe:
    """All that a worker needs to make an engine of its own, and what results depend on; can be pickled.

    Attributes:
        source: the folder of the bundle, or its name on the Hub.
        digest: of the bundle's manifest.
        version: of wav2edge.
        folder: names are seen from here, where a worker has such a folder.
        threads: of a worker.
        device: of a worker.
        options: the rest of ``Recognising``.
        settings: what results depend on, by the names of the metadata; JSON-ready.
        run: a name that no other run has.
    """

    source: str
    digest: str
    version: str
    folder: str
    threads: int
    device: str
    options: Recognising
    settings: Mapping[str, Any]
    run: str = field(default_factory=lambda: uuid4().hex[:8])

    @classmethod
    def of(cls, bundle: str | os.PathLike[str], **recognising: Unpack[Recognising]) -> EngineRecipe:
        """The recipe for engines of a bundle.

        Args:
            bundle: as ``wav2edge.load`` takes it.
            recognising: see ``Recognising``; one thread where it is not said.

        Raises:
            TypeError: there is no such option.
            UsageError: there cannot be so many threads.
            BundleError: it cannot be opened, or has no such variant.
        """
        from wav2edge import __version__  # here: the package is being imported when this module may be

        if unknown := [name for name in recognising if name not in Recognising.__annotations__]:
            choices = ", ".join(Recognising.__annotations__)
            raise TypeError(f"an archive is recognised with no option {', '.join(unknown)}; choose {choices}")
        threads = recognising.get("threads")
        threads = 1 if threads is None else threads
        check_threads(threads)
        opened = Bundle.open(bundle, revision=recognising.get("revision"))
        device = recognising.get("device", "cpu")
        chosen = opened.variant(recognising.get("variant"), device=device, language=recognising.get("language"))
        decoder, segmentation = recognising.get("decoder") or opened.decoder(), recognising.get("segmentation")
        return cls(
            source=os.fspath(bundle) if opened.repository is not None else os.path.abspath(bundle),
            digest=opened.manifest_sha256(),
            version=__version__,
            folder=os.getcwd(),
            threads=threads,
            device=device,
            options=recognising,
            settings={
                "variant": chosen.name,
                "decoder": decoder and repr(decoder),
                "language_models": sorted({_digest_of_model(each) for each in _language_models(decoder)}) or None,
                "segments": recognising.get("segments"),
                "segmentation": segmentation and repr(segmentation),
                "vad": segmentation and _digest_of_detector(segmentation),
                "reject_below": recognising.get("reject_below", 0.0),
            },
        )

    def settings_for(self, shard: Shard) -> dict[str, Any]:
        """What the results of a shard depend on: the settings, and the archive as it is now."""
        return {**self.settings, "archive_bytes": shard.size_bytes}

    def metadata_for(self, shard: Shard) -> dict[bytes, bytes]:
        """That of a file of results."""
        settings = json.dumps(self.settings_for(shard), sort_keys=True)
        return {MADE_BY: self.version.encode(), BUNDLE: self.digest.encode(), SETTINGS: settings.encode()}

    def open_engine(self, bundle: str | None = None) -> Engine:
        """An engine.

        Args:
            bundle: where the bundle lies for this worker; where None, at its source.

        Raises:
            BundleError: it is another one here, or cannot be used.
            DeviceError: the device cannot be used, or wav2edge has another version here.
        """
        from wav2edge import __version__

        if __version__ != self.version:
            raise DeviceError(
                f"a worker has wav2edge {__version__}, and {self.version} started it; install one version everywhere"
            )
        options = self.options
        opened = Bundle.open(bundle or self.source, revision=options.get("revision"))
        if opened.manifest_sha256() != self.digest:
            raise BundleError(f"{opened.folder}: another bundle than the one that was given; copy that one there")
        engine = open_engine(
            opened,
            variant=options.get("variant"),
            language=options.get("language"),
            decoder=options.get("decoder"),
            device=self.device,
            threads=self.threads,
            memory_gb=options.get("memory_gb"),
        )
        engine.segmentation, engine.reject_below = options.get("segmentation"), options.get("reject_below", 0.0)
        return engine

    def answered(
        self, engine: Engine, clips: Iterable[ArchivedClip]
    ) -> Iterator[tuple[ArchivedClip, Result | Wav2EdgeError]]:
        """Each recording with its outcome, in order; the next one is read while one is recognised."""
        waiting: deque[ArchivedClip] = deque()

        def sources() -> Iterator[Any]:
            for clip in clips:
                waiting.append(clip)
                if clip.error is None:
                    yield clip.source

        def without_source() -> Iterator[tuple[ArchivedClip, Wav2EdgeError]]:
            while waiting and (error := waiting[0].error) is not None:
                yield waiting.popleft(), error

        options = self.options
        outcomes = engine.map(
            sources(),
            errors="return",
            batch_size=options.get("batch_size", 1),
            segments=options.get("segments"),
            workers=1,
        )
        for outcome in outcomes:
            yield from without_source()
            yield waiting.popleft(), outcome
        yield from without_source()


def _language_models(part: Any) -> Iterator[LanguageModel]:
    """Those of a decoder, whose text names no more than their files."""
    if isinstance(part, LanguageModel):
        yield part
    elif is_dataclass(part):
        for each in fields(part):
            yield from _language_models(getattr(part, each.name))


def _digest_of_model(model: LanguageModel) -> str:
    digest = hashlib.sha256("\n".join(model.words).encode())
    for each in (model.keys, model.log_probability, model.back_off):
        digest.update(each.data)
    return digest.hexdigest()


def _digest_of_detector(segmentation: Segmentation) -> str | None:
    """That of the graph which tells speech from noise; None where that is no graph."""
    if segmentation.vad == ENERGY:
        return None
    graph = installed_graph() if segmentation.vad == INSTALLED else Path(segmentation.vad)
    try:
        return sha256_of(graph)
    except OSError as error:
        raise UsageError(f"{graph}: {storage.why(error)}; give the path of silero_vad.onnx") from None


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        name: of the shard.
        output: name of its file of results; None where the shard could not be answered.
        error: why not.
        recordings: rows of the file.
        failed: those with an error.
        speech_s: length of the recordings that are answered, in seconds.
        example: the first error of a recording.
        work_s: how long it took.
    """

    name: str
    output: str | None = None
    error: str | None = None
    recordings: int = 0
    failed: int = 0
    speech_s: float = 0.0
    example: str | None = None
    work_s: float = 0.0


class ShardWorker:
    """Answers shards with one engine.

    Args:
        recipe: of the engine.
        output: folder of the results.
        bundle: where the bundle lies for this worker; where None, at its source.

    Raises:
        BundleError, DeviceError: see ``EngineRecipe.open_engine``.
    """

    def __init__(self, recipe: EngineRecipe, output: str, bundle: str | None = None) -> None:
        with suppress(OSError):  # a machine without this folder sees the inputs by absolute paths, or not at all
            os.chdir(recipe.folder)
        self._recipe, self._output, self._engine = recipe, output, recipe.open_engine(bundle)

    def answer(self, shard: Shard) -> ShardReport | OSError | UsageError:
        """Answer a shard and write its results.

        A shard that cannot be answered has its reason in its report. An error is returned where the next shard would
        end no better: results cannot be written, as on a disk that is full, or the options do not fit the engine.
        """
        started_s = time.monotonic()
        source, metadata = None if shard.kind == CLIPS else shard.name, self._recipe.metadata_for(shard)
        try:
            with new_results(self._output, shard.output, metadata, self._recipe.run) as results:
                for clip, outcome in self._outcomes(shard):
                    results.add(as_row(outcome, source=source, row=clip.row, path=clip.path))
        except (OSError, UsageError) as error:
            return error
        except DataError as error:
            return ShardReport(name=shard.name, error=str(error))
        except Exception as error:  # one shard of thousands must not end the others
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; report it"
            return ShardReport(name=shard.name, error=f"{shard.name}: {reason}")
        work_s = round(time.monotonic() - started_s, 3)
        return ShardReport(
            name=shard.name, output=shard.output, work_s=work_s, example=results.example, **results.counts
        )

    def _outcomes(self, shard: Shard) -> Iterator[tuple[ArchivedClip, Result | Wav2EdgeError]]:
        try:
            yield from self._recipe.answered(self._engine, recordings(shard))
        except OSError as error:
            raise DataError(f"{shard.name}: {error.strerror or error}; check the file and its disk") from None
