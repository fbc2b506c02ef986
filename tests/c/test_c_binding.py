"""The C library answers as the Python package does, and refuses with the same words."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from ctypes import byref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.c.c_library import CEngine, CError, CheckFunction, CLibrary, Error, Pcm, differences, pcm_of
from tests.c.conftest import WORDS, WORDS_STREAM, run_checked
from wav2edge.audio.segmentation import Segmentation
from wav2edge.bundle.manifest import sealed
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.grammar import Grammar
from wav2edge.evaluation.dataset import read_dataset

ROUNDED = 6e-5
"""How far a number may be from one that Python has rounded: times to four digits."""
PHRASES = ["bei jing", "fan dian", "fu dan", "shang hai", "shang hang", "shi bie", "shu zi", "yu yan", "yu yin"]


@pytest.fixture(scope="module")
def engine(library: CLibrary):
    with library.load(WORDS) as engine:
        yield engine


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the class, exit code and words of its error."""
    try:
        found = call()
    except CError as error:
        return error.kind, error.code, error.message
    except wav2edge.Wav2EdgeError as error:
        return type(error).__name__, error.exit_code, str(error)
    return found.to_dict() if hasattr(found, "to_dict") else found


def assert_same(ours: Callable[[], Any], theirs: Callable[[], Any], tolerance: float = ROUNDED) -> Any:
    """Both give the same, or fail with the same error; returns what Python gives."""
    expected = outcome(theirs)
    assert differences(outcome(ours), expected, tolerance) == []
    return expected


@pytest.mark.parametrize("folder", [WORDS, WORDS_STREAM], ids=lambda folder: folder.name)
def test_the_golden_input_gives_what_it_gave_at_the_export(library, folder):
    with library.load(folder) as engine:
        found = engine.self_test()
        golden = json.loads((folder / "golden.json").read_text())["variants"]["int8"]
        assert found.passed
        assert found.difference <= golden["tolerance"]
        assert (found.text.decode(), found.label.decode()) == (golden["text"], golden["label"])


@pytest.mark.parametrize("folder", [WORDS, WORDS_STREAM], ids=lambda folder: folder.name)
def test_the_shipped_clips_are_answered_as_by_python(library, words_engine, stream_engine, wav_clips, folder):
    theirs = words_engine if folder == WORDS else stream_engine
    with library.load(folder) as ours:
        found = [assert_same(partial(ours.run_file, path), partial(theirs, path)) for path in wav_clips]
    assert len({each["text"] for each in found}) >= 10


def test_recorded_words_are_answered_as_by_python(engine, words_engine, real_words):
    rows = [row for row in read_dataset(real_words) if row.split == "test"]
    assert len(rows) == 240
    for row in rows:
        samples, rate_hz = soundfile.read(row.path, dtype="int16")
        assert_same(partial(engine.run, samples, rate_hz), partial(words_engine, samples, rate_hz=rate_hz))


@pytest.mark.parametrize(
    "decoder",
    [
        Grammar(PHRASES),
        Grammar(PHRASES, least_fit=0.9),
        Grammar(["a", "fu dan", " yu   yin "]),
        Beam(width=3),
        Beam(width=8, hotwords={"fu dan": 5.0, "shang hang": -3.0, "yu": 2.5}),
        Beam(width=32, word_bonus=1.5),
    ],
    ids=str,
)
def test_decoders_find_the_same(library, wav_clips, decoder):
    theirs = wav2edge.load(WORDS, threads=1, decoder=decoder)
    options = {name: value for name, value in vars(decoder).items() if not name.startswith("_") and name != "n_best"}
    options = {name: value for name, value in options.items() if value not in (None, {})}
    described = {"grammar" if isinstance(decoder, Grammar) else "beam": options}
    noise = np.random.default_rng(14).integers(-3_000, 3_000, 16_000).astype(np.int16)
    sounds = [noise, *(soundfile.read(path, dtype="int16")[0] for path in wav_clips[::3])]
    with library.load(WORDS, decoder=json.dumps(described)) as ours:
        for sound in [*sounds, np.concatenate(sounds[1:3])]:
            assert_same(partial(ours.run, sound), partial(theirs, sound, rate_hz=16_000))


def test_answers_that_are_not_sure_are_rejected(library, wav_clips):
    theirs = wav2edge.load(WORDS, threads=1)
    theirs.reject_below = 0.97
    with library.load(WORDS, reject_below=0.97) as ours:
        found = [assert_same(partial(ours.run_file, path), partial(theirs, path)) for path in wav_clips]
    assert 0 < sum("rejected" in each for each in found) < 12


@pytest.mark.parametrize("longest_s", [None, 0.5, 0.9, 1.7, 5.0])
def test_recordings_are_answered_in_the_same_segments(library, recording, wav_clips, longest_s):
    theirs = wav2edge.load(WORDS, threads=1)
    if longest_s is not None:
        theirs.segmentation = Segmentation(longest_s=longest_s)
    without_pauses = np.concatenate([soundfile.read(path, dtype="float32")[0][2_000:-2_000] for path in wav_clips])
    with library.load(WORDS, longest_segment_s=longest_s or 0.0) as ours:
        for sound in (recording, without_pauses):
            found = assert_same(partial(ours.run, sound), partial(theirs, sound, rate_hz=16_000))
            assert len(found["segments"]) >= 3


def test_noise_has_no_segments(engine, words_engine):
    noise = np.random.default_rng(0).normal(0, 0.01, 100_000).astype(np.float32)
    found = assert_same(partial(engine.run, noise), partial(words_engine, noise, rate_hz=16_000))
    assert found["warnings"] == ["no speech found"]


@pytest.mark.parametrize("loudness", [(5.5, 1.0, 7.5), (1e-4, 1e-3, 1e-5)])
def test_a_long_recording_has_one_warning_for_its_peak(engine, words_engine, loudness):
    noise = np.random.default_rng(0).uniform(-1, 1, 3 << 18) * np.repeat(loudness, 1 << 18)
    found = assert_same(partial(engine.run, noise), partial(words_engine, noise, rate_hz=16_000))
    assert sum("peak" in warning for warning in found["warnings"]) == 1


def test_a_recording_may_be_answered_as_a_whole(library, words_engine, recording):
    with library.load(WORDS, longest_segment_s=float("inf")) as ours:
        found = assert_same(
            partial(ours.run, recording), partial(words_engine, recording, rate_hz=16_000, segments=False)
        )
    assert "segments" not in found
    assert "answer it in segments" in found["warnings"][0]


def sounds(clip: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of every kind: some are answered, some with a warning, some are refused."""
    x = clip / 32_768
    late = np.where(np.arange(len(x)) >= 9_000, -np.inf, x)
    return {
        "float64": x,
        "float32": x.astype(np.float32),
        "int16": clip,
        "int32": (x * 2**31).astype(np.int32),
        "uint8": np.round(x * 127 + 128).astype(np.uint8),
        "stereo": np.stack([x, x / 2], axis=1),
        "64 channels": x[:, None] * np.linspace(0.5, 1, 64),
        "an inverted channel": np.stack([x, -0.9 * x, x / 1_000], axis=1),
        "clipped": np.clip(30 * x, -1, 1),
        "very quiet": x * 1e-3,
        "integers as floats": x * 32_768,
        "no sound": x * 1e15,
        "one NaN": np.where(np.arange(len(x)) == 500, np.nan, x),
        "infinite": np.stack([x, late], axis=1),
        "zeros": np.zeros(16_000),
        "a constant": np.full(16_000, 0.25),
        "one sample": x[5_000:5_001],
        "ten samples": x[5_000:5_010],
        "399 samples": x[5_000:5_399],
        "400 samples": x[5_000:5_400],
        "empty": np.zeros(0),
        "an offset": 0.1 * x + 0.5,
    }


def test_samples_of_every_kind_are_answered_or_refused_as_by_python(engine, words_engine, clip):
    found = {}
    for name, samples in sounds(clip).items():
        found[name] = assert_same(partial(engine.run, samples), partial(words_engine, samples, rate_hz=16_000))
    assert sum(isinstance(each, tuple) for each in found.values()) == 7


@pytest.mark.parametrize("channels", [0, 65])
def test_channels_that_no_sound_has_are_refused(engine, channels):
    words = f"array: {channels} channels, where 1 to 64 are possible"
    assert outcome(partial(engine.run, np.zeros((100, channels)))) == ("AudioError", 1, words)


@pytest.mark.parametrize("number", [6, 99, -1])
def test_a_format_of_samples_that_is_none_is_refused(library, engine, clip, number):
    pcm, error = pcm_of(clip, 16_000), Error()
    pcm.format = number
    assert not library.api.w2e_run_pcm(engine.handle, byref(pcm), byref(error))
    assert (error.kind, error.message) == (1, f"format is {number}; give one of w2e_format".encode())


def test_null_is_refused_and_never_read(library, engine):
    api, pcm, no_sound = library.api, Pcm(None, 8, 1, 1, 16_000), Pcm(None, 0, 1, 1, 16_000)
    calls = {
        "folder": [(api.w2e_open, None, None), (api.w2e_verify, None, None, CheckFunction(), None)],
        "engine": [
            (api.w2e_run, None, None, 0, 16_000),
            (api.w2e_run_pcm, None, byref(no_sound)),
            (api.w2e_run_file, None, b"clip.wav"),
            (api.w2e_run_self_test, None),
            (api.w2e_stream_open, None, None),
        ],
        "path": [(api.w2e_run_file, engine.handle, None)],
        "pcm": [(api.w2e_run_pcm, engine.handle, None)],
        "samples": [(api.w2e_run, engine.handle, None, 8, 16_000), (api.w2e_run_pcm, engine.handle, byref(pcm))],
        "stream": [
            (api.w2e_stream_feed, None, None, 0, None),
            (api.w2e_stream_feed_pcm, None, byref(no_sound), None),
            (api.w2e_stream_gap, None, 1.0, None),
            (api.w2e_stream_finish, None, None),
        ],
    }
    for name, each in calls.items():
        for function, *arguments in each:
            error = Error()
            assert not function(*arguments, byref(error))
            words = f"the argument '{name}' is NULL; check the call that it comes from"
            assert (error.kind, error.code, error.message.decode()) == (1, 2, words)
            assert not function(*arguments, None)
    assert api.w2e_variant(None) == api.w2e_runtime_version(None) == b""
    for name in ("clock_s", "speaking", "level_dbfs", "compute_s"):
        assert getattr(api, f"w2e_stream_{name}")(None) == 0


@pytest.mark.parametrize("rate_hz", [-5, 0, 3_999, 768_001, 2**31 - 1])
def test_rates_that_no_sound_has_are_refused(engine, words_engine, clip, rate_hz):
    found = assert_same(partial(engine.run, clip, rate_hz), partial(words_engine, clip, rate_hz=rate_hz))
    assert found[:2] == ("AudioError", 1)


def test_less_than_one_sample_at_16_khz_is_refused(engine, words_engine, clip):
    samples = clip[5_000:5_020]
    found = assert_same(partial(engine.run, samples, 768_000), partial(words_engine, samples, rate_hz=768_000))
    assert found[2] == "array: 20 samples at 768000 Hz are less than one at 16 kHz"


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
def test_wav_files_of_every_kind_are_read(engine, words_engine, clip, tmp_path, subtype, form):
    path = tmp_path / "clip.wav"
    stereo = np.stack([clip, clip // 3], axis=1) / 32_768
    soundfile.write(path, stereo, 16_000, subtype=subtype, format=form)
    assert assert_same(partial(engine.run_file, path), partial(words_engine, path))["text"] == "fu dan"


def broken_files(good: bytes) -> dict[str, bytes]:
    """Names and contents of files, of which most are refused."""
    data, title = good[44:], b"LIST\x04\0\0\0abcd"
    sizes = {
        f"size {size:x}": good[:40] + size.to_bytes(4, "little") + data for size in (0, 2**31, 2**32 - 1, 0x7FFFF000)
    }
    return {
        **sizes,
        "empty": b"",
        "a header": good[:30],
        "a form": b"RIFF\0\0\0\0WAVE",
        "truncated": good[:20_000],
        "without its last byte": good[:-1],
        "noise": bytes(range(256)) * 4,
        "text": b"hello, this is not audio\n" * 30,
        "a web page": "<html>Störung: 404</html>".encode() * 40,
        "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "m4a": b"\0\0\0\x20ftypM4A " + bytes(64),
        "webm": b"\x1aE\xdf\xa3" + bytes(64),
        "no sound and a title": good[:40] + bytes(4) + b"LIST\x04\0\0\0abcd",
        "an odd chunk": good[:12] + b"LIST\x03\0\0\0abc\0" + good[12:],
        "a chunk behind": good + b"LIST\x04\0\0\0abcd",
        "no format": good[:12] + good[36:],
        "no channels": good[:22] + b"\0\0" + good[24:],
        "a gigahertz": good[:24] + (10**9).to_bytes(4, "little") + good[28:],
        "joined": good + good,
        "joined behind a title": good + title + good,
        "two sounds": good + good[36:],
        "two sounds and a title": good + title + good[36:],
        "a sound behind an empty one": good[:40] + bytes(4) + good[36:],
        "the format twice": good[:36] + good[12:24] + (8_000).to_bytes(4, "little") + good[28:],
        "another format behind": good + good[12:24] + (8_000).to_bytes(4, "little") + good[28:36],
        "zeros and a sound behind": good + bytes(8) + good[36:],
        "a tag behind": good + b"ID3\x03" + bytes(20),
        "a long size that is none": good[:12] + b"ds64\x1c\0\0\0" + bytes(8) + b"\x80" + bytes(19) + good[12:],
    }


def test_files_are_refused_with_the_same_words(engine, words_engine, wav_clips, tmp_path):
    for name, content in broken_files(wav_clips[3].read_bytes()).items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(content)
        assert_same(partial(engine.run_file, path), partial(words_engine, path))


def test_paths_without_a_file_are_refused_with_the_same_words(engine, words_engine, wav_clips, tmp_path):
    link = tmp_path / "link.wav"
    link.symlink_to("elsewhere.wav")
    for path in (tmp_path / "gone.wav", link, tmp_path / ("x" * 300), wav_clips[0] / "inside.wav"):
        assert assert_same(partial(engine.run_file, path), partial(words_engine, path))[:2] == ("AudioError", 1)


def test_a_folder_is_no_clip(engine, tmp_path):
    assert outcome(partial(engine.run_file, tmp_path)) == ("AudioError", 1, f"{tmp_path}: a folder; give its clips")


def test_sound_that_is_no_wav_with_pcm_is_not_called_damaged(engine, clip, tmp_path):
    forms = [("FLAC", "PCM_16", "FLAC"), ("AIFF", "PCM_16", "AIFF"), ("W64", "PCM_16", "W64")]
    forms += [("WAV", "ULAW", "WAV of format 7 with 8 bits"), ("WAV", "IMA_ADPCM", "WAV of format 17 with 4 bits")]
    for form, subtype, kind in forms:
        path = tmp_path / f"{subtype}.{form}"
        soundfile.write(path, clip, 16_000, format=form, subtype=subtype)
        words = f"{kind}, where only WAV with PCM or float samples is read; convert it: ffmpeg -i IN OUT.wav"
        assert outcome(partial(engine.run_file, path)) == ("AudioError", 1, f"{path}: {words}")


def test_an_rf64_file_of_which_the_end_is_not_known_is_refused(engine, words_engine, clip, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip, 16_000, format="RF64")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"ds64", b"dx64") + b"LIST\x08\0\0\0no sound")
    for kind, code, words in (outcome(partial(each, path)) for each in (engine.run_file, words_engine)):
        assert (kind, code) == ("AudioError", 1)
        assert "cannot be decoded" in words
    path.write_bytes(whole + whole)
    assert "cannot be decoded" in outcome(partial(engine.run_file, path))[2]


def change(document: dict[str, Any], path: str, value: Any) -> None:
    """Set what is at a path of keys, such as ``heads.ctc.blank_id``; None: take it away."""
    *parents, key = path.split("/")
    for parent in parents:
        document = document[parent]
    if value is None:
        del document[key]
    else:
        document[key] = value


MANIFESTS: list[tuple[str, Any]] = [
    ("format", "another"),
    ("format_version", 0),
    ("format_version", "1"),
    ("format_version", None),
    ("name", None),
    ("name", 3),
    ("model_type", None),
    ("heads", []),
    ("heads", {}),
    ("heads/ctc", 3),
    ("heads/ctc/output", None),
    ("heads/ctc/vocabulary", ["a", 1]),
    ("heads/ctc/vocabulary", ["a", "a"]),
    ("heads/ctc/blank_id", 99),
    ("heads/ctc/blank_id", 1.5),
    ("heads/ctc/lower_case", "no"),
    ("heads/ctc/silent_ids", None),
    ("heads/classification/labels", []),
    ("heads/classification/labels", ["x", "x"]),
    ("conv_kernels", [10, 3]),
    ("conv_kernels", [10, 3, 3, 3, 3, 2, 0]),
    ("sample_rate_hz", 8_000),
    ("sample_rate_hz", "fast"),
    ("variants", {}),
    ("variants/int8/file", "other.onnx"),
    ("variants/int8/file", None),
    ("variants/int8/extra", 1),
    ("default_variant", "fp64"),
    ("files/golden.json/sha256", None),
    ("files/..", {"sha256": "0", "size_bytes": 1}),
    ("parameters", None),
    ("macs_per_s", "many"),
    ("certified_up_to_s", -1),
    ("longest_clip_s", "long"),
    ("word_times", 1),
    ("trims_silence", "yes"),
    ("confidence_temperature", {"ctc": 0}),
    ("confidence_temperature", [1]),
    ("decoder", [1]),
    ("stream/chunk_frames", []),
    ("stream/left_frames", None),
    ("stream/left_frames", 0),
    ("stream/files", {"int8": "none.onnx"}),
    ("stream/states/cache", {"shape": [0, 2], "type": "float32"}),
    ("made_with", None),
]


@pytest.mark.parametrize(("path", "value"), MANIFESTS, ids=[f"{path}={value}" for path, value in MANIFESTS])
def test_a_wrong_manifest_is_refused_with_the_same_words(library, tmp_path, path, value):
    document = json.loads((WORDS_STREAM / "manifest.json").read_text())
    change(document, path, value)
    (tmp_path / "manifest.json").write_text(sealed(document))
    found = assert_same(partial(library.load, tmp_path), partial(wav2edge.load, tmp_path, threads=1))
    assert found[:2] == ("BundleError", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2",
        '{"a": 1,}',
        '{"a" 1}',
        '{"a": tru}',
        '{"a": "b',
        '["\\x"]',
        '["\\u12"]',
        '["\t"]',
        "1 2",
        "[1 2]",
    ],
)
def test_json_that_is_none_is_refused_with_the_same_words(library, tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    found = assert_same(partial(library.load, tmp_path), partial(wav2edge.load, tmp_path, threads=1))
    assert "not JSON" in found[2]


def test_json_that_is_nested_deeply_is_refused(library, tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    assert outcome(partial(library.load, tmp_path))[0] == "BundleError"


def test_folders_that_are_no_bundle_are_refused_with_the_same_words(library, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").touch()
    (checkpoint / "model.safetensors").touch()
    for folder in (tmp_path / "gone", tmp_path, checkpoint, checkpoint / "config.json"):
        found = assert_same(partial(library.load, folder), partial(wav2edge.load, folder, threads=1))
        assert found[:2] == ("BundleError", 3)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WORDS, tmp_path / "copy"))


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content.replace(b'"b"', b'"B"', 1),
        lambda content: content.replace(b'"format_version": 2', b'"format_version": 1'),
        lambda content: content.replace(b'"content_sha256"', b'"other_sha256"'),
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content + b" ",
    ],
    ids=["another token", "another version", "no seal", "other line breaks", "one space more"],
)
def test_an_altered_manifest_is_refused_with_the_same_words(library, copy, alter):
    path = copy / "manifest.json"
    content = path.read_bytes()
    path.write_bytes(alter(content))
    assert path.read_bytes() != content
    found = assert_same(partial(library.load, copy), partial(wav2edge.load, copy, threads=1))
    assert found[0] == "BundleError"
    assert "damaged or altered" in found[2]
    with pytest.raises(CError, match="damaged or altered"):
        library.verify(copy)


def test_a_bundle_of_the_first_version_answers_and_does_not_verify(library, copy, clip):
    path = copy / "manifest.json"
    document = json.loads(path.read_bytes()) | {"format_version": 1}
    del document["content_sha256"]
    path.write_text(json.dumps(document))
    with library.load(copy) as ours:
        assert_same(partial(ours.run, clip), partial(wav2edge.load(copy, threads=1), clip, rate_hz=16_000))
    with pytest.raises(CError, match=r"1 of \d+ checks failed: manifest.json"):
        library.verify(copy)


def test_a_graph_with_weights_in_another_file_is_refused_with_the_same_words(library, copy):
    import onnx

    graph = copy / "onnx" / "model_quantized.onnx"
    model = onnx.load(graph)
    weight = min(model.graph.initializer, key=lambda each: len(each.raw_data) or 1 << 30)
    (graph.parent / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    graph.write_bytes(model.SerializeToString())
    document = json.loads((copy / "manifest.json").read_text())
    sha256 = hashlib.sha256(graph.read_bytes()).hexdigest()
    document["files"]["onnx/model_quantized.onnx"] = {"sha256": sha256, "size_bytes": graph.stat().st_size}
    (copy / "manifest.json").write_text(sealed(document))
    found = assert_same(partial(library.load, copy), partial(wav2edge.load, copy, threads=1))
    assert found[0] == "BundleError"
    assert "keeps weights in other files" in found[2]


def test_damaged_graphs_are_refused_with_the_same_words(library, copy):
    graph = copy / "onnx" / "model_quantized.onnx"
    content = graph.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), None):
        if damaged is None:
            graph.unlink()
        else:
            graph.write_bytes(damaged)
        found = assert_same(partial(library.load, copy), partial(wav2edge.load, copy, threads=1))
        assert found[:2] == ("BundleError", 3)


def test_a_graph_that_is_there_and_cannot_be_read_is_not_called_missing(library, copy):
    graph = copy / "onnx" / "model_quantized.onnx"
    graph.unlink()
    graph.symlink_to(graph)
    words = f"{graph}: Too many levels of symbolic links; check its permissions"
    assert outcome(partial(library.load, copy)) == ("BundleError", 3, words)


def test_a_graph_with_another_output_is_refused_with_the_same_words(library, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    for path, value in (("heads/ctc/output", "others"), ("heads/classification/labels", ["0", "1", "2"])):
        changed = json.loads(json.dumps(manifest))
        change(changed, path, value)
        (copy / "manifest.json").write_text(sealed(changed))
        found = assert_same(partial(library.load, copy), partial(wav2edge.load, copy, threads=1))
        assert found[:2] == ("BundleError", 3)


def test_a_variant_that_is_not_there_is_refused_with_the_same_words(library):
    found = assert_same(partial(library.load, WORDS, variant="fp64"), partial(wav2edge.load, WORDS, variant="fp64"))
    assert found[:2] == ("BundleError", 3)


@pytest.mark.parametrize(
    ("described", "made"),
    [
        ({"grammar": {"phrases": []}}, lambda: Grammar([])),
        ({"grammar": {"phrases": ["a", "a"]}}, lambda: Grammar(["a", "a"])),
        ({"grammar": {"phrases": "a b"}}, lambda: Grammar("a b")),
        ({"grammar": {"phrases": ["a"], "least_fit": 1.5}}, lambda: Grammar(["a"], least_fit=1.5)),
        ({"grammar": {"phrases": ["Fu xan!", "quick"]}}, lambda: Grammar(["Fu xan!", "quick"])),
        ({"grammar": {"phrases": ["a", ""]}}, lambda: Grammar(["a", ""])),
        ({"beam": {"width": 0}}, lambda: Beam(width=0, n_best=0)),
        ({"beam": {"width": 20_000}}, lambda: Beam(width=20_000)),
        ({"beam": {"lm_units": "letters"}}, lambda: Beam(lm_units="letters")),
        ({"beam": {"hotwords": {"xyz": 1}}}, lambda: Beam(hotwords={"xyz": 1})),
        ({"beam": {"hotwords": {"fu": 1e9}}}, lambda: Beam(hotwords={"fu": 1e9})),
        ({"beam": {"word_bonus": -1e7}}, lambda: Beam(word_bonus=-1e7)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_decoders_that_cannot_be_made_are_refused_with_the_same_words(library, clip, described, made):
    def theirs() -> object:
        return wav2edge.load(WORDS, threads=1, decoder=made())(clip, rate_hz=16_000)

    found = assert_same(partial(library.load, WORDS, decoder=json.dumps(described)), theirs)
    assert found[:2] == ("UsageError", 2)


KNOWN_OPTIONS = "hotwords, lm, lm_units, lm_weight, width, word_bonus"


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (
            "beam",
            "a decoder is greedy, or JSON as in a manifest (Expecting value: line 1 column 1 (char 0)); got 'beam'",
        ),
        ("", "a decoder is greedy, or JSON as in a manifest (Expecting value: line 1 column 1 (char 0)); got ''"),
        ("[1]", "a decoder is one of beam, grammar; got [...]"),
        ('"beam"', "a decoder is one of beam, grammar; got 'beam'"),
        ("{}", "a decoder is one of beam, grammar; got none"),
        ('{"beam": {"width": 1.5}}', "width is 1.5; give a whole number"),
        ('{"beam": {"hotwords": {"fu": "x"}}}', "the weight of 'fu' is 'x'; give a finite number"),
        ('{"beam": {"widht": 4}}', f"the options of 'beam' are among {KNOWN_OPTIONS}; got 'widht'"),
        ('{"beam": 3}', f"the options of 'beam' are among {KNOWN_OPTIONS}; got 3"),
        ('{"grammar": {}}', "phrases is None; give a list of texts"),
        ('{"grammar": {"phrases": [1]}}', "phrases is [...]; give a list of texts"),
    ],
)
def test_what_is_wrong_with_a_decoder_is_named(library, described, words):
    assert outcome(partial(library.load, WORDS, decoder=described)) == ("UsageError", 2, words)


def test_the_decoder_of_a_bundle_is_used(library, copy, clip):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["decoder"] = {"grammar": {"phrases": ["bei jing", "fu dan"], "least_fit": 0.2}}
    (copy / "manifest.json").write_text(sealed(manifest))
    theirs = wav2edge.load(copy, threads=1)
    with library.load(copy) as ours:
        assert_same(partial(ours.run, clip), partial(theirs, clip, rate_hz=16_000))
    manifest["decoder"] = {"grammar": {"phrases": []}}
    (copy / "manifest.json").write_text(sealed(manifest))
    found = assert_same(partial(library.load, copy), partial(wav2edge.load, copy, threads=1))
    assert found[:2] == ("BundleError", 3)


def test_a_language_model_is_refused(library):
    kind, code, words = outcome(partial(library.load, WORDS, decoder='{"beam": {"lm": "lm.arpa"}}'))
    assert (kind, code) == ("UsageError", 2)
    assert "language model" in words


def test_options_that_cannot_be_are_refused_with_the_same_words(library):
    def reject() -> None:
        wav2edge.load(WORDS, threads=1).reject_below = 1.5

    assert_same(partial(library.load, WORDS, reject_below=1.5), reject)
    assert_same(partial(library.load, WORDS, threads=-1), partial(wav2edge.load, WORDS, threads=-1))
    expected = outcome(partial(Segmentation, longest_s=0.2))
    found = outcome(partial(library.load, WORDS, longest_segment_s=0.2))
    assert found == (*expected[:2], expected[2].replace("longest_s", "longest_segment_s"))


def test_more_threads_than_can_be_started_are_refused(library):
    theirs = partial(wav2edge.load, WORDS, threads=4097)
    found = assert_same(partial(library.load, WORDS, threads=4097), theirs)
    assert found == ("UsageError", 2, "4097 threads; at most 4096 can be had")


def test_onnx_runtime_that_is_not_there_is_an_error_of_the_device(library, tmp_path):
    missing = str(tmp_path / "libonnxruntime.so")
    kind, code, words = outcome(partial(library.load, WORDS, ort_library=missing))
    assert (kind, code) == ("DeviceError", 3)
    assert missing in words
    assert words.endswith("; give the path of its library")


def test_an_onnx_runtime_that_is_too_old_is_named(library, tmp_path):
    source, old = tmp_path / "old.c", tmp_path / "libonnxruntime.so"
    source.write_text(
        """static const void *table(unsigned version) { (void)version; return 0; }
        static const char *version(void) { return "1.20.1"; }
        static const struct { const void *(*table)(unsigned); const char *(*version)(void); } BASE = {table, version};
        const void *OrtGetApiBase(void) { return &BASE; }"""
    )
    run_checked("cc", "-shared", "-fPIC", source, "-o", old)
    words = "ONNX Runtime 1.20.1 is too old; install 1.21 or newer"
    assert outcome(partial(library.load, WORDS, ort_library=str(old))) == ("DeviceError", 3, words)


@pytest.mark.parametrize("folder", [WORDS, WORDS_STREAM], ids=lambda folder: folder.name)
def test_verify_makes_the_checks_that_python_makes(library, folder):
    from wav2edge.bundle.folder import Bundle
    from wav2edge.evaluation.verification import verify

    found = library.verify(folder)
    expected = list(verify(Bundle.open(folder), threads=1))
    assert [(name, passed) for name, passed, _ in found] == [(check.name, check.passed) for check in expected]
    certificates = [detail for name, _, detail in found if name.startswith("certificate")]
    assert certificates == [check.detail for check in expected if check.name.startswith("certificate")]


def test_verify_finds_damage_and_what_is_not_listed(library, copy):
    (copy / "README.md").write_text("another")
    (copy / "onnx" / "extra.onnx").touch()
    with pytest.raises(CError, match=r"2 of 14 checks failed: README\.md, onnx/extra\.onnx"):
        library.verify(copy)


def test_an_engine_refuses_to_run_in_a_forked_child(engine: CEngine, clip):
    import os

    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, str(outcome(partial(engine.run, clip))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert "loaded before a fork; load it again in the child process" in answer.read()
