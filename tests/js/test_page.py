"""The page in Chromium, used as a person would: files, microphone, keyboard, no connection, and what goes wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import wav2edge
from benchmarks.records.bindings.page_javascript import minified_page
from tests.js.conftest import ROOT
from tests.js.page_modules import browser, page_tools, use_page
from wav2edge.audio.clip import load_clip

MODELS = ROOT / "models"
BUNDLES = {"words": MODELS / "words", "words-stream": MODELS / "words-stream"}
CLIP = MODELS / "clips" / "fu-dan-3.flac"
SPOKEN = [MODELS / "clips" / f"{name}.flac" for name in ("shang-hai-2", "fu-dan-3")]
PAUSE_S = 1.0
BEGINNINGS_S = (0.0, 0.04, 0.08, 0.12)
"""Where in a chunk of 160 ms a microphone's sound begins nobody knows, and the chunks decide what is heard first."""
ENGINE_PATHS = ("/node_modules/", "/bundles/words/onnx/")
"""ONNX Runtime and the graph; our modules the page may load to keep them for later visits."""
MOST_JAVASCRIPT_BYTES = 40_000
"""Until the first answer, minified."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shipped clip as a WAV file."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    samples, rate_hz = soundfile.read(CLIP, dtype="int16")
    soundfile.write(path, samples, rate_hz)
    return path


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with silence around each."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    pause = np.zeros(round(PAUSE_S * 16_000), np.int16)
    parts = [part for clip in SPOKEN for part in (pause, soundfile.read(clip, dtype="int16")[0])]
    soundfile.write(path, np.concatenate([*parts, pause, pause]), 16_000)
    return path


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes in stereo, at a rate that has to be changed."""
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    noise = np.random.default_rng(1).integers(-2_000, 2_000, (44_100, 2), dtype=np.int16)
    soundfile.write(path, np.tile(noise, (121, 1)), 44_100)
    return path


@pytest.fixture(scope="module")
def cut(wav: Path, speech: Path) -> dict[str, Path]:
    """Files of which a browser reads a part: the beginnings of clips and of a recording, and two files in one."""
    beginnings = {
        "clip.wav": wav.read_bytes()[:20_000],
        "recording.wav": speech.read_bytes()[:-32_001],
        "joined.wav": 2 * wav.read_bytes(),
        "compressed.flac": CLIP.read_bytes()[:9_000],
    }
    folder = speech.with_name("cut")
    folder.mkdir()
    for name, content in beginnings.items():
        (folder / name).write_bytes(content)
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one bit of its graph turned over."""
    folder = tmp_path_factory.mktemp("damaged") / "words"
    shutil.copytree(BUNDLES["words"], folder)
    graph = folder / "onnx" / "model_quantized.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def seen(
    js_folder: Path,
    wav: Path,
    speech: Path,
    long_recording: Path,
    cut: dict[str, Path],
    damaged: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What a browser saw in every scenario."""
    browser()
    no_sound = tmp_path_factory.mktemp("text") / "letter.wav"
    no_sound.write_text("Dear reader, this is not sound.\n" * 20)
    silence = no_sound.with_name("silence.wav")
    soundfile.write(silence, np.zeros(16_000, np.int16), 16_000)
    clip = {"clip": str(wav), "bundle": "words"}
    scenarios = [
        {"name": "clip", **clip},
        {"name": "microphone", "bundle": "words-stream", "seconds": soundfile.info(speech).duration},
        {"name": "tasks", **clip, "recording": str(long_recording)},
        {"name": "offline", **clip, "noSound": str(silence)},
        {"name": "damaged", "bundle": "damaged"},
        {"name": "narrow", **clip},
        {"name": "keyboard", **clip},
        {"name": "refused", **clip, "file": str(no_sound), "cut": {name: str(path) for name, path in cut.items()}},
        {"name": "alone", **clip},
    ]
    return use_page(js_folder / "node_modules", {**BUNDLES, "damaged": damaged}, scenarios, speech)


@pytest.fixture(scope="module")
def published(
    js_folder: Path, wav: Path, damaged: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The minified page, and what a browser saw of it."""
    browser()
    folder = tmp_path_factory.mktemp("published") / "page"
    minified_page(page_tools(), folder)
    scenarios = [{"name": "first", "clip": str(wav), "bundle": "words"}, {"name": "damaged", "bundle": "damaged"}]
    bundles = {**BUNDLES, "damaged": damaged}
    return folder, use_page(js_folder / "node_modules", bundles, scenarios, page=folder)


def of(seen: dict[str, Any], scenario: str) -> dict[str, Any]:
    found: dict[str, Any] = seen[scenario]
    assert "failed" not in found, found["failed"]
    return found


def percent(share: float) -> str:
    return f"{int(100 * share + 0.5)} %"


@pytest.fixture(scope="module")
def expected(wav: Path) -> wav2edge.Result:
    return wav2edge.load(BUNDLES["words"])(wav)


def test_a_dropped_file_has_the_answer_of_python(seen: dict[str, Any], expected: wav2edge.Result) -> None:
    found = of(seen, "clip")
    answer = {"text": expected.text, "label": expected.label, "confidence": percent(expected.confidence)}
    assert found["answers"] == [answer]
    assert found["words"] == [word.text for word in expected.words or ()]
    assert expected.scores is not None
    assert list(found["scores"]) == list(expected.scores)
    for label, score in expected.scores.items():
        assert int(found["scores"][label].split()[0]) == pytest.approx(100 * score, abs=1.5)


def test_the_golden_self_test_passes(seen: dict[str, Any]) -> None:
    assert of(seen, "clip")["selfTest"].startswith("Passed")


def test_nothing_breaks_the_content_security_policy(seen: dict[str, Any]) -> None:
    for name in ("clip", "microphone", "narrow", "alone"):
        assert of(seen, name)["seen"]["violations"] == []
        assert of(seen, name)["seen"]["errors"] == []


def test_the_engine_works_in_a_worker_alone_so_that_the_page_answers_keys_and_clicks(seen: dict[str, Any]) -> None:
    found = of(seen, "tasks")
    assert found["workers"] == ["/page/engine-worker.js"]
    assert "/page/page.js" in found["loaded"]
    assert [path for path in found["loaded"] if path.startswith(ENGINE_PATHS)] == []


def test_the_second_visit_takes_the_model_from_the_cache(seen: dict[str, Any]) -> None:
    found = of(seen, "clip")
    models = [
        [each for each in found[visit]["downloads"] if each["path"].endswith(".onnx")] for visit in ("cold", "warm")
    ]
    assert [each["status"] for each in models[0]] == [200]
    assert models[1] == []
    assert sum(each["bytes"] for each in found["warm"]["downloads"]) < 10_000
    assert found["warm"]["firstAnswerMs"] > 0


def test_a_microphone_has_the_answers_of_a_stream_in_python(seen: dict[str, Any], speech: Path) -> None:
    found = of(seen, "microphone")
    samples = soundfile.read(speech, dtype="float32")[0]
    engine = wav2edge.load(BUNDLES["words-stream"])
    later = [np.concatenate([np.zeros(round(each * 16_000), np.float32), samples]) for each in BEGINNINGS_S]
    for answer, possible in zip(
        found["answers"], zip(*(finals(engine, each) for each in later), strict=True), strict=True
    ):
        assert (answer["text"], answer["label"]) in possible


def finals(engine: wav2edge.Engine, samples: np.ndarray) -> list[tuple[str | None, str | None]]:
    with engine.stream(rate_hz=16_000) as stream:
        events = [*stream.feed(samples), *stream.finish()]
    return [(event.text, event.label) for event in events if isinstance(event, wav2edge.Final)]


def test_a_microphone_shows_what_may_change_and_keeps_up(seen: dict[str, Any]) -> None:
    found = of(seen, "microphone")
    first_words = {answer["text"].split()[0] for answer in found["answers"]}
    assert first_words & {" ".join(words).split()[0] for words in found["partials"]}
    assert any(stable and tentative for stable, tentative in found["partials"])
    assert found["duringText"] == "Stop"
    assert found["played"]
    assert float(found["figures"]["Real-time factor"][:-1]) < 1


def test_the_page_and_the_model_work_without_a_connection(seen: dict[str, Any], expected: wav2edge.Result) -> None:
    found = of(seen, "offline")
    assert [each["text"] for each in found["answers"]] == [expected.text]
    assert not found["noticed"], "the microphone does not work"
    assert found["notice"]["title"] == "This sound cannot be recognised"
    assert found["notice"]["text"].startswith("silence.wav: silent, every sample is 0")


def test_a_first_answer_loads_no_code_that_it_does_not_need(seen: dict[str, Any]) -> None:
    loaded = {path for path in of(seen, "clip")["untilAnswer"] if path.endswith(".js")}
    assert {"/page/page.js", "/src/ctc.js", "/src/worker_server.js"} <= loaded
    assert not {path for path in loaded if "/streaming/" in path or path.endswith("messages.js")}
    later = (
        *("beam", "grammar", "hypothesis", "language_model", "rare_heads", "rare_outputs", "text_rules", "variants"),
        *("error_classes", "graph_faults", "lengths", "recordings", "resampler", "samples", "self_test"),
        *("result_json", "sound_faults", "wav", "web_environment"),
    )
    assert not loaded & {f"/src/{name}.js" for name in later}
    assert not loaded & {f"/page/{name}.js" for name in ("microphone", "player", "recording", "self-test")}


def test_the_minified_page_answers_with_little_code(
    published: tuple[Path, dict[str, Any]], expected: wav2edge.Result
) -> None:
    folder, seen = published
    found = of(seen, "first")
    assert [each["text"] for each in found["answers"]] == [expected.text]
    assert found["seen"]["errors"] == []
    scripts = {Path(each["path"]).name for each in found["untilAnswer"] if each["path"].endswith(".js")}
    assert {"page.js", "engine-worker.js", "service-worker.js"} <= scripts
    assert sum((folder / name).stat().st_size for name in scripts) <= MOST_JAVASCRIPT_BYTES


@pytest.mark.parametrize("minified", [False, True])
def test_a_damaged_bundle_is_named_in_the_words_of_every_binding(
    minified: bool, seen: dict[str, Any], published: tuple[Path, dict[str, Any]]
) -> None:
    found = of(published[1] if minified else seen, "damaged")
    assert found["notice"]["title"] == "This bundle cannot be used"
    words = "onnx/model_quantized.onnx: damaged, its SHA-256 is not the manifest's; copy or export it again"
    assert found["notice"]["text"].endswith(words)
    assert found["recordDisabled"]


def test_a_telephone_needs_no_sideways_scrolling(seen: dict[str, Any]) -> None:
    assert max(of(seen, "narrow")["widths"]) <= 360


def test_two_threads_give_the_same_answer(seen: dict[str, Any], expected: wav2edge.Result) -> None:
    found = of(seen, "narrow")
    assert found["figures"]["Runs on"] == "wasm, 2 threads"
    assert [each["text"] for each in found["answers"]] == [expected.text]


def test_everything_can_be_done_with_keys(seen: dict[str, Any], expected: wav2edge.Result) -> None:
    found = of(seen, "keyboard")
    assert all(each["outline"] for each in found["reached"] if each["id"]), "focus is not visible everywhere"
    assert {"bundle", "theme", "record", "choose", "self-test"} <= {each["id"] for each in found["reached"]}
    assert found["theme"] == ["dark", "dark"]
    assert found["kept"] == "dark"
    assert [each["text"] for each in found["answers"]] == [expected.text]
    assert [each["text"] for each in found["words"]] == [word.text for word in expected.words or ()]


def test_a_microphone_that_cannot_be_had_is_explained(seen: dict[str, Any]) -> None:
    found = of(seen, "refused")
    titles = {name: notice["title"] for name, notice in found["notices"].items() if name.endswith("Error")}
    assert titles == {
        "NotAllowedError": "The microphone is not allowed",
        "NotFoundError": "No microphone found",
        "NotReadableError": "The microphone is busy",
    }
    assert all(notice["text"].endswith(".") for notice in found["notices"].values())
    assert found["recordText"] == "Record"


def test_a_file_that_is_no_sound_is_named(seen: dict[str, Any]) -> None:
    found = of(seen, "refused")
    assert found["notices"]["noSound"]["text"].startswith("letter.wav: this browser cannot decode it")
    assert found["status"] == "Ready"
    assert found["left"] == 0, "the answer to the file before it stands below"


def test_a_file_of_which_a_browser_reads_a_part_is_answered_as_in_python(
    seen: dict[str, Any], cut: dict[str, Path]
) -> None:
    found = of(seen, "refused")
    for name in ("joined", "clip"):
        with pytest.raises(wav2edge.AudioError) as caught:
            load_clip(cut[name])
        message = str(caught.value).replace(str(cut[name]), cut[name].name)
        assert found["parts"][name] == {"title": "This sound cannot be recognised", "text": message}
    assert found["parts"]["compressed"]["text"].startswith("compressed.flac: truncated, the file ends after 0.")
    expected = wav2edge.load(BUNDLES["words"])(cut["recording"])
    assert found["warned"].split("; ")[1:] == list(expected.warnings)
    assert "truncated" in expected.warnings[-1]


def test_a_kind_of_stream_that_there_is_not_is_named_before_somebody_records(seen: dict[str, Any]) -> None:
    found = of(seen, "refused")
    assert found["notices"]["address"]["text"].startswith("stream=quick: no kind of stream; choose auto, cached")
    assert found["oddly"] == {"status": "Ready", "invitation": ""}


def test_without_isolation_one_thread_gives_the_same_answer(seen: dict[str, Any], expected: wav2edge.Result) -> None:
    found = of(seen, "alone")
    assert found["isolated"] is False
    assert found["figures"]["Runs on"] == "wasm, 1 thread"
    assert [each["text"] for each in found["answers"]] == [expected.text]
