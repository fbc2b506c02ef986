"""Where the sound of ``wav2edge stream`` comes from: a microphone, a pipe, or a file at its own pace."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from wav2edge.audio.inputs import is_named_pipe
from wav2edge.audio.samples import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from wav2edge.audio.sound_file import STANDARD_INPUT, Sound, open_sound
from wav2edge.cli.live.piped_sound import BLOCK_S, PcmFormat, Pipe, PipedSound, standard_input
from wav2edge.errors import UsageError
from wav2edge.inference.feeding.live_queue import Block, Gap

MICROPHONE, PIPE, FILE = "the microphone", STANDARD_INPUT, "a file"
OPTIONS_OF = {
    "microphone": (MICROPHONE,),
    "rate": (MICROPHONE, PIPE),
    "channels": (MICROPHONE, PIPE),
    "encoding": (PIPE,),
    "pace": (FILE,),
}
"""Option -> the kinds of sources that it is for."""


class LiveSource(Protocol):
    """Sound of one sample rate, block by block, with a gap where some was lost.

    Attributes:
        name: what messages call it.
    """

    name: str

    @property
    def rate_hz(self) -> int:
        """Samples per second and channel."""
        ...

    def __iter__(self) -> Iterator[Block | Gap]:
        """Blocks ``[samples]`` or ``[samples, channels]``, and gaps."""
        ...

    def rest(self) -> Iterable[Block | Gap]:
        """Record no more, and give what was recorded before and not taken."""
        ...

    def close(self) -> None:
        """Let go of the device or the file."""
        ...


class FileSound:
    """A sound file in short blocks, as fast as they are taken or at the speed of real time.

    Args:
        path: the file.
        pace: give each block when it would have been recorded.
        warn: is told what is odd.

    Raises:
        AudioError: it cannot be read, or is not sound.
    """

    def __init__(self, path: Path, *, pace: bool, warn: Callable[[str], None]) -> None:
        self._sound: Sound = open_sound(path)
        self.name, self.rate_hz, self._pace, self._warn = self._sound.name, self._sound.rate_hz, pace, warn
        for warning in self._sound.warnings:
            warn(f"{self.name}: {warning}")

    def __iter__(self) -> Iterator[Block]:
        """Blocks ``[samples, channels]``."""
        size, given, begun_s = max(1, round(BLOCK_S * self.rate_hz)), 0, time.monotonic()
        for read in self._sound.blocks():
            for first in range(0, len(read), size):
                block = read[first : first + size]
                given += len(block)
                if self._pace:
                    time.sleep(max(0.0, begun_s + given / self.rate_hz - time.monotonic()))
                yield block
        if self._sound.truncated or given < self._sound.promised:
            self._warn(f"{self.name}: truncated, it ends before its sound does")

    def rest(self) -> Iterable[Block]:
        """Nothing is recorded."""
        return ()

    def close(self) -> None:
        """Close the file."""
        self._sound.close()


class PipeFile(PipedSound):
    """A named pipe, opened here and so closed here."""

    def __init__(self, path: Path, *, raw: PcmFormat, warn: Callable[[str], None]) -> None:
        self._file: BinaryIO = path.open("rb")
        super().__init__(str(path), cast(Pipe, self._file), raw=raw, warn=warn)

    def close(self) -> None:
        """Close it."""
        self._file.close()


def check_source_options(options: Namespace) -> None:
    """Raise a UsageError for options that are not for the source, or values that no sound has."""
    kind = _kind(options.source)
    for name, kinds in OPTIONS_OF.items():
        if getattr(options, name) and kind not in kinds:
            raise UsageError(f"--{name} is for {' and '.join(kinds)}; leave it out for {kind}")
    if options.rate is not None and not MIN_RATE_HZ <= options.rate <= MAX_RATE_HZ:
        raise UsageError(f"--rate {options.rate}: give {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
    if options.channels is not None and not 1 <= options.channels <= MAX_CHANNELS:
        raise UsageError(f"--channels {options.channels}: give 1 to {MAX_CHANNELS}")


def open_source(options: Namespace, warn: Callable[[str], None]) -> LiveSource:
    """The source that the options name; a microphone does not record before its blocks are asked for.

    Raises:
        AudioError, DeviceError, MissingDependencyError, UsageError: there is none, or it cannot be used.
    """
    kind = _kind(options.source)
    if kind == FILE:
        return FileSound(Path(options.source), pace=options.pace, warn=warn)
    if kind == MICROPHONE:
        from wav2edge.cli.live.microphone import Microphone  # here: most streams need no sound card

        return Microphone(options.microphone, rate_hz=options.rate, channels=options.channels or 1)
    given = {"rate_hz": options.rate, "channels": options.channels, "encoding": options.encoding}
    given = {name: value for name, value in given.items() if value is not None}
    raw = PcmFormat(**given)
    piped = (
        PipedSound(STANDARD_INPUT, standard_input(), raw=raw, warn=warn)
        if options.source == "-"
        else PipeFile(Path(options.source), raw=raw, warn=warn)
    )
    if piped.is_wav and given:
        warn(f"{piped.name}: WAV, so its header counts, and not --rate, --channels and --encoding")
    return piped


def _kind(source: str | None) -> str:
    if source is None:
        return MICROPHONE
    return PIPE if source == "-" or is_named_pipe(source) else FILE
