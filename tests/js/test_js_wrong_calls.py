"""Calls that a program gets wrong, and sound that it changes: no silent nonsense, no hang, one error tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.js.conftest import Script
from wav2edge.audio.clip import load_clip

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
CHUNKS = MODELS / "words-stream"
RATE_HZ = 16_000
ARPA = "\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n-1 b\n\\end\\\n"
MESSAGES: dict[str, list[str]] = {
    "option_kind": [
        *("load: no bundle", "load: a number", "load: bytes", "load: a file on another computer", "load: no options"),
        *("load: options in a list", "load: half a thread", "load: threads in words", "load: endless threads"),
        *("load: a threshold in words", "load: no threshold", "load: a length in words"),
        *("run: no options", "run: no listener", "stream: no options", "stream: a rate in words", "stream: no clock"),
        *("stream: no end points", "stream: no silence", "stream: no start", "stream: a number as detector"),
        *("stream: half a detector", "stream: a detector without scores"),
        *("Beam: null", "Beam: without bound", "Beam: half a prefix", "Beam: a width in words"),
        *("Beam: a weight in words", "Beam: no hotwords", "Beam: hotwords without weights"),
        *("Grammar: no phrases", "Grammar: numbers", "Grammar: half a phrase", "Grammar: a fit in words"),
    ],
    "threads_most": ["load: more threads than can be had"],
    "worker_no_page": ["load: in a worker of Node"],
    "runtime_not_started": ["load: no .wasm file"],
    "beam_heaviest": ["Beam: the heaviest hotword"],
    "option_seconds": [
        "gap: of nothing",
        "gap: less than nothing",
        "gap: NaN",
        "gap: without end",
        "gap: an object",
        "LiveQueue: lost NaN",
    ],
    "decoder_kind": [
        *("load: the name of a decoder", "load: a decoder as in a manifest", "load: the class of a decoder"),
    ],
    "reject_below": [f"rejectBelow: {value}" for value in ("null", "in words", "true", "a list")],
    "audio_kind": [
        *("run: an object without a class", "parseWav: null", "parseWav: a text", "parseWav: a promise"),
        *("LiveQueue: a text", "LiveQueue: null"),
    ],
    "audio_rate_range": ["Resampler: no rate", "Resampler: NaN", "LiveQueue: a rate that is none"],
    "audio_no_rate": ["LiveQueue: no rate"],
    "at_most": ["Beam: wider than any"],
    "audio_empty": ["run: no channel", "run: memory that went to a worker"],
    "stream_odd_bytes": ["LiveQueue: half a sample"],
    "bundle_unreachable": ["load: no address"],
    "runtime_not_at": ["load: ONNX Runtime at a wrong address"],
    "lm_unreadable": [f"LanguageModel: {what}" for what in ("no bytes", "not there", "at no server")],
    "silero_unreadable": ["Silero: a folder"],
    "taken": ["stream: padding as usual", "stream: a detector that is ahead of the sound"],
}
"""The message of the table -> the calls of ``wrong_calls.mjs`` that it is the answer to."""


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [load_clip(path).samples for path in sorted((MODELS / "clips").glob("*.flac"))[:6]]


@pytest.fixture(scope="module")
def recording(clips: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with pauses between them, as raw samples."""
    path = tmp_path_factory.mktemp("recording") / "recording.f32"
    pause = np.random.default_rng(0).normal(0, 1e-3, RATE_HZ)
    np.concatenate([part for clip in clips for part in (clip, pause)]).astype("<f4").tofile(path)
    return path


@pytest.fixture(scope="module")
def kept(
    clips: list[np.ndarray], recording: Path, run_script: Script, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What ``kept_sound.mjs`` saw."""
    folder = tmp_path_factory.mktemp("sound")
    lm, wav = folder / "lm.arpa", folder / "narrow.wav"
    lm.write_text(ARPA)
    soundfile.write(wav, np.concatenate([clips[0], np.zeros(RATE_HZ)]), RATE_HZ, subtype="PCM_U8")
    question = {"bundle": str(CHUNKS), "recording": str(recording), "wav": str(wav), "lm": str(lm)}
    found: dict[str, Any] = run_script("kept_sound.mjs", question)
    return found


@pytest.fixture(scope="module")
def worker(recording: Path, run_script: Script) -> dict[str, Any]:
    """What ``worker_faults.mjs`` saw."""
    found: dict[str, Any] = run_script("worker_faults.mjs", {"bundle": str(CHUNKS), "recording": str(recording)})
    return found


def test_wrong_arguments_are_refused_with_messages_of_the_table(recording, run_script):
    found = run_script("wrong_calls.mjs", {"bundle": str(CHUNKS), "clip": str(recording)})
    assert found == {call: message for message, calls in MESSAGES.items() for call in calls}


def test_a_buffer_may_be_used_again_while_a_recording_is_recognised(kept):
    assert len(kept["left"]) >= 5
    assert kept["changed"] == kept["left"]


def test_a_queue_copies_bytes_and_counts_them_as_the_samples_that_they_hold(kept):
    assert kept["queued"] == {"items": [[256], [768, 1024]], "waitingS": [0.05, 0.1, 0.05], "lostS": 0.1}


def test_sound_of_8_bits_is_no_nonsense_to_a_stream(kept):
    assert kept["narrow"]["first"] == kept["narrow"]["channels"] == ["bei jing"]


def test_a_gap_may_be_seconds_or_what_a_queue_gives(kept):
    assert kept["clocks"] == [1.5, 1.5]


def test_a_stream_of_an_engine_that_is_closed_says_so(kept):
    for answers in kept["closed"]:
        assert set(answers[2:]) == {"engine_closed"}
        assert set(answers[:2]) <= {"engine_closed", None}


def test_a_language_model_may_be_given_by_its_url(kept):
    assert kept["words"] == 3


def test_closing_an_engine_in_a_worker_leaves_no_call_without_an_answer(worker):
    run, feed, *closes, late_run, late_feed = worker["closing"]
    assert closes == ["done", "done"]
    assert {run, feed, late_run, late_feed} == {"engine_closed"}
    assert worker["closed"] == "done"


def test_the_threshold_of_an_engine_in_a_worker_may_be_changed(worker):
    assert worker["rejected"] == [True, False]
    assert worker["threshold"] == "reject_below"


def test_what_cannot_be_sent_to_a_worker_is_refused_with_messages_of_the_table(worker):
    unsent = ["audio_empty", "audio_kind", "audio_kind", "worker_option", "worker_option", "audio_kind"]
    assert worker["unsent"] == unsent


def test_a_listener_in_front_of_a_worker_fails_its_call(worker):
    assert worker["listeners"] == ["mine", "option_kind", "option_kind"]


def test_a_finished_stream_in_a_worker_says_so(worker):
    assert worker["finished"] == ["stream_finished"] * 3


def test_a_load_that_fails_leaves_no_worker_behind(worker):
    assert worker["refused"] == ["decoder_kind", "variant_unknown", "option_kind", "option_kind", "option_kind"]
    assert worker["running"] == 0
    assert worker["missing"] == "worker_not_there"


def test_a_page_whose_policy_forbids_workers_says_so(worker):
    assert worker["forbidden"] == "worker_forbidden"


def test_an_option_that_there_is_not_is_answered_with_those_that_there_are(worker):
    assert worker["unknown"].startswith("no option 'colour'; choose from device, ")
    assert worker["unknown"].endswith(", cache, worker")


def test_a_worker_may_open_a_bundle_in_another_worker(worker):
    assert worker["nested"] == "done"
