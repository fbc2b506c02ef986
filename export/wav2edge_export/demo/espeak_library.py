"""espeak-ng's C library and data as the ``espeakng-loader`` wheel installs them, and its constants.

Constants and calls are those of espeak-ng's public header, ``src/include/espeak-ng/speak_lib.h`` (release 1.52).
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wav2edge.errors import MissingDependencyError

# speak_lib.h, espeak_AUDIO_OUTPUT: the call returns when all samples have gone through the callback.
AUDIO_OUTPUT_SYNCHRONOUS = 2
# speak_lib.h: without this bit a data folder that cannot be read ends the whole process with exit(1).
INITIALIZE_DONT_EXIT = 0x8000
# speak_lib.h: with this bit the callback is told of every phoneme, not of words alone.
INITIALIZE_PHONEME_EVENTS = 1
DEFAULT_BUFFER_MS = 0
# speak_lib.h, espeak_PARAMETER.
PARAMETER_RATE = 1
PARAMETER_VOLUME = 2
PARAMETER_PITCH = 3
PARAMETER_RANGE = 4
PARAMETER_WORD_GAP = 7
ABSOLUTE = 0
# speak_lib.h, flags and positions of espeak_Synth: text within [[ ]] is phoneme mnemonics.
CHARS_UTF8 = 1
PHONEMES = 0x100
FROM_THE_START = 0
POSITION_IN_CHARACTERS = 1
TO_THE_END = 0
EE_OK = 0
# speak_lib.h, espeak_EVENT_TYPE; the list of events ends with the first.
EVENT_LIST_TERMINATED = 0
EVENT_WORD = 1
EVENT_PHONEME = 7
PAUSE = b"_"
"""First letter of the mnemonics of all pauses."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where the wheel put its library and the folder that holds ``espeak-ng-data``."""

    library: Path
    data: Path

    @classmethod
    def find(cls) -> Installation:
        """Ask the wheel; raises `MissingDependencyError` when it is absent or has lost its data."""
        try:
            import espeakng_loader

            data = Path(espeakng_loader.get_data_path())
        except (ImportError, RuntimeError) as error:
            raise MissingDependencyError(
                f"the demo speaks with espeak-ng, which is not installed ({error}); run: pip install 'wav2edge[demo]'"
            ) from error
        return cls(library=Path(espeakng_loader.get_library_path()), data=data.parent)

    def variants(self) -> tuple[str, ...]:
        """Every voice variant in the data, sorted."""
        return tuple(sorted(path.name for path in (self.data / "espeak-ng-data/voices/!v").glob("*")))

    def draws_process_wide_noise(self, variant: str) -> bool:
        """Whether the variant breathes through the Klatt synthesiser, whose noise is C's ``rand()``.

        Every thread of the process shares that generator, so such a voice cannot be reproduced.
        """
        text = (self.data / "espeak-ng-data/voices/!v" / variant).read_text(encoding="utf-8", errors="replace")
        settings = {words[0] for line in text.splitlines() if (words := line.split())}
        return {"klatt", "breath"} <= settings


def load_private_copy(library: Path) -> ctypes.CDLL:
    """Load a copy of the library, so that its globals belong to the caller alone.

    The loader hands out one library per file, so the copy needs a file of its own; it can go once loaded, except on
    Windows, which leaves it (660 kB) in the temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="wav2edge-espeak-", ignore_cleanup_errors=True) as folder:
        try:
            return ctypes.CDLL(str(shutil.copy(library, folder)))
        except OSError as error:
            raise MissingDependencyError(
                f"espeak-ng's library {library.name} could not be copied to {folder} and loaded ({error}); set TMPDIR"
                " to a folder that may hold programs, or run: pip install --force-reinstall espeakng-loader"
            ) from error


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Event(ctypes.Structure):
    """speak_lib.h, espeak_EVENT: something that happens at a sample of what is spoken.

    ``name`` is the mnemonic of a phoneme (a union in C, of which nothing else is used here).
    """

    _fields_ = (
        ("kind", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("text_length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


@dataclass(frozen=True)
class Happening:
    """The parts of an `Event` that are kept, since C reuses its memory."""

    kind: int
    sample: int
    name: bytes


def happenings(address: int | None) -> Iterator[Happening]:
    """What a list of events at an address tells, up to its end; nothing at address 0 or None."""
    while address:
        event = Event.from_address(address)
        if event.kind == EVENT_LIST_TERMINATED:
            return
        yield Happening(event.kind, event.sample, event.name)
        address += ctypes.sizeof(Event)


def sounding_phonemes(told: Sequence[Happening]) -> Iterator[tuple[Happening, bool]]:
    """The phonemes that are not pauses, and whether each is the first of a word.

    A plosive begins with its burst; the closure before it counts as a pause.
    """
    begins_word = False
    for happening in told:
        if happening.kind == EVENT_WORD:
            begins_word = True
        elif happening.kind == EVENT_PHONEME and not happening.name.startswith(PAUSE):
            yield happening, begins_word
            begins_word = False


def declare(library: ctypes.CDLL) -> None:
    """Give the entry points used here their C signatures (speak_lib.h, and espeak_ng.h for the noise seed)."""
    c_int, c_uint, c_char_p, c_void_p = ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, ctypes.c_void_p
    library.espeak_Initialize.argtypes = [c_int, c_int, c_char_p, c_int]
    library.espeak_SetSynthCallback.argtypes = [Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [c_char_p]
    library.espeak_SetParameter.argtypes = [c_int, c_int, c_int]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_Synth.argtypes = [c_char_p, ctypes.c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p]
