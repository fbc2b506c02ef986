"""Clips in, 16 kHz mono float32 out; whatever cannot be answered honestly is refused in one line."""

from __future__ import annotations

import codecs
import io
import sys
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from wav2edge.audio.riff import missing_sound_bytes
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 1e12
"""Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32."""
CLIPPED_SHARE = 0.001
"""More samples than this at full scale, and the clip is said to be clipped."""
BLOCK_FRAMES = 1 << 20
"""Files are read in pieces of this length, because a header may promise any length."""
UNKNOWN_FRAMES = 1 << 62
"""From here on libsndfile means "not known": it reads such a FLAC file, written to a pipe, only in part."""

AudioSource = str | PathLike[str] | BinaryIO | npt.NDArray[Any]
"""A path, ``-`` for standard input, an open binary file, or samples ``[samples]`` or ``[samples, channels]``."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """``samples: [samples] float32`` at 16 kHz, mono, not normalised, with what was noticed about the recording."""

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
        rate_hz: sample rate of an array; a file brings its own.

    Raises:
        AudioError: the clip cannot be answered; the message says what, where and what to do.
    """
    if isinstance(source, np.ndarray):
        name = "array"
        if rate_hz is None:
            raise AudioError("array: no sample rate; pass rate_hz=, such as rate_hz=16_000")
        samples = _scale(source)
    else:
        name, samples, rate_hz = _read(source)
    return _prepare(name, samples, rate_hz)


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
        raise AudioError(f"{name}: peak {peak:.3g} is no sound; scale the samples to [-1, 1]")
    mono = samples.mean(axis=1)
    if np.ptp(mono.astype(np.float32)) == 0:
        raise AudioError(f"{name}: silent, all {len(mono)} samples are {mono[0]:g}; check the microphone or the file")
    warnings = _notice(samples, peak)
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


def _notice(samples: npt.NDArray[np.floating], peak: float) -> tuple[str, ...]:
    notices = []
    if peak > 4.0:
        notices.append(f"peak {peak:.3g} is far above full scale 1.0: were integers passed as floats?")
    elif np.mean(np.abs(samples) >= 0.999 * max(peak, 1.0)) > CLIPPED_SHARE:
        notices.append("clipped: more than 0.1 % of the samples are at full scale")
    return tuple(notices)


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


def _read(source: str | PathLike[str] | BinaryIO) -> tuple[str, npt.NDArray[np.float64], int]:
    import soundfile  # here, so that importing wav2edge stays quick

    name, content = _open(source)
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
    return name, samples, rate_hz


class StandardInput(io.BytesIO):
    """Standard input, read to its end."""

    name = "standard input"


def read_standard_input() -> StandardInput:
    """Wait for standard input to end, and keep it.

    Raises:
        AudioError: it is closed.
    """
    if sys.stdin is None:
        raise AudioError("standard input: closed; pipe a clip into it")
    return StandardInput(sys.stdin.buffer.read())


def _read_blocks(file: Any) -> npt.NDArray[np.float64]:
    """Everything an open ``SoundFile`` holds, ``[frames, channels]``."""
    blocks: list[npt.NDArray[np.float64]] = []
    while not blocks or len(blocks[-1]) == BLOCK_FRAMES:
        blocks.append(file.read(BLOCK_FRAMES, dtype="float64", always_2d=True))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _open(source: str | PathLike[str] | BinaryIO) -> tuple[str, BinaryIO]:
    """A name to say and a seekable file; pipes are read to their end."""
    if not isinstance(source, (str, PathLike)):
        if not hasattr(source, "read"):
            raise AudioError(f"{type(source).__name__}: not a path, an open binary file or a numpy array; pass one")
        return getattr(source, "name", "stream"), source if source.seekable() else io.BytesIO(source.read())
    if fspath(source) == "-":
        return StandardInput.name, read_standard_input()
    path = Path(source)
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise AudioError(f"{path}: a folder; give its clips, or the folder to the command line") from None
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path and its permissions") from None
    return str(path), io.BytesIO(content)


def _why_unreadable(content: BinaryIO, error: Exception) -> str:
    content.seek(0)
    head = content.read(512)
    if not head:
        return "empty file; record or copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not audio; run `git lfs pull`"
    if head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):
        return "an MP4, M4A, MKV or WebM container; convert it first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
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
