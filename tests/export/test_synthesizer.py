"""espeak-ng as the demo uses it: its voices, their settings, and what it refuses."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from wav2edge.errors import AudioError, MissingDependencyError, UsageError
from wav2edge_export.demo import acoustics, speech_corpus
from wav2edge_export.demo.corpus_plan import TASKS
from wav2edge_export.demo.espeak import Synthesizer

pytestmark = pytest.mark.slow  # speaks with every voice


@pytest.fixture(scope="module")
def synthesizer(espeakng_loader: ModuleType):
    with Synthesizer() as opened:
        yield opened


def test_data_espeak_cannot_read_is_an_error_and_not_the_end_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, espeakng_loader: ModuleType
):
    broken = SimpleNamespace(
        get_library_path=espeakng_loader.get_library_path, get_data_path=lambda: str(tmp_path / "espeak-ng-data")
    )
    monkeypatch.setitem(sys.modules, "espeakng_loader", broken)
    with pytest.raises(MissingDependencyError, match="could not read its data"):
        Synthesizer()


def test_every_voice_says_one_syllable_a_burst_at_every_task_and_pace(synthesizer: Synthesizer):
    for voice in synthesizer.voices()[::7]:
        for task in TASKS.values():
            phonemes = " ".join(speech_corpus.MNEMONICS[syllable] for syllable in (task * 6)[:6])
            for rate_wpm in speech_corpus.RATE_WPM_LIMITS:
                for pitch in speech_corpus.PITCH_LIMITS:
                    samples, rate_hz, _ = synthesizer.speak(phonemes, voice=voice, rate_wpm=rate_wpm, pitch=pitch)
                    assert acoustics.count_bursts(samples, rate_hz) == 6, (voice, phonemes, rate_wpm, pitch)


def test_whispers_echoes_twins_and_irreproducible_breath_are_no_voices(synthesizer: Synthesizer):
    voices = synthesizer.voices()
    assert {"whisper", "whisperf"}.isdisjoint(voices)
    assert "RicishayMax2" not in voices
    assert len({"steph", "steph2", "steph3"} & set(voices)) == 1
    assert {"Reed", "caleb"}.isdisjoint(voices)
    assert {"m3", "f2"} <= set(voices)
    assert len(voices) >= 60


def test_speech_stays_clear_of_full_scale(synthesizer: Synthesizer):
    loudest = 0.0
    for voice in synthesizer.voices():
        samples, rate_hz, _ = synthesizer.speak("pA: tA: kA:", voice=voice, rate_wpm=150, pitch=70)
        assert samples.dtype == np.float32
        assert rate_hz == 22_050
        loudest = max(loudest, float(np.abs(samples).max()))
    assert 0.1 < loudest < 0.9


def test_two_synthesizers_say_the_same_things_the_same_way(synthesizer: Synthesizer):
    requests = [(voice, rate_wpm) for voice in ("m3", "f2", "m1", "klatt", "f5") for rate_wpm in (100, 180)]

    def take() -> list[bytes]:
        with Synthesizer() as fresh:
            return [
                fresh.speak("pA: tA: kA:", voice=voice, rate_wpm=rate_wpm, pitch=50)[0].tobytes()
                for voice, rate_wpm in requests
            ]

    first = take()
    synthesizer.speak("kA: kA:", voice="f2", rate_wpm=150, pitch=40)
    assert take() == first


def test_threads_that_share_a_synthesizer_do_not_mix_their_speech(synthesizer: Synthesizer):
    def bursts(count: int) -> int:
        samples, rate_hz, _ = synthesizer.speak("pA: " * count, voice="m3", rate_wpm=140, pitch=50)
        return acoustics.count_bursts(samples, rate_hz)

    counts = [2, 9, 4, 7, 3, 8, 5, 6] * 3
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(bursts, counts)) == counts


def test_higher_pitch_and_slower_rate_are_what_they_say(synthesizer: Synthesizer):
    slow, rate_hz, _ = synthesizer.speak("pA: pA: pA:", voice="m3", rate_wpm=90, pitch=50)
    fast, _, _ = synthesizer.speak("pA: pA: pA:", voice="m3", rate_wpm=180, pitch=50)
    apart, _, _ = synthesizer.speak("pA: pA: pA:", voice="m3", rate_wpm=90, pitch=50, word_gap=6)
    assert len(slow) > 1.5 * len(fast)
    assert len(apart) > 1.2 * len(slow)

    def fundamental_hz(pitch: int) -> float:
        samples, _, _ = synthesizer.speak("A:", voice="m3", rate_wpm=90, pitch=pitch, pitch_range=0)
        middle = samples[len(samples) // 4 :][: rate_hz // 10]
        correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        shortest = rate_hz // 300
        return rate_hz / (shortest + int(np.argmax(correlation[shortest : rate_hz // 50])))

    assert fundamental_hz(70) > 1.3 * fundamental_hz(35)


def test_a_word_starts_with_the_burst_of_its_plosive(synthesizer: Synthesizer):
    samples, rate_hz, phonemes = synthesizer.speak("pA: tA: kA:", voice="m3", rate_wpm=90, pitch=50, word_gap=6)
    starts_s = [phoneme.start_s for phoneme in phonemes if phoneme.begins_word]
    assert [phoneme.name.lstrip("'") for phoneme in phonemes] == ["p", "A:", "t", "A:", "k", "A:"]
    loud = np.abs(samples) > 0.02 * np.abs(samples).max()
    for start_s in starts_s:
        at, closure, burst = (round(seconds * rate_hz) for seconds in (start_s, 0.03, 0.02))
        assert not loud[max(0, at - closure) : at].any()
        assert loud[at : at + burst].any()


def test_a_new_request_forgets_the_phonemes_of_the_last(synthesizer: Synthesizer):
    synthesizer.speak("pA: tA: kA:", voice="m3", rate_wpm=150, pitch=50)
    again = synthesizer.speak("fA:", voice="m3", rate_wpm=150, pitch=50)
    assert len(again.word_starts_s) == 1
    assert again.phonemes[0].name == "f"


def test_an_unknown_voice_is_refused_instead_of_spoken_by_the_default_one(synthesizer: Synthesizer):
    with pytest.raises(UsageError, match="no voice variant 'nobody'"):
        synthesizer.speak("pA:", voice="nobody", rate_wpm=150, pitch=50)


@pytest.mark.parametrize(
    ("setting", "value"), [("rate_wpm", 79), ("rate_wpm", 451), ("pitch", -1), ("pitch_range", 100), ("word_gap", -1)]
)
def test_a_setting_out_of_range_is_refused_by_name(synthesizer: Synthesizer, setting: str, value: int):
    settings = {"rate_wpm": 150, "pitch": 50} | {setting: value}
    with pytest.raises(UsageError, match=f"{setting} is {value}"):
        synthesizer.speak("pA:", voice="m3", **settings)


def test_a_text_without_sound_is_an_error(synthesizer: Synthesizer):
    with pytest.raises(AudioError, match="could not say"):
        synthesizer.speak("", voice="m3", rate_wpm=150, pitch=50)


def test_text_of_another_language_is_spoken_in_that_language(synthesizer: Synthesizer):
    def say(language: str) -> bytes:
        return synthesizer.speak_text("zhong1 guo2", language=language, voice="m3", rate_wpm=140, pitch=50)[0].tobytes()

    assert say("cmn") != say("en-us")
    with pytest.raises(AudioError, match=r"could not say .* with voice nowhere\+m3"):
        say("nowhere")


def test_a_closed_synthesizer_says_so_instead_of_crashing(espeakng_loader: ModuleType):
    with Synthesizer() as closed:
        pass
    closed.close()
    with pytest.raises(UsageError, match="closed"):
        closed.speak("pA:", voice="m3", rate_wpm=150, pitch=50)
