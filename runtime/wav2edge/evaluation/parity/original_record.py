"""What the PyTorch original gave, recorded in the bundle, so that a device can repeat the certificate without PyTorch.

``original.json`` holds ``signals``, the SHA-256 of each synthetic signal's samples, and ``clips``, what the original
predicted by the SHA-256 of the clip's file; ``original.npz`` holds the original's outputs for each signal.
Neither the signals, which any device can generate, nor the clips are stored. A clip is identified by its file: decoders
and resamplers differ in the last bit between processors, so a digest of decoded samples would not be found again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wav2edge.bundle.folder import ORIGINAL, ORIGINAL_OUTPUTS, Bundle, sha256_of
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import AudioError, BundleError
from wav2edge.evaluation.parity.differences import Model, Outputs, Prediction, load_answerable
from wav2edge.evaluation.parity.signals import SyntheticSignal
from wav2edge.inference.interpretation import interpret
from wav2edge.output.documents import write_json

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance

LARGEST_OUTPUTS_BYTES = 16 * 1000**2
"""Signals that would exceed it, the longest ones, are not recorded; a vocabulary of 1,500 tokens reaches it."""


@dataclass(frozen=True, kw_only=True)
class RecordedSignal:
    """The digest of a signal's samples, and each head's output of the original for it, float32."""

    sha256: str
    outputs: Outputs


@dataclass(frozen=True, kw_only=True)
class OriginalRecord:
    """Signals by their names in the certificate, and predictions by the SHA-256 of the clip's file."""

    signals: Mapping[str, RecordedSignal]
    clips: Mapping[str, Prediction]

    def write(self, folder: Path, *, chunk_ms: int | None = None) -> None:
        """Write both files of a bundle, or of its streams in chunks of so many milliseconds."""
        document_name, outputs_name = record_files(chunk_ms)
        document = {
            "signals": {name: {"sha256": signal.sha256} for name, signal in self.signals.items()},
            "clips": {sha256: prediction.to_dict() for sha256, prediction in self.clips.items()},
        }
        write_json(folder / document_name, document)
        arrays: dict[str, Any] = {
            _key(name, output): values
            for name, signal in self.signals.items()
            for output, values in signal.outputs.items()
        }
        np.savez_compressed(folder / outputs_name, **arrays)

    @classmethod
    def read(cls, bundle: Bundle, *, chunk_ms: int | None = None, language: str | None = None) -> OriginalRecord:
        """Read that of clips that are heard whole, or in such chunks, from a bundle, after checking both digests.

        ``language`` is one that is not the bundle's first.

        Raises:
            BundleError: an older version wrote the bundle, or the files are damaged.
        """
        document_name, outputs_name = record_files(chunk_ms, language)
        if document_name not in bundle.manifest.files:
            raise BundleError(
                f"{bundle.folder}: has no record of the original's outputs, so its certificate cannot be repeated;"
                " export the bundle again"
            )
        document, path = bundle.read_json(document_name), bundle.checked(outputs_name)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                signals = {
                    name: RecordedSignal(
                        sha256=recorded["sha256"],
                        outputs={output: arrays[_key(name, output)] for output in bundle.manifest.heads.outputs},
                    )
                    for name, recorded in document["signals"].items()
                }
            clips = {sha256: Prediction.from_dict(prediction) for sha256, prediction in document["clips"].items()}
        except (ValueError, TypeError, LookupError, AttributeError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: no record of an original ({error}); export the bundle again") from None
        return cls(signals=signals, clips=clips)


def record_original(
    original: Model,
    heads: Heads,
    geometry: ConvGeometry,
    *,
    signals: Iterable[SyntheticSignal],
    utterances: Sequence[Utterance],
) -> OriginalRecord:
    """Run the original on signals and clips and record what it gives; clips that cannot be read are skipped."""
    clips: dict[str, Prediction] = {}
    for row in utterances:
        with suppress(AudioError):
            clip = load_answerable(row, heads, geometry)
            result = interpret(original(clip.samples), heads, geometry, duration_s=clip.duration_s)
            clips[sha256_of(row.path)] = Prediction.of(result)
    return OriginalRecord(signals=_recorded(original, signals), clips=clips)


def _recorded(original: Model, signals: Iterable[SyntheticSignal]) -> dict[str, RecordedSignal]:
    recorded: dict[str, RecordedSignal] = {}
    left_bytes = LARGEST_OUTPUTS_BYTES
    for signal in sorted(signals, key=lambda signal: len(signal.samples)):
        outputs = {name: np.asarray(values, np.float32) for name, values in original(signal.samples).items()}
        left_bytes -= sum(values.nbytes for values in outputs.values())
        if left_bytes < 0:
            break
        recorded[signal.name] = RecordedSignal(sha256=signal.sha256, outputs=outputs)
    return recorded


def record_files(chunk_ms: int | None, language: str | None = None) -> tuple[str, str]:
    """The two files that hold what the original gave for whole clips, or for clips in chunks, or in a language."""
    suffix = "" if language is None else f"_{language}"
    suffix += "" if chunk_ms is None else f"_stream_{chunk_ms}"
    document, outputs = (Path(name) for name in (ORIGINAL, ORIGINAL_OUTPUTS))
    return document.with_stem(document.stem + suffix).name, outputs.with_stem(outputs.stem + suffix).name


def _key(signal: str, output: str) -> str:
    return f"{signal}/{output}"
