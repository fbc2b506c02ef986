from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge import BundleError, DeviceError, Engine, Result
from wav2edge.bundle.heads import ClassificationHead, Heads
from wav2edge.inference.sessions.graph_session import Calls

LENGTHS = (400, 401, 719, 720, 3_000, 16_000, 16_319, 31_999)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [tiny_bundle.noise(length, seed=length) for length in LENGTHS]


# One clip


@pytest.mark.parametrize("samples", LENGTHS)
def test_the_outputs_are_those_of_a_bare_onnx_runtime_session(engine, bundle, samples):
    clip = tiny_bundle.noise(samples)
    session = onnxruntime.InferenceSession(bundle / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    logits, class_logits = session.run(["logits", "class_logits"], {"input_values": clip[None]})
    found = engine.outputs(clip)
    np.testing.assert_allclose(found["logits"], logits[0], atol=1e-5)
    np.testing.assert_allclose(found["class_logits"], class_logits[0], atol=1e-5)


@pytest.mark.parametrize("samples", LENGTHS)
def test_a_clip_has_as_many_frames_as_the_geometry_says(engine, samples):
    assert len(engine.outputs(tiny_bundle.noise(samples))["logits"]) == engine.geometry.frames(samples)


@pytest.mark.parametrize("samples", [2, 100, 399])
def test_a_clip_shorter_than_one_frame_is_recognised_as_if_silence_followed(engine, samples):
    clip = tiny_bundle.noise(samples)
    result = engine(clip, rate_hz=16_000)
    padded = engine.outputs(np.pad(clip, (0, 400 - samples)))
    np.testing.assert_array_equal(engine.outputs(clip)["logits"], padded["logits"])
    assert result.warnings == (f"only {samples / 16:.0f} ms long: silence was added",)
    assert result.duration_s == samples / 16_000


@pytest.mark.parametrize("samples", [400, 719])
def test_a_clip_of_one_frame_is_left_as_it_is(engine, samples):
    assert engine(tiny_bundle.noise(samples), rate_hz=16_000).warnings == ()


def test_a_result_does_not_depend_on_how_loud_the_clip_is(engine, second):
    expected = engine.outputs(second)
    np.testing.assert_allclose(engine.outputs(3 * second)["logits"], expected["logits"], atol=1e-3)


def test_both_heads_are_recognised(engine, second):
    result = engine(second, rate_hz=16_000)
    assert result.text == " ".join(word.text for word in result.words)
    assert len(result.text) > 10
    assert result.label == max(result.scores, key=result.scores.get)
    assert sum(result.scores.values()) == pytest.approx(1)


def test_words_lie_in_order_inside_the_clip(engine, second):
    result = engine(second, rate_hz=16_000)
    times = [time_s for word in result.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= result.duration_s


def test_a_path_a_file_and_an_array_are_recognised_alike(engine, save, second):
    path = save("clip.wav", second, subtype="FLOAT")
    with path.open("rb") as file:
        assert engine(str(path)) == engine(path) == engine(file) == engine(second, rate_hz=16_000)


def test_the_same_clip_is_recognised_the_same_again(engine, second):
    assert engine(second, rate_hz=16_000) == engine(second, rate_hz=16_000)


def test_warnings_about_the_audio_come_with_the_result(engine, second):
    assert "clipped" in engine(np.clip(30 * second, -1, 1), rate_hz=16_000).warnings[0]


# Loading


def test_loading_prints_nothing(bundle, capfd):
    wav2edge.load(bundle)
    wav2edge.load(bundle, device="auto", variant="int8", threads=2, spinning=True)
    assert capfd.readouterr() == ("", "")


def test_a_variant_is_its_own_graph(bundle, engine, second):
    int8 = wav2edge.load(bundle, variant="int8")
    assert (engine.precision, int8.precision, int8.device) == ("fp32", "int8", "cpu")
    difference = np.abs(int8.outputs(second)["logits"] - engine.outputs(second)["logits"]).max()
    assert 0 < difference < 5


def refusal(action, kind: type[Exception] = BundleError) -> str:
    with pytest.raises(kind) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_graph_with_one_flipped_bit_is_not_loaded(own_bundle, place):
    path = own_bundle / "onnx/model.onnx"
    content = bytearray(path.read_bytes())
    content[round(place * len(content)) if place > 0 else place] ^= 1
    path.write_bytes(content)
    assert refusal(lambda: wav2edge.load(own_bundle)).startswith(f"{path}: damaged")
    assert wav2edge.load(own_bundle, variant="int8").precision == "int8"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"vocabulary": 5}, "its output 'logits' is 5 wide where the manifest says 8"),
        ({"input_name": "input_features"}, "its inputs are input_features where 'input_values' is wanted"),
    ],
)
def test_a_graph_that_does_not_fit_the_manifest_is_not_loaded(tmp_path, options, reason):
    folder = tiny_bundle.write_bundle(tmp_path / "odd", {"fp32": tiny_bundle.graph(**options)})
    message = refusal(lambda: wav2edge.load(folder))
    assert message == f"{folder / 'onnx/model.onnx'}: {reason}; export the bundle again"


def test_a_graph_without_an_output_of_the_manifest_is_not_loaded(edit_manifest):
    head = {"output": "scores", "labels": ["0", "1", "2", "3"]}
    folder = edit_manifest(heads={"classification": head})
    assert "gives logits, class_logits where the manifest says 'scores'" in refusal(lambda: wav2edge.load(folder))


def test_a_bundle_of_one_head_gives_that_head_only(edit_manifest, second):
    labels = ["0", "1", "2", "3"]
    folder = edit_manifest(heads={"classification": {"output": "class_logits", "labels": labels}})
    result = wav2edge.load(folder)(second, rate_hz=16_000)
    assert (result.text, result.words) == (None, None)
    assert result.label in labels


# Engines without a bundle


def test_an_engine_of_a_graph_gives_what_the_engine_of_its_bundle_gives(engine, bundle, tmp_path, second):
    graph = tmp_path / "alone.onnx"
    graph.write_bytes((bundle / "onnx/model.onnx").read_bytes())
    from_graph = Engine.from_graph(graph, heads=tiny_bundle.HEADS, geometry=tiny_bundle.GEOMETRY, threads=1)
    assert from_graph(second, rate_hz=16_000) == engine(second, rate_hz=16_000)
    expected = engine.outputs(second)
    for name, values in from_graph.outputs(second).items():
        np.testing.assert_array_equal(values, expected[name])
    assert (from_graph.precision, from_graph.certified_up_to_s) == (None, None)


def test_a_graph_that_does_not_fit_its_heads_is_refused(bundle):
    heads = Heads(classification=ClassificationHead(output="class_logits", labels=("0", "1")))
    message = refusal(lambda: Engine.from_graph(bundle / "onnx/model.onnx", heads=heads, geometry=tiny_bundle.GEOMETRY))
    assert "its output 'class_logits' is 4 wide where the manifest says 2" in message


def test_transcribe_is_the_call_by_its_usual_name(engine, second):
    assert engine.transcribe(second, rate_hz=16_000) == engine(second, rate_hz=16_000)


# Long clips

SHRINKAGE = "memory.enable_memory_arena_shrinkage"


class Observed:
    """A session that remembers the options of its calls."""

    def __init__(self, session):
        self.session, self.options = session, []

    def run(self, names, feeds, options=None):
        self.options.append(options)
        return self.session.run(names, feeds, options)


def test_only_after_a_long_clip_memory_goes_back_to_the_system(bundle, monkeypatch):
    engine = wav2edge.load(bundle)
    observed = Observed(engine._session._session)
    monkeypatch.setattr(engine._session, "_session", observed)
    long = tiny_bundle.noise(16 * 16_000)
    outputs = engine.outputs(long)
    engine.outputs(long[:16_000])
    shrinking, usual = observed.options
    assert shrinking.get_run_config_entry(SHRINKAGE) == "cpu:0"
    with pytest.raises(RuntimeError, match=SHRINKAGE):  # the entry is not there
        usual.get_run_config_entry(SHRINKAGE)
    np.testing.assert_array_equal(outputs["logits"], engine.outputs(long)["logits"])


# When the device fails


class Broken:
    """Stands in for a session that fails on long clips and gives NaN for short ones."""

    def run(self, names, feeds, options=None):
        if feeds["input_values"].size > 20_000:
            raise RuntimeError("Failed to allocate\nmemory for requested buffer")
        return [np.full((1, 1, 4), np.nan, np.float32) for _ in names]


@pytest.fixture
def broken_engine(bundle, monkeypatch):
    engine = wav2edge.load(bundle)
    monkeypatch.setattr(engine._session, "_session", Broken())
    return engine


def test_a_device_that_fails_is_a_device_error_in_one_line(broken_engine):
    message = refusal(lambda: broken_engine.outputs(tiny_bundle.noise(32_000)), DeviceError)
    assert message.startswith("cpu failed on 2.0 s of audio: Failed to allocate memory for requested buffer;")


def test_outputs_that_are_not_finite_are_an_error_and_not_a_result(broken_engine, bundle, second):
    message = refusal(lambda: broken_engine(second, rate_hz=16_000), DeviceError)
    assert message.startswith(f"{bundle / 'onnx/model.onnx'} on cpu gave NaN or infinity;")


def test_a_failure_inside_onnx_runtime_is_our_one_line_and_not_its_log(tmp_path, second, capfd):
    graph = tmp_path / "fixed.onnx"
    onnx.save(tiny_bundle.graph_for_one_frame(), str(graph))
    engine = Engine.from_graph(graph, heads=tiny_bundle.HEADS, geometry=tiny_bundle.GEOMETRY)
    assert "logits" in engine.outputs(second[:400])
    message = refusal(lambda: engine.outputs(second), DeviceError)
    assert message.startswith("cpu failed on 1.0 s of audio: ")
    assert capfd.readouterr() == ("", "")


def test_a_device_that_fails_on_one_clip_does_not_end_the_others(broken_engine):
    found = list(broken_engine.map([tiny_bundle.noise(32_000)] * 3, rate_hz=16_000, errors="return"))
    assert [type(each) for each in found] == [DeviceError] * 3


# Interrupts


def test_calls_that_were_terminated_end_and_other_calls_do_not(engine, second):
    calls = Calls("cpu")
    (expected,) = engine._session.outputs([second], calls)
    calls.terminate()
    message = refusal(lambda: engine._session.outputs([second], calls), DeviceError)
    assert "terminate" in message
    np.testing.assert_array_equal(engine.outputs(second)["logits"], expected["logits"])


# Threads and forks


def test_eight_threads_that_share_an_engine_give_the_results_of_one_does(engine, clips):
    def recognise(clip: np.ndarray) -> Result:
        return engine(clip, rate_hz=16_000)

    work = clips * 8
    serial = [recognise(clip) for clip in work]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recognise, work)) == serial


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_an_engine_carried_over_a_fork_says_so(engine, second):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine(second, rate_hz=16_000)
            os.write(writing, b"answered")
        except DeviceError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().decode() == "this engine was loaded before a fork; load it again in the child process"
    os.waitpid(child, 0)
