"""espeak-ng through the `espeakng-loader` wheel and ctypes: no system package, no child process.

espeak-ng is a singleton: one voice, one set of parameters and one callback in C globals, a process long. Worse for a
reproducible corpus, some of that state (where the pitch flutter stands, the count of glottal cycles) outlives every
call of its interface, so two equal requests in a row do not give equal samples. Each `Synthesizer` therefore loads a
private copy of the library, as phonemizer does: its globals start fresh, are initialised once, and stay behind one
lock; another user of espeak-ng in the process is not disturbed either.

espeak-ng is GPL-3.0, which is why only the ``demo`` extra brings it.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from wav2edge.errors import AudioError, MissingDependencyError, UsageError
from wav2edge_export.demo.acoustics import Samples, count_bursts, periodicity, timbre_db
from wav2edge_export.demo.espeak_library import (
    ABSOLUTE,
    AUDIO_OUTPUT_SYNCHRONOUS,
    CHARS_UTF8,
    DEFAULT_BUFFER_MS,
    EE_OK,
    FROM_THE_START,
    INITIALIZE_DONT_EXIT,
    INITIALIZE_PHONEME_EVENTS,
    PARAMETER_PITCH,
    PARAMETER_RANGE,
    PARAMETER_RATE,
    PARAMETER_VOLUME,
    PARAMETER_WORD_GAP,
    PHONEMES,
    POSITION_IN_CHARACTERS,
    TO_THE_END,
    Callback,
    Happening,
    Installation,
    declare,
    happenings,
    load_private_copy,
    sounding_phonemes,
)

ACCENT = "en-us"
"""The language under every variant that phonemes are spoken with; ``A:`` is its open back vowel."""

RATE_WPM_LIMITS = (80, 450)
"""Words per minute espeak-ng takes (espeakRATE_MINIMUM, espeakRATE_MAXIMUM)."""
PITCH_LIMITS = (0, 99)
"""Base pitch and pitch range, 50 being the voice's own; the header says 100, the synthesiser cuts at 99."""
WORD_GAP_LIMITS = (0, 100)
"""Pause between words in units of 10 ms at the default rate; the upper end is ours."""

_VOLUME = 30  # of 100: at full volume a fifth of the variants reach full scale and are flattened
_NOISE_SEED = 1  # for breath; the generator would otherwise start from the clock
_FULL_SCALE = 32_768.0

# What a variant must do to count as a voice; see `Synthesizer.voices`.
_AUDITION_CYCLES = 3
_AUDITION_PHONEMES = "pA: tA: kA: " * _AUDITION_CYCLES
_AUDITION_SYLLABLES = 3 * _AUDITION_CYCLES
_AUDITION_RATES_WPM = (90, 140, 190)
_AUDITION_PITCH = 35
_MIN_PERIODICITY = 0.6
_MIN_TIMBRE_DISTANCE_DB = 2.0


class Phoneme(NamedTuple):
    """A phoneme by espeak-ng's mnemonic, when it begins to sound, and whether it is the first of a word."""

    name: str
    start_s: float
    begins_word: bool


class Speech(NamedTuple):
    """What was spoken.

    Attributes:
        samples: ``[n]`` float32 within [-1, 1].
        rate_hz: Sample rate.
        phonemes: What sounds when, pauses left out; a plosive begins with its burst.
    """

    samples: Samples
    rate_hz: int
    phonemes: tuple[Phoneme, ...]

    @property
    def word_starts_s(self) -> tuple[float, ...]:
        """When each word begins to sound."""
        return tuple(phoneme.start_s for phoneme in self.phonemes if phoneme.begins_word)


class Synthesizer:
    """One private espeak-ng; a context manager, and safe to share between threads (they take turns).

    The same calls in the same order on a new Synthesizer give the same samples; two equal calls in a row need not
    (see the module's docstring). A closed Synthesizer gives its data back, but Python has no way to unload the code,
    so make one per corpus, not one per clip.

    Attributes:
        rate_hz: Sample rate of everything it speaks, 22,050.

    Raises:
        MissingDependencyError: The wheel is absent, or its library or data cannot be loaded.
    """

    def __init__(self) -> None:
        self._installation = Installation.find()
        self._variants = frozenset(self._installation.variants())
        self._lock = threading.Lock()
        self._pcm = bytearray()
        self._told: list[Happening] = []
        self._callback = Callback(self._collect)  # C holds no reference of its own
        self._library: ctypes.CDLL | None = load_private_copy(self._installation.library)
        declare(self._library)
        self.rate_hz = self._initialise(self._library)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give espeak-ng's memory back; closing twice is allowed."""
        with self._lock:
            if self._library is not None:
                self._library.espeak_Terminate()
                self._library = None

    def voices(self) -> tuple[str, ...]:
        """Usable voice variants, sorted; each is a different speaker saying countable syllables.

        A variant is left out when one of these holds:

        - its breath cannot be reproduced (`Installation.draws_process_wide_noise`);
        - it does not articulate: a /pa ta ka/ audition at a slow, a middling and a fast rate does not show one burst of
          energy per syllable (`count_bursts`), as with long loud echoes that fill the stops;
        - it whispers: the loud frames are hardly periodic (`periodicity` under 0.6);
        - it is the twin of an earlier variant: their long-term spectra differ by less than 2 dB (`timbre_db`), so that
          the two would be one speaker under two names.
        """
        return _usable_voices(self._installation)

    def speak(
        self,
        phonemes: str,
        *,
        voice: str,
        rate_wpm: int,
        pitch: int,
        pitch_range: int = 50,
        word_gap: int = 0,
    ) -> Speech:
        """Speak phonemes.

        Args:
            phonemes: espeak-ng's mnemonics (Kirshenbaum), words apart by spaces: ``"pA: tA: kA:"``.
            voice: Name of a variant, such as ``"f2"``; the accent is `ACCENT`.
            rate_wpm: Speaking rate in words per minute, 80 to 450, 175 being normal.
            pitch: Base pitch, 0 to 99, 50 being the voice's own.
            pitch_range: Liveliness of the intonation, 0 (monotone) to 99, 50 being the voice's own.
            word_gap: Pause between words, in units of 10 ms at the normal rate.

        Raises:
            UsageError: An argument is out of its range, the voice unknown, or the Synthesizer closed.
            AudioError: espeak-ng refused the text, or gave silence.
        """
        prosody = _prosody(rate_wpm=rate_wpm, pitch=pitch, pitch_range=pitch_range, word_gap=word_gap)
        return self._say(f"[[{phonemes}]]", ACCENT, voice, prosody)

    def speak_text(
        self, text: str, *, language: str, voice: str, rate_wpm: int, pitch: int, pitch_range: int = 50
    ) -> Speech:
        """Speak text of a language.

        Args:
            text: Words as they are written.
            language: espeak-ng's name of a language, such as ``"cmn"``.
            voice: As in `speak`, and so are the others, the result and the errors.
            rate_wpm: As in `speak`.
            pitch: As in `speak`.
            pitch_range: As in `speak`.
        """
        prosody = _prosody(rate_wpm=rate_wpm, pitch=pitch, pitch_range=pitch_range, word_gap=0)
        return self._say(text, language, voice, prosody)

    def _say(self, text: str, language: str, voice: str, prosody: dict[int, int]) -> Speech:
        if voice not in self._variants:
            # espeak-ng itself would say nothing and speak with the default voice.
            raise UsageError(f"espeak-ng has no voice variant {voice!r}; Synthesizer.voices() lists the usable ones")
        with self._lock:
            status = self._synthesise(text, f"{language}+{voice}", prosody)
            samples = np.frombuffer(bytes(self._pcm), dtype=np.int16).astype(np.float32) / np.float32(_FULL_SCALE)
            phonemes = tuple(
                Phoneme(told.name.decode(), told.sample / self.rate_hz, begins_word)
                for told, begins_word in sounding_phonemes(self._told)
            )
        if status != EE_OK or not samples.any():
            raise AudioError(f"espeak-ng could not say {text} with voice {language}+{voice} (status {status})")
        return Speech(samples, self.rate_hz, phonemes)

    def _initialise(self, library: ctypes.CDLL) -> int:
        data = str(self._installation.data).encode()
        options = INITIALIZE_DONT_EXIT | INITIALIZE_PHONEME_EVENTS
        rate_hz = int(library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, DEFAULT_BUFFER_MS, data, options))
        if rate_hz <= 0:
            raise MissingDependencyError(
                f"espeak-ng could not read its data under {self._installation.data}; it may be longer than the 140"
                " characters espeak-ng takes (use an environment with a shorter path), or incomplete (run:"
                " pip install --force-reinstall espeakng-loader)"
            )
        library.espeak_SetSynthCallback(self._callback)
        return rate_hz

    def _synthesise(self, text: str, voice: str, settings: dict[int, int]) -> int:
        """Fill ``self._pcm``; returns espeak-ng's status. The caller holds the lock."""
        library = self._library
        if library is None:
            raise UsageError("this Synthesizer is closed; make a new one")
        self._pcm.clear()
        self._told.clear()
        status = int(library.espeak_SetVoiceByName(voice.encode()))
        if status != EE_OK:
            return status
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, value, ABSOLUTE)
        library.espeak_ng_SetRandSeed(_NOISE_SEED)
        data, flags = text.encode(), CHARS_UTF8 | PHONEMES
        where = (FROM_THE_START, POSITION_IN_CHARACTERS, TO_THE_END)
        return int(library.espeak_Synth(data, len(data) + 1, *where, flags, None, None))

    def _collect(self, wave: int | None, count: int, events: int | None) -> int:
        """espeak-ng's callback: keep ``count`` int16 samples at address ``wave``, and the events; 0 asks for more."""
        if wave and count > 0:
            self._pcm += ctypes.string_at(wave, count * np.dtype(np.int16).itemsize)
        self._told.extend(happenings(events))
        return 0


def _prosody(*, rate_wpm: int, pitch: int, pitch_range: int, word_gap: int) -> dict[int, int]:
    return {
        PARAMETER_RATE: _within("rate_wpm", rate_wpm, RATE_WPM_LIMITS),
        PARAMETER_VOLUME: _VOLUME,
        PARAMETER_PITCH: _within("pitch", pitch, PITCH_LIMITS),
        PARAMETER_RANGE: _within("pitch_range", pitch_range, PITCH_LIMITS),
        PARAMETER_WORD_GAP: _within("word_gap", word_gap, WORD_GAP_LIMITS),
    }


def _within(name: str, value: int, limits: tuple[int, int]) -> int:
    low, high = limits
    if not low <= value <= high:
        raise UsageError(f"{name} is {value}; espeak-ng takes {low} to {high}")
    return int(value)


@cache
def _usable_voices(installation: Installation) -> tuple[str, ...]:
    """The rule of `Synthesizer.voices`, on a Synthesizer of its own: an audition must not move another one's state."""
    kept: dict[str, NDArray[np.float64]] = {}
    with Synthesizer() as stage:
        for variant in installation.variants():
            if installation.draws_process_wide_noise(variant):
                continue
            takes = [_audition(stage, variant, rate_wpm) for rate_wpm in _AUDITION_RATES_WPM]
            if any(count_bursts(take, stage.rate_hz) != _AUDITION_SYLLABLES for take in takes):
                continue
            timbre = timbre_db(takes[0], stage.rate_hz)
            if periodicity(takes[0], stage.rate_hz) >= _MIN_PERIODICITY and not _has_twin(timbre, kept):
                kept[variant] = timbre
    return tuple(kept)


def _audition(stage: Synthesizer, variant: str, rate_wpm: int) -> Samples:
    return stage.speak(_AUDITION_PHONEMES, voice=variant, rate_wpm=rate_wpm, pitch=_AUDITION_PITCH).samples


def _has_twin(timbre: NDArray[np.float64], kept: dict[str, NDArray[np.float64]]) -> bool:
    return any(np.sqrt(np.mean((timbre - other) ** 2)) < _MIN_TIMBRE_DISTANCE_DB for other in kept.values())
