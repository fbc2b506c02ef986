"""Clips and recordings in, 16 kHz mono float32 out; what cannot be recognised reliably is refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from wav2edge.audio.samples import Mixdown, check_rate, columns, stream_resampler, to_floats, to_mono
from wav2edge.audio.sound_file import BLOCK_FRAMES, AudioSource, name_of, open_sound
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError, UsageError

SILENCE, SILENCE_HOP, KEPT_SILENCE_S = 1e-4, 320, 0.2
"""Power of silence relative to the loudest frame, samples of a frame, and how much silence stays at each end."""
WORTH_S = 0.1
"""Less silence than this is not worth to be left out."""
VARIANCE_EPS = 1e-7
"""Added to the variance; for quiet clips it shapes the result (``feature_extraction_wav2vec2.py`` of transformers)."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """``samples: [samples] float32`` at 16 kHz, mono, not normalised, with warnings about the recording.

    They begin ``begins_s`` after the beginning of the recording. ``recorded_s`` is the length of the whole recording;
    None: they are all of it.
    """

    samples: npt.NDArray[np.float32]
    warnings: tuple[str, ...] = ()
    begins_s: float = 0.0
    recorded_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ if self.recorded_s is None else self.recorded_s

    def without_silence(self) -> Clip:
        """The clip without what is silent at both ends; the clip itself where that would save little."""
        first, last = sounding(self.samples)
        if len(self.samples) - (last - first) < WORTH_S * SAMPLE_RATE_HZ:
            return self
        begins_s = self.begins_s + first / SAMPLE_RATE_HZ
        return replace(self, samples=self.samples[first:last], begins_s=begins_s, recorded_s=self.duration_s)


def sounding(samples: npt.NDArray[np.float32]) -> tuple[int, int]:
    """The first and the end of the samples that are not silence at the ends of a clip.

    Silence is what lies 40 dB below the loudest 20 ms; beside noise that is louder nothing is silent. A fifth of a
    second of it is kept: models are trained on clips that do not begin with the first sound.

    Args:
        samples: ``[samples] float32`` at 16 kHz.
    """
    frames = samples[: len(samples) // SILENCE_HOP * SILENCE_HOP].reshape(-1, SILENCE_HOP)
    powers = np.einsum("ij,ij->i", frames, frames)
    loud = np.flatnonzero(powers > powers.max(initial=0.0) * SILENCE)
    if not len(loud):
        return 0, len(samples)
    kept = round(KEPT_SILENCE_S * SAMPLE_RATE_HZ)
    return max(0, loud[0] * SILENCE_HOP - kept), min(len(samples), (loud[-1] + 1) * SILENCE_HOP + kept)


@dataclass(kw_only=True, eq=False)
class Recording:
    """Sound of any length that is open for reading, once: as one clip, or block by block; a context manager.

    Attributes:
        name: what messages call it.
        rate_hz: its own sample rate.
        promised: its samples per channel, as far as is known before it is read.
        warnings: about the recording; complete once it is read.
        given_s: seconds of it that were read so far.
    """

    name: str
    rate_hz: int
    promised: int
    source_blocks: Callable[[], Iterator[npt.NDArray[np.floating]]]
    truncated: bool = False
    close: Callable[[], None] = lambda: None
    warnings: list[str] = field(default_factory=list)
    given_s: float = 0.0

    def __post_init__(self) -> None:
        check_rate(self.name, self.rate_hz)

    @property
    def duration_s(self) -> float:
        """Length in seconds, as far as is known before it is read."""
        return self.promised / self.rate_hz

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def clip(self) -> Clip:
        """All of it: read, checked, mixed down and resampled.

        Raises:
            AudioError: it cannot be used; the message says what, where and what to do.
        """
        blocks = list(self.source_blocks())
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        self.given_s = len(samples) / self.rate_hz
        if self.truncated or len(samples) < self.promised:
            raise AudioError(
                f"{self.name}: truncated, the file ends after {self.given_s:.2f} s with audio still"
                " promised; copy or record it again"
            )
        clip = _prepare(self.name, samples, self.rate_hz)
        return replace(clip, warnings=(*clip.warnings, *self.warnings)) if self.warnings else clip

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """The same block by block, ``[samples] float32`` each, for recordings of any length.

        What there is of a truncated file is given, with a warning.

        Raises:
            AudioError: it cannot be used, or ends in the middle of what cannot be decoded.
        """
        resample, mixdown, silent = stream_resampler(self.rate_hz), Mixdown(self.name), True
        blocks = self.source_blocks()
        for block in blocks:
            mono = mixdown.add(block, blocks) if len(block) else np.zeros(0)
            self.given_s = mixdown.frames / self.rate_hz
            silent = silent and (len(mono) == 0 or np.ptp(mono) == 0)
            yield resample(mono, False)
        self.warnings[:0] = mixdown.warnings
        yield resample(np.zeros(0), True)
        if mixdown.frames == 0:
            raise AudioError(f"{self.name}: holds no samples; record or export the clip again")
        if silent:
            raise AudioError(f"{self.name}: silent from start to end; check the microphone or the file")
        if self.truncated or mixdown.frames < self.promised:
            self.warnings.append(f"truncated: the file ends after {self.given_s:.2f} s with audio still promised")


def open_recording(source: AudioSource, *, rate_hz: int | None = None) -> Recording:
    """Open sound, without reading it yet.

    Args:
        source: see ``AudioSource``. Integer samples are scaled by their type's full scale.
        rate_hz: sample rate of an array; a file has its own.

    Raises:
        AudioError: the sound cannot be read; the message says what, where and what to do.
        UsageError: the sample rate is not a number, or was given for a file.
    """
    if not isinstance(source, np.ndarray):
        if rate_hz is not None:
            raise UsageError(f"{name_of(source)}: a file has its own sample rate; leave rate_hz out")
        sound = open_sound(source)
        return Recording(
            name=sound.name,
            rate_hz=sound.rate_hz,
            promised=sound.promised,
            source_blocks=sound.blocks,
            truncated=sound.truncated,
            close=sound.close,
            warnings=list(sound.warnings),
        )
    if rate_hz is None:
        raise AudioError("array: no sample rate; pass rate_hz=, such as rate_hz=16_000")
    channels = columns("array", source)

    def slices() -> Iterator[npt.NDArray[np.floating]]:
        for start in range(0, max(1, len(channels)), BLOCK_FRAMES):
            yield to_floats(channels[start : start + BLOCK_FRAMES])

    return Recording(name="array", rate_hz=rate_hz, promised=len(channels), source_blocks=slices)


def load_clip(source: AudioSource, *, rate_hz: int | None = None) -> Clip:
    """Read, check, mix down and resample one clip; for arguments and errors see ``open_recording`` and ``clip``."""
    with open_recording(source, rate_hz=rate_hz) as recording:
        return recording.clip()


def _prepare(name: str, samples: npt.NDArray[np.floating], rate_hz: int) -> Clip:
    if len(samples) == 0:
        raise AudioError(f"{name}: holds no samples; record or export the clip again")
    mono, warnings = to_mono(name, samples)
    if np.ptp(mono.astype(np.float32)) == 0:
        raise AudioError(f"{name}: silent, every sample is {mono[0]:g}; check the microphone or the file")
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr  # costs 20 ms, and most clips are at 16 kHz already

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
        if len(mono) == 0:
            raise AudioError(f"{name}: {len(samples)} samples at {rate_hz} Hz are less than one at 16 kHz")
    return Clip(samples=np.ascontiguousarray(mono, np.float32), warnings=warnings)


def zero_mean_unit_variance(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(x - mean) / sqrt(variance + 1e-7)`` of ``samples: [samples]``, with the population variance."""
    normalized: npt.NDArray[np.float32] = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_EPS)
    return normalized.astype(np.float32, copy=False)
