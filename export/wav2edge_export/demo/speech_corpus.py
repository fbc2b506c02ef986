"""The corpus of ``wav2edge demo``: repeated syllables, labelled, spoken on the spot.

Speech therapists ask for quick repetitions of /pa/, /ta/, /ka/ (alternating motion rates) and of /pa ta ka/ (sequential
motion rates) and listen to pace and precision. The corpus mirrors the evaluation set behind the card of
``model_syllable_onSet4``: four tasks with supports 26, 31, 26 and 14, and 859 syllables in 97 utterances, each syllable
a word of the transcription. The training split holds 776 utterances, eight times as many in the same proportions.

What it is good for, and what not: voices differ between the splits in larynx, vocal tract and manner, but espeak-ng
plays the bursts of /p/, /t/ and /k/ from one recording each, whatever the voice. Scores on this corpus show that a
pipeline works and what an export costs; they say nothing about patients.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from wav2edge.errors import DataError, UsageError
from wav2edge_export.demo.acoustics import Samples
from wav2edge_export.demo.corpus_plan import CYCLE_LIMITS, REPETITION_LIMITS, TASKS, CorpusPlan, SplitPlan
from wav2edge_export.demo.espeak import Synthesizer

RATE_HZ = 16_000
MNEMONICS = {"pa": "pA:", "ta": "tA:", "ka": "kA:"}

# Every utterance draws from these ranges, evenly and with both ends included; see ``corpus_plan`` for its length.
RATE_WPM_LIMITS = (90, 190)
"""About 3 to 6.5 syllables per second before pauses; healthy adults reach 5 to 7, patients fewer."""
WORD_GAP_LIMITS = (0, 6)
"""Pause between syllables, in espeak-ng's units of 10 ms at its normal rate."""
PITCH_LIMITS = (35, 70)
"""Base pitch, about 0.8 to 1.3 of the voice's own (espeak-ng's 50)."""
PITCH_RANGE_LIMITS = (20, 80)
"""Liveliness of the intonation (espeak-ng's 50 is the voice's own)."""
SPEECH_S_LIMITS = (1.4, 4.5)
"""Length of the speech itself; rate and pause are drawn again until it fits."""
MARGIN_S_LIMITS = (0.05, 0.25)
"""Background before the speech, and after it."""
SNR_DB_LIMITS = (10.0, 40.0)
"""Power of the speech, margins aside, over the power of the noise."""
PEAK_DBFS_LIMITS = (-24.0, -3.0)
"""Loudest sample of the finished clip: loudness varies and nothing clips."""
NOISE_COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""The noise's power density falls with frequency to the minus this."""

_NOISE_CORNER_HZ = 50.0  # flat below: brown noise would else be a drift too slow to hear, and take all the power
_PACE_ATTEMPTS = 100
_FULL_SCALE = 32_767


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One row of ``metadata.csv``; its fields are the columns, in order."""

    file_name: str
    transcription: str
    label: str
    speaker: str
    split: str
    seconds: float
    word_starts_s: str
    """When each word begins to sound, in seconds, apart by spaces."""


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What one split turned out to hold.

    Attributes:
        supports: Utterances of each label.
        syllables: Words of all transcriptions.
        voices: Number of different speakers.
        duration_s: Length of all clips together.
    """

    supports: dict[str, int]
    syllables: int
    voices: int
    duration_s: float

    @property
    def utterances(self) -> int:
        """Utterances of all labels."""
        return sum(self.supports.values())


@dataclass(frozen=True, kw_only=True)
class CorpusSummary:
    """What was written, and where."""

    folder: Path
    training: SplitSummary
    validation: SplitSummary


def make_corpus(
    folder: Path,
    *,
    seed: int = 42,
    plan: CorpusPlan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CorpusSummary:
    """Write a Hugging Face ``audiofolder`` data set: 16 kHz mono 16-bit FLAC clips and ``metadata.csv``.

    The same seed and plan give the same bytes with the same versions of espeak-ng, numpy, soxr and libsndfile.
    ``metadata.csv`` is written last: a folder without it was interrupted.

    Args:
        folder: Where to write; created when absent.
        seed: Decides everything drawn: who speaks, how many syllables, pace, pitch, loudness, noise.
        plan: Sizes; the card's by default.
        progress: Called after every clip with the clips written and the clips planned.

    Returns:
        The counts of each split.

    Raises:
        MissingDependencyError: espeak-ng is not installed or cannot be used.
        UsageError: The folder is not empty, or cannot be made.
        DataError: There are too few voices for two splits, or a voice cannot speak at any pace that fits.
    """
    plan = plan or CorpusPlan()
    rng = np.random.default_rng(seed)
    clips: list[Clip] = []
    with Synthesizer() as synthesizer:
        _claim(folder)
        training_voices, validation_voices = _deal_voices(synthesizer.voices(), plan.validation_voice_share, rng)
        utterances = [
            *_draw_utterances("train", plan.training, training_voices, rng),
            *_draw_utterances("validation", plan.validation, validation_voices, rng),
        ]
        for utterance in utterances:
            clips.append(_record(folder, utterance, synthesizer, rng))
            if progress is not None:
                progress(len(clips), plan.utterances)
    _write_metadata(folder / "metadata.csv", clips)
    return CorpusSummary(
        folder=folder,
        training=_summarise(clip for clip in clips if clip.split == "train"),
        validation=_summarise(clip for clip in clips if clip.split == "validation"),
    )


@dataclass(frozen=True, kw_only=True)
class _Utterance:
    """What is spoken, and by which voice."""

    split: str
    number: int
    label: str
    syllables: tuple[str, ...]
    voice: str


def _claim(folder: Path) -> None:
    """Make the folder, or accept an empty one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be a folder for the corpus ({error.strerror}); name another") from error
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder for the corpus, or empty this one")


def _deal_voices(
    voices: tuple[str, ...], validation_share: float, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Shuffle the voices into (training, validation); no voice is in both."""
    if len(voices) < 2:
        raise DataError(f"espeak-ng offers {len(voices)} usable voices; two splits need two at least")
    held_out = min(max(round(validation_share * len(voices)), 1), len(voices) - 1)
    shuffled = [voices[index] for index in rng.permutation(len(voices))]
    return shuffled[held_out:], shuffled[:held_out]


def _draw_utterances(split: str, plan: SplitPlan, voices: list[str], rng: np.random.Generator) -> list[_Utterance]:
    """Lay out a split: exact supports, exact syllables, the voices in turn."""
    labels = rng.permutation(np.repeat(list(TASKS), plan.supports)).tolist()
    cycles = _draw_cycles(labels, plan.syllables, rng)
    return [
        _Utterance(split=split, number=number, label=label, syllables=TASKS[label] * count, voice=voice)
        for number, (label, count, voice) in enumerate(zip(labels, cycles, cycle(voices), strict=False))
    ]


def _draw_cycles(labels: list[str], syllables: int, rng: np.random.Generator) -> list[int]:
    """Draw how often each utterance repeats its task, so that all syllables add up."""
    sizes = np.array([len(TASKS[label]) for label in labels])
    limits = np.array([REPETITION_LIMITS if size == 1 else CYCLE_LIMITS for size in sizes])
    cycles = rng.integers(limits[:, 0], limits[:, 1], endpoint=True)
    while missing := syllables - int(cycles @ sizes):
        step = 1 if missing > 0 else -1
        moved = cycles + step
        movable = np.flatnonzero((sizes == 1) & (limits[:, 0] <= moved) & (moved <= limits[:, 1]))
        cycles[rng.choice(movable)] += step
    return [int(count) for count in cycles]


def _record(folder: Path, utterance: _Utterance, synthesizer: Synthesizer, rng: np.random.Generator) -> Clip:
    """Speak, mix and write one clip."""
    speech, starts_s = _say(utterance, synthesizer, rng)
    samples, delay_s = add_background(speech, rng)
    file_name = f"{utterance.split}/{utterance.number:04d}.flac"
    (folder / utterance.split).mkdir(exist_ok=True)
    pcm = np.rint(samples * _FULL_SCALE).astype(np.int16)
    soundfile.write(folder / file_name, pcm, RATE_HZ, format="FLAC", subtype="PCM_16")
    return Clip(
        file_name=file_name,
        transcription=" ".join(utterance.syllables),
        label=utterance.label,
        speaker=utterance.voice,
        split=utterance.split,
        seconds=round(len(pcm) / RATE_HZ, 4),
        word_starts_s=written_starts(delay_s + start_s for start_s in starts_s),
    )


def written_starts(starts_s: Iterable[float]) -> str:
    """Word starts as the column ``word_starts_s`` holds them, to the millisecond."""
    return " ".join(f"{start_s:.3f}" for start_s in starts_s)


def _say(
    utterance: _Utterance, synthesizer: Synthesizer, rng: np.random.Generator
) -> tuple[Samples, tuple[float, ...]]:
    """Speak an utterance at a pace that fits `SPEECH_S_LIMITS`: ``[n]`` float32 at `RATE_HZ`, and its word starts."""
    pitch = _draw_integer(PITCH_LIMITS, rng)
    pitch_range = _draw_integer(PITCH_RANGE_LIMITS, rng)
    phonemes = " ".join(MNEMONICS[syllable] for syllable in utterance.syllables)
    shortest_s, longest_s = SPEECH_S_LIMITS
    for _ in range(_PACE_ATTEMPTS):
        spoken = synthesizer.speak(
            phonemes,
            voice=utterance.voice,
            rate_wpm=_draw_integer(RATE_WPM_LIMITS, rng),
            pitch=pitch,
            pitch_range=pitch_range,
            word_gap=_draw_integer(WORD_GAP_LIMITS, rng),
        )
        if shortest_s <= len(spoken.samples) / spoken.rate_hz <= longest_s:
            samples = soxr.resample(spoken.samples, spoken.rate_hz, RATE_HZ)
            return np.asarray(samples, dtype=np.float32), spoken.word_starts_s
    raise DataError(
        f"voice {utterance.voice!r} did not say {len(utterance.syllables)} syllables in {shortest_s} to {longest_s} s"
        f" at any of {_PACE_ATTEMPTS} paces"
    )


def _draw_integer(limits: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(*limits, endpoint=True))


def add_background(speech: Samples, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Put speech ``[n]`` between margins, under noise, at a level: ``[m]`` within [-1, 1], and its delay in seconds."""
    before, after = (round(margin_s * RATE_HZ) for margin_s in rng.uniform(*MARGIN_S_LIMITS, size=2))
    clip = np.pad(speech.astype(np.float64), (before, after))
    colour = str(rng.choice(list(NOISE_COLOURS)))
    noise_power = np.mean(speech.astype(np.float64) ** 2) / 10 ** (rng.uniform(*SNR_DB_LIMITS) / 10)
    clip += np.sqrt(noise_power) * coloured_noise(len(clip), NOISE_COLOURS[colour], rng)
    peak = 10 ** (rng.uniform(*PEAK_DBFS_LIMITS) / 20)
    return np.asarray(clip * (peak / np.abs(clip).max())), before / RATE_HZ


def coloured_noise(count: int, exponent: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise ``[count]`` of unit power at `RATE_HZ`, its power density as 1 / frequency ** exponent.

    White noise shaped in the frequency domain (J. Timmer and M. König, "On generating power law noise", Astronomy and
    Astrophysics 300, 1995), flat below 50 Hz.
    """
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies_hz = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), _NOISE_CORNER_HZ)
    noise = np.fft.irfft(spectrum * frequencies_hz ** (-exponent / 2), count)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _write_metadata(path: Path, clips: list[Clip]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Clip))
        writer.writerows(astuple(clip) for clip in clips)


def _summarise(clips: Iterable[Clip]) -> SplitSummary:
    clips = list(clips)
    return SplitSummary(
        supports={label: sum(clip.label == label for clip in clips) for label in TASKS},
        syllables=sum(len(clip.transcription.split()) for clip in clips),
        voices=len({clip.speaker for clip in clips}),
        duration_s=round(sum(clip.seconds for clip in clips), 4),
    )
