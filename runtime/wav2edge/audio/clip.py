"""Clips in, 16 kHz mono float32 out; what cannot be recognised reliably is refused in one line."""

from __future__ import annotations

import codecs
import io
import sys
from dataclasses import dataclass
from numbers import Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from wav2edge.audio.riff import missing_sound_bytes
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError, UsageError

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 1e12
"""Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32."""
CLIPPED_SHARE = 0.001
"""With more samples than this at full scale the clip gets the warning that it is clipped."""
CANCELLED_SHARE = 0.01
"""Channels cancel each other out if their mean has less of the power (20 dB) than that of unrelated channels has."""
CONVERT_FIRST = "convert it first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
STANDARD_INPUT = "standard input"
BLOCK_FRAMES = 1 << 20
"""Files are read in blocks of this length, because a header may promise any length."""
UNKNOWN_FRAMES = 1 << 62
"""From here on libsndfile means "unknown": such a FLAC file, written to a pipe, it reads only in part."""

AudioSource = str | PathLike[str] | BinaryIO | npt.NDArray[Any]
"""A path, ``-`` for standard input, an open binary file, or samples ``[samples]`` or ``[samples, channels]``."""


VARIANCE_EPS = 1e-7
"""Added to the variance; for quiet clips it shapes the result (``feature_extraction_wav2vec2.py`` of transformers)."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """``samples: [samples] float32`` at 16 kHz, mono, not normalised, with warnings about the recording."""

    samples: npt.NDArray[np.float32]
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def load_clip(source: AudioSource, *, rate_hz: int | None = None) -> Clip:
    """Read, check, mix down and resample one clip.

    Args:
        source: see ``AudioSource``. Integer samples are scaled by their type's full scale.
        rate_hz: sample rate of an array; a file has its own.

    Raises:
        AudioError: the clip cannot be used; the message says what, where and what to do.
        UsageError: the sample rate is not a number, or was given for a file.
    """
    if not isinstance(source, np.ndarray):
        name = _name(source)
        if rate_hz is not None:
            raise UsageError(f"{name}: a file has its own sample rate; leave rate_hz out")
        return _prepare(name, *_read(name, source))
    if rate_hz is None:
        raise AudioError("array: no sample rate; pass rate_hz=, such as rate_hz=16_000")
    if not isinstance(rate_hz, Real):
        raise UsageError(f"array: rate_hz={rate_hz!r} is not a number of Hz; pass one, such as rate_hz=16_000")
    return _prepare("array", _scale(source), rate_hz)


def _prepare(name: str, samples: npt.NDArray[np.floating], rate_hz: int) -> Clip:
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise AudioError(f"{name}: shape {samples.shape}; samples come as [samples] or [samples, channels]")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"{name}: {rate_hz} Hz is outside {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample the clip first")
    if samples.shape[1] > MAX_CHANNELS:
        raise AudioError(
            f"{name}: {samples.shape[1]} channels, at most {MAX_CHANNELS}; arrays come as [samples, channels]"
        )
    if len(samples) == 0:
        raise AudioError(f"{name}: holds no samples; record or export the clip again")
    _require_finite(name, samples)
    peak = float(np.abs(samples).max())
    if peak > MAX_PEAK:
        raise AudioError(f"{name}: peak {peak:.3g} is not plausible audio; scale the samples to [-1, 1]")
    mono, warnings = _mix_down(samples)
    if np.ptp(mono.astype(np.float32)) == 0:
        raise AudioError(f"{name}: silent, all {len(mono)} samples are {mono[0]:g}; check the microphone or the file")
    warnings += _level_warnings(samples, peak)
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr  # costs 20 ms, and most clips are at 16 kHz already

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
        if len(mono) == 0:
            raise AudioError(f"{name}: {len(samples)} samples at {rate_hz} Hz are less than one at 16 kHz")
    return Clip(samples=np.ascontiguousarray(mono, np.float32), warnings=warnings)


def _require_finite(name: str, samples: npt.NDArray[np.floating]) -> None:
    if np.isfinite(samples).all():
        return
    bad = np.argwhere(~np.isfinite(samples))
    index, channel = map(int, bad[0])
    raise AudioError(
        f"{name}: {len(bad)} samples are not finite, the first at index {index}, channel {channel}"
        f" ({samples[index, channel]}); export the clip again"
    )


def _mix_down(samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], tuple[str, ...]]:
    """The mean of the channels, or the loudest one where they cancel each other out; with a warning if so."""
    mono = samples.mean(axis=1)
    if samples.shape[1] == 1:
        return mono, ()
    powers = samples.var(axis=0)
    # Channels that have nothing in common add up in power: the variance of their mean is sum(powers) / channels^2.
    if mono.var() >= CANCELLED_SHARE * powers.sum() / samples.shape[1] ** 2:
        return mono, ()
    loudest = int(powers.argmax())
    warning = f"the channels cancel each other out (is one inverted?): only channel {loudest} is used"
    return samples[:, loudest], (warning,)


def _level_warnings(samples: npt.NDArray[np.floating], peak: float) -> tuple[str, ...]:
    if peak > 4.0:
        return (f"peak {peak:.3g} is far above full scale 1.0: were integers passed as floats?",)
    if np.mean(np.abs(samples) >= 0.999 * max(peak, 1.0)) > CLIPPED_SHARE:
        return ("clipped: more than 0.1 % of the samples are at full scale",)
    return ()


def _scale(samples: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    kind = samples.dtype.kind
    if kind == "f":
        return samples.astype(np.float64)
    if kind == "i":
        return samples / float(-int(np.iinfo(samples.dtype).min))
    if kind == "u":
        half = (int(np.iinfo(samples.dtype).max) + 1) / 2
        return (samples - half) / half
    raise AudioError(f"array: {samples.dtype} samples; pass floats in [-1, 1] or integers")


def _read(name: str, source: str | PathLike[str] | BinaryIO) -> tuple[npt.NDArray[np.float64], int]:
    import soundfile  # here, so that importing wav2edge stays quick

    content = _open(source)
    try:
        with soundfile.SoundFile(content) as file:
            promised, rate_hz = file.frames, file.samplerate
            if promised >= UNKNOWN_FRAMES:
                raise AudioError(f"{name}: does not say how long it is (written to a pipe?); convert it to WAV")
            samples = _read_blocks(file)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise AudioError(f"{name}: {_why_unreadable(content, error)}") from None
    if missing_sound_bytes(content) or len(samples) < promised:
        held_s = len(samples) / rate_hz
        raise AudioError(
            f"{name}: truncated, the file ends after {held_s:.2f} s with audio still promised; copy or record it again"
        )
    return samples, rate_hz


class PipedFile(io.BytesIO):
    """A file that came through a pipe, read to its end."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


def read_standard_input() -> PipedFile:
    """Read standard input to its end.

    Raises:
        AudioError: it is closed.
    """
    if sys.stdin is None:
        raise AudioError(f"{STANDARD_INPUT}: closed; pipe a clip into it")
    return PipedFile(STANDARD_INPUT, sys.stdin.buffer.read())


def _read_blocks(file: Any) -> npt.NDArray[np.float64]:
    """Everything an open ``SoundFile`` holds, ``[frames, channels]``."""
    blocks: list[npt.NDArray[np.float64]] = []
    while not blocks or len(blocks[-1]) == BLOCK_FRAMES:
        blocks.append(file.read(BLOCK_FRAMES, dtype="float64", always_2d=True))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _name(source: str | PathLike[str] | BinaryIO) -> str:
    """What messages call a file."""
    if isinstance(source, (str, PathLike)):
        return STANDARD_INPUT if fspath(source) == "-" else str(Path(source))
    if not hasattr(source, "read"):
        raise AudioError(f"{type(source).__name__}: not a path, an open binary file or a numpy array; pass one")
    return str(getattr(source, "name", "stream"))


def _open(source: str | PathLike[str] | BinaryIO) -> BinaryIO:
    """A seekable file; pipes are read to their end."""
    if isinstance(source, (str, PathLike)):
        return read_standard_input() if fspath(source) == "-" else io.BytesIO(_content_of(Path(source)))
    return source if source.seekable() else io.BytesIO(source.read())


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise AudioError(f"{path}: a folder; give its clips, or the folder to the command line") from None
    except FileNotFoundError:
        if path.is_symlink():
            raise AudioError(f"{path}: a broken link, {path.readlink()} is not there; mend or delete it") from None
        raise AudioError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path and its permissions") from None


def _why_unreadable(content: BinaryIO, error: Exception) -> str:
    content.seek(0)
    head = content.read(512)
    if not head:
        return "empty file; record or copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not audio; run `git lfs pull`"
    if head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):
        return f"an MP4, M4A, MKV or WebM container; {CONVERT_FIRST}"
    if _is_text(head):
        return "text, not audio; was a web page or a list saved under this name?"
    reason = cast(str, getattr(error, "error_string", str(error))).rstrip(".")
    return f"cannot be decoded ({reason}); it is cut off, damaged or not audio: copy it again, or convert it to WAV"


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r" for letter in text)


def zero_mean_unit_variance(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(x - mean) / sqrt(variance + 1e-7)`` of ``samples: [samples]``, with the population variance."""
    normalized: npt.NDArray[np.float32] = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_EPS)
    return normalized.astype(np.float32, copy=False)
