"""Microphones, through PortAudio and the package sounddevice (https://python-sounddevice.readthedocs.io)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from wav2edge.errors import DeviceError, MissingDependencyError, UsageError
from wav2edge.inference.feeding.live_queue import Block, Gap, LiveQueue

BLOCK_S = 0.03
WAITING_S = 10.0
"""Most seconds of sound that wait for a recogniser that is behind."""
SILENT_S = 3.0
"""A microphone that gives no block for so long is unplugged; some systems do not say so."""
TRY_ANOTHER = "see --list-microphones"


class Microphone:
    """Records from a microphone in PortAudio's own thread, while the blocks are taken in another.

    Args:
        chosen: number or part of the name of the device; None: the system's own.
        rate_hz: samples per second; None: what the device likes best. Not all of them can do 16 kHz.
        channels: of the device, which are mixed down.

    Raises:
        MissingDependencyError: the package sounddevice, or PortAudio, is not installed.
        DeviceError: there is no microphone.
        UsageError: there is none of that name or number, or several.
    """

    def __init__(self, chosen: str | None, *, rate_hz: int | None = None, channels: int = 1) -> None:
        self._portaudio = portaudio()
        device = _device(self._portaudio, chosen)
        self.name = f"microphone {device['name']!r}"
        self.rate_hz = rate_hz or round(device["default_samplerate"])
        self._channels, self._number = channels, device["index"]
        self._recording: Any = None
        self._queue = LiveQueue(WAITING_S, self.rate_hz)
        self._heard_until_s = 0.0  # on the clock of the device

    def __iter__(self) -> Iterator[Block | Gap]:
        """Blocks ``[samples, channels] float32`` from now on.

        Raises:
            DeviceError: it cannot be opened, or was unplugged; what was recorded before has been given.
        """
        self._start()
        while True:
            try:
                item = self._queue.get(SILENT_S)
            except TimeoutError:
                raise self._gone() from None
            if item is None:
                return
            yield item

    def rest(self) -> Iterable[Block | Gap]:
        """Record no more, and give what was recorded before and not taken."""
        self._queue.close()
        return self._queue

    def close(self) -> None:
        """Stop recording."""
        self._queue.close()
        if self._recording is not None:
            self._recording.close()

    def _start(self) -> None:
        try:
            self._recording = self._portaudio.InputStream(
                samplerate=self.rate_hz,
                blocksize=round(BLOCK_S * self.rate_hz),
                device=self._number,
                channels=self._channels,
                dtype="float32",
                callback=self._take,
                finished_callback=lambda: self._queue.close(self._gone()),
            )
            self._recording.start()
        except self._portaudio.PortAudioError as error:
            raise DeviceError(
                f"{self.name}: {_reason(error)}; try another --rate or --channels, or {TRY_ANOTHER}"
            ) from None

    def _take(self, samples: Block, frames: int, times: Any, status: Any) -> None:
        """Called by PortAudio's thread with each block ``[frames, channels]``."""
        begun_s = float(times.inputBufferAdcTime)
        if status.input_overflow:
            self._queue.lose(begun_s - self._heard_until_s if self._heard_until_s else 0.0)
        self._heard_until_s = begun_s + frames / self.rate_hz
        self._queue.put(samples)

    def _gone(self) -> DeviceError:
        return DeviceError(f"{self.name}: gives no sound any more; is it unplugged?")


def portaudio() -> ModuleType:
    """The package sounddevice.

    Raises:
        MissingDependencyError: it, or the library PortAudio, is not installed.
    """
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "a microphone needs sounddevice, which is not installed; run: pip install 'wav2edge[mic]'"
        ) from None
    except OSError:
        raise MissingDependencyError(
            "a microphone needs the library PortAudio, which is not installed; run: apt install libportaudio2, or"
            " brew install portaudio"
        ) from None
    module: ModuleType = sounddevice
    return module


def microphones() -> list[str]:
    """A line for each microphone: its number, name, channels and sample rate; a star at the system's own.

    Raises:
        MissingDependencyError: the package sounddevice, or PortAudio, is not installed.
        DeviceError: there is none.
    """
    module = portaudio()
    found = [device for device in module.query_devices() if device["max_input_channels"] > 0]
    if not found:
        raise DeviceError("no microphone found; plug one in, or pipe sound: arecord -t raw | wav2edge stream BUNDLE -")
    own = module.default.device[0]
    return [
        f"{'*' if device['index'] == own else ' '} {device['index']:>3}  {device['name']}"
        f"  ({device['max_input_channels']} in, {device['default_samplerate']:.0f} Hz)"
        for device in found
    ]


def _device(module: ModuleType, chosen: str | None) -> Any:
    """What PortAudio knows of a device."""
    wanted = int(chosen) if chosen is not None and chosen.isdigit() else chosen
    try:
        device = module.query_devices(wanted, "input")
    except ValueError as error:  # no or several devices of that name, or an output
        raise UsageError(f"--microphone {chosen}: {_reason(error)}; {TRY_ANOTHER}") from None
    except module.PortAudioError as error:
        if chosen is not None:
            raise UsageError(f"--microphone {chosen}: {_reason(error)}; {TRY_ANOTHER}") from None
        raise DeviceError("no microphone found; plug one in, or choose one: --list-microphones, --microphone") from None
    return device


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
