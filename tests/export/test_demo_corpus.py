"""The demo's corpus: as planned, the same from the same seed, in clips with background noise."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge_export.demo import acoustics, speech_corpus
from wav2edge_export.demo.corpus_plan import TASKS, CorpusPlan, SplitPlan
from wav2edge_export.demo.speech_corpus import CorpusSummary, make_corpus

pytestmark = pytest.mark.slow  # speaks whole corpora

SMALL = CorpusPlan(
    training=SplitPlan(supports=(3, 4, 3, 2), syllables=97), validation=SplitPlan(supports=(2, 3, 2, 2), syllables=80)
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, espeakng_loader: ModuleType) -> CorpusSummary:
    return make_corpus(tmp_path_factory.mktemp("corpus"), seed=7, plan=SMALL)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_the_default_plan_has_the_counts_of_the_reference_card():
    plan = CorpusPlan()
    assert (plan.training.utterances, plan.validation.utterances) == (776, 97)
    assert plan.validation.supports == (26, 31, 26, 14)
    assert plan.validation.syllables == 859


def test_training_keeps_the_proportions_of_the_validation_supports():
    plan = CorpusPlan()
    assert plan.training.supports == tuple(8 * support for support in plan.validation.supports)


def test_the_full_layout_has_exactly_859_validation_syllables_whatever_the_seed():
    plan = CorpusPlan().validation
    for seed in range(20):
        drawn = speech_corpus._draw_utterances("validation", plan, ["a", "b"], np.random.default_rng(seed))
        assert sum(len(utterance.syllables) for utterance in drawn) == 859
        assert [sum(utterance.label == label for utterance in drawn) for label in TASKS] == [
            26,
            31,
            26,
            14,
        ]


@pytest.mark.parametrize("syllables", [3 * 5 + 12, 3 * 13 + 6])
def test_the_fewest_and_the_most_syllables_a_plan_accepts_can_be_laid_out(syllables: int):
    plan = SplitPlan(supports=(1, 1, 1, 1), syllables=syllables)
    for seed in range(20):
        drawn = speech_corpus._draw_utterances("train", plan, ["a"], np.random.default_rng(seed))
        assert sum(len(utterance.syllables) for utterance in drawn) == syllables


@pytest.mark.parametrize("syllables", [3 * 5 + 11, 3 * 13 + 7])
def test_syllables_that_no_utterances_add_up_to_are_refused(syllables: int):
    with pytest.raises(UsageError, match="hold 27 to 45 syllables"):
        SplitPlan(supports=(1, 1, 1, 1), syllables=syllables)


@pytest.mark.parametrize("supports", [(1, 1, 1), (1, 1, 1, 0), (1, 1, 1, 1, 1)])
def test_every_class_needs_a_positive_support(supports: tuple[int, ...]):
    with pytest.raises(UsageError, match="4 positive counts"):
        SplitPlan(supports=supports, syllables=30)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_split_without_voices_is_refused(share: float):
    with pytest.raises(UsageError, match="validation_voice_share"):
        CorpusPlan(validation_voice_share=share)


def test_a_corpus_holds_exactly_what_was_planned(small: CorpusSummary):
    rows = rows_of(small.folder)
    for split, planned, written in (
        ("train", SMALL.training, small.training),
        ("validation", SMALL.validation, small.validation),
    ):
        mine = [row for row in rows if row["split"] == split]
        supports = tuple(sum(row["label"] == label for row in mine) for label in "0123")
        assert supports == planned.supports == tuple(written.supports.values())
        assert sum(len(row["transcription"].split()) for row in mine) == planned.syllables == written.syllables
        assert len({row["speaker"] for row in mine}) == written.voices


def test_the_columns_are_those_of_the_data_contract(small: CorpusSummary):
    header = (small.folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "file_name,transcription,label,speaker,split,seconds,word_starts_s"


def test_a_row_tells_when_each_of_its_words_begins_and_there_it_becomes_louder(small: CorpusSummary):
    rises_db = []
    for row in rows_of(small.folder):
        starts_s = [float(start) for start in row["word_starts_s"].split()]
        assert len(starts_s) == len(row["transcription"].split())
        samples, rate_hz = soundfile.read(small.folder / row["file_name"])
        for start_s in starts_s:
            at, window = round(start_s * rate_hz), round(0.03 * rate_hz)
            before, after = samples[at - window : at], samples[at : at + 2 * window]
            rises_db.append(10 * np.log10(np.mean(after**2) / np.mean(before**2)))
    assert np.mean(np.array(rises_db) > 1.0) > 0.95


def test_a_voice_is_never_on_both_sides_of_the_split(small: CorpusSummary):
    speakers = {
        split: {row["speaker"] for row in rows_of(small.folder) if row["split"] == split}
        for split in ("train", "validation")
    }
    assert speakers["train"]
    assert speakers["validation"]
    assert speakers["train"].isdisjoint(speakers["validation"])


def test_a_transcription_repeats_the_task_of_its_label(small: CorpusSummary):
    cycles = {"0": ["pa"], "1": ["ta"], "2": ["ka"], "3": ["pa", "ta", "ka"]}
    for row in rows_of(small.folder):
        words, task = row["transcription"].split(), cycles[row["label"]]
        assert words == task * (len(words) // len(task))
        assert 5 <= len(words) <= 13


def test_every_clip_is_16_khz_mono_16_bit_flac_as_long_as_its_row_says(small: CorpusSummary):
    for row in rows_of(small.folder):
        info = soundfile.info(small.folder / row["file_name"])
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16_000, 1, "FLAC", "PCM_16")
        assert info.duration == pytest.approx(float(row["seconds"]), abs=1e-4)
        assert 1.5 <= info.duration <= 5.0


def test_no_clip_is_silent_and_none_is_clipped(small: CorpusSummary):
    for row in rows_of(small.folder):
        samples, _ = soundfile.read(small.folder / row["file_name"])
        peak_dbfs = 20 * np.log10(np.abs(samples).max())
        assert speech_corpus.PEAK_DBFS_LIMITS[0] - 0.1 <= peak_dbfs <= speech_corpus.PEAK_DBFS_LIMITS[1] + 0.1


def test_the_same_seed_gives_the_same_bytes(small: CorpusSummary, tmp_path: Path):
    again = make_corpus(tmp_path / "again", seed=7, plan=SMALL)
    assert bytes_of(again.folder) == bytes_of(small.folder)


def test_another_seed_gives_another_corpus(small: CorpusSummary, tmp_path: Path):
    other = make_corpus(tmp_path / "other", seed=8, plan=SMALL)
    assert rows_of(other.folder) != rows_of(small.folder)


def test_progress_counts_every_clip(tmp_path: Path, espeakng_loader: ModuleType):
    seen: list[tuple[int, int]] = []
    make_corpus(tmp_path / "corpus", plan=SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, SMALL.utterances) for done in range(1, SMALL.utterances + 1)]


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path, espeakng_loader: ModuleType):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(UsageError, match="is not empty"):
        make_corpus(tmp_path, plan=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, espeakng_loader: ModuleType):
    (tmp_path / "corpus").write_text("a file")
    with pytest.raises(UsageError, match="cannot be a folder"):
        make_corpus(tmp_path / "corpus", plan=SMALL)


def test_a_missing_espeak_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wav2edge\[demo\]'"):
        make_corpus(tmp_path / "corpus", plan=SMALL)
    assert not (tmp_path / "corpus").exists()


def tone_bursts(count: int, rate_hz: int = 16_000) -> np.ndarray:
    times_s = np.arange(rate_hz // 5) / rate_hz
    syllable = np.sin(2 * np.pi * 200 * times_s) * (times_s < 0.12)
    return np.concatenate([np.zeros(1_600), np.tile(syllable, count)]).astype(np.float32)


@pytest.mark.parametrize("count", [1, 5, 13])
def test_as_many_bursts_are_counted_as_there_are(count: int):
    assert acoustics.count_bursts(tone_bursts(count), 16_000) == count


def test_noise_is_less_periodic_than_a_tone():
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    assert acoustics.periodicity(noise, 16_000) < 0.6
    assert acoustics.periodicity(tone_bursts(5), 16_000) > 0.9


@pytest.mark.parametrize("exponent", speech_corpus.NOISE_COLOURS.values())
def test_noise_has_unit_power_and_the_slope_of_its_colour(exponent: float):
    noise = speech_corpus.coloured_noise(1 << 17, exponent, np.random.default_rng(0))
    density = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / speech_corpus.RATE_HZ)
    octaves = [density[(low <= hz) & (hz < 2 * low)].mean() for low in (250, 500, 1_000, 2_000)]
    assert np.mean(noise**2) == pytest.approx(1.0)
    assert np.diff(np.log2(octaves)) == pytest.approx([-exponent] * 3, abs=0.15)


def test_speech_and_noise_stand_in_a_ratio_within_the_limits():
    speech = tone_bursts(1)
    for seed in range(5):
        clip, delay_s = speech_corpus.add_background(speech, np.random.default_rng(seed))
        # The speech is known, so least squares at the best alignment tells it from the noise.
        correlation = np.correlate(clip, speech, "valid")
        start = int(np.argmax(correlation))
        assert start == pytest.approx(delay_s * speech_corpus.RATE_HZ, abs=1)
        gain = correlation[start] / np.dot(speech, speech)
        noise = clip.copy()
        noise[start : start + len(speech)] -= gain * speech
        snr_db = 10 * np.log10(np.mean((gain * speech) ** 2) / np.mean(noise**2))
        assert speech_corpus.SNR_DB_LIMITS[0] - 0.5 <= snr_db <= speech_corpus.SNR_DB_LIMITS[1] + 0.5
