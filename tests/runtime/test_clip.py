from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.runtime import tiny_bundle
from wav2edge import AudioError, UsageError
from wav2edge.audio.clip import load_clip


def tone(rate_hz: int, *, duration_s: float = 1.0) -> np.ndarray:
    """The same sound at any rate: partials below 3 kHz, faded in and out."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * f * time_s + f) for f in (220, 450, 700, 1250, 1900, 2900))
    return (0.1 * np.hanning(len(time_s)) * sound).astype(np.float32)


def relative_difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


def refusal(source: object, **options: object) -> str:
    """The one line a clip is refused with."""
    with pytest.raises(AudioError) as caught:
        load_clip(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is read


def test_a_file_at_16_khz_is_read_sample_by_sample(save, second):
    path = save("clip.wav", second, subtype="FLOAT")
    clip = load_clip(path)
    assert clip.samples.dtype == np.float32
    np.testing.assert_array_equal(clip.samples, second)
    assert (clip.duration_s, clip.warnings) == (1.0, ())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.wav", {"subtype": "PCM_16"}),
        ("clip.wav", {"subtype": "PCM_24"}),
        ("clip.wav", {"subtype": "PCM_32"}),
        ("clip.wav", {"subtype": "DOUBLE"}),
        ("clip.flac", {}),
        ("clip.aiff", {}),
        ("clip.caf", {}),
        ("clip.w64", {}),
        ("clip.rf64", {"format": "RF64"}),
        ("no suffix", {"format": "WAV"}),
        ("wrong.mp3", {"format": "FLAC"}),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("subtype", ""),
)
def test_lossless_files_are_read_alike_whatever_they_are_called(save, second, name, options):
    clip = load_clip(save(name, second, **options))
    np.testing.assert_allclose(clip.samples, second, atol=1.1 / 32768)
    assert clip.warnings == ()


@pytest.mark.parametrize("name", ["clip.mp3", "clip.ogg", "clip.opus"])
def test_lossy_files_keep_their_length(save, name):
    options = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
    assert load_clip(save(name, tone(16_000), **options)).duration_s == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("rate_hz", "bound"), [(8_000, 0.05), (11_025, 0.05), (44_100, 0.01), (48_000, 0.01)])
def test_other_rates_give_nearly_the_outputs_of_16_khz(save, engine, rate_hz, bound):
    expected = engine.outputs(tone(16_000))
    clip = load_clip(save("clip.wav", tone(rate_hz), rate_hz=rate_hz, subtype="FLOAT"))
    assert len(clip.samples) == 16_000
    assert relative_difference(engine.outputs(clip.samples), expected) < bound


def test_24_bit_stereo_at_48_khz_give_nearly_the_outputs_of_16_khz_mono(save, engine):
    both = np.stack([tone(48_000), tone(48_000)], axis=1)
    clip = load_clip(save("clip.wav", both, rate_hz=48_000, subtype="PCM_24"))
    assert relative_difference(engine.outputs(clip.samples), engine.outputs(tone(16_000))) < 0.01


def test_channels_are_averaged(second):
    clip = load_clip(np.stack([second, np.zeros_like(second)], axis=1), rate_hz=16_000)
    np.testing.assert_allclose(clip.samples, second / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        (np.int8, 128, 0),
        (np.int16, 32768, 0),
        (np.int32, 2**31, 0),
        (np.int64, 2**63, 0),
        (np.uint8, 128, 128),
        (np.uint16, 32768, 32768),
        (np.float16, 1, 0),
        (np.float32, 1, 0),
        (np.float64, 1, 0),
        (">i2", 32768, 0),
        (">f4", 1, 0),
    ],
)
def test_samples_are_scaled_by_their_type(dtype, scale, offset):
    whole = np.float64([0, 0.25, -0.5, 0.75, -1.0])
    clip = load_clip((whole * scale + offset).astype(dtype), rate_hz=16_000)
    np.testing.assert_array_equal(clip.samples, whole.astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "steps", "middle"), [(np.int16, 2**15, 0), (np.int32, 2**31, 0), (np.uint8, 128, 128)]
)
def test_integers_give_the_result_of_the_floats_they_stand_for(engine, dtype, steps, middle):
    integers = np.round(tone(16_000).astype(np.float64) * steps) + middle
    floats = (integers - middle) / steps
    found = engine(integers.astype(dtype), rate_hz=16_000)
    assert found == engine(floats, rate_hz=16_000)


def test_the_callers_array_is_left_as_it_was(second):
    mine = np.repeat(second, 2)
    before = mine.copy()
    load_clip(mine, rate_hz=32_000)
    np.testing.assert_array_equal(mine, before)


def test_an_open_file_is_read_and_left_open(save, second):
    with save("clip.wav", second, subtype="FLOAT").open("rb") as file:
        np.testing.assert_array_equal(load_clip(file).samples, second)
        assert not file.closed


def test_bytes_in_memory_are_read(save, second):
    content = save("clip.wav", second, subtype="FLOAT").read_bytes()
    np.testing.assert_array_equal(load_clip(io.BytesIO(content)).samples, second)


def test_a_clip_longer_than_one_block_is_read_whole(save, monkeypatch, second):
    monkeypatch.setattr("wav2edge.audio.clip.BLOCK_FRAMES", 4_000)
    np.testing.assert_array_equal(load_clip(save("clip.wav", second, subtype="FLOAT")).samples, second)


def test_standard_input_is_read_to_its_end(save, monkeypatch, second):
    content = save("clip.wav", second, subtype="FLOAT").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    np.testing.assert_array_equal(load_clip("-").samples, second)


# What is noticed


def test_a_clipped_clip_is_recognised_with_a_warning(save, second):
    assert load_clip(save("loud.wav", np.clip(30 * second, -1, 1))).warnings == (
        "clipped: more than 0.1 % of the samples are at full scale",
    )


def test_integers_passed_as_floats_are_recognised_with_a_warning(second):
    (warning,) = load_clip((second * 32768).astype(np.float32), rate_hz=16_000).warnings
    assert "were integers passed as floats?" in warning


@pytest.mark.parametrize(("gains", "used"), [((1, -1), 0), ((0.9, -1), 1), ((-1, 1), 0)])
def test_of_channels_that_cancel_each_other_the_louder_is_used_with_a_warning(second, gains, used):
    clip = load_clip(np.stack([gain * second for gain in gains], axis=1), rate_hz=16_000)
    np.testing.assert_allclose(clip.samples, gains[used] * second, rtol=1e-6)
    assert clip.warnings == (f"the channels cancel each other out (is one inverted?): only channel {used} is used",)


def test_channels_that_cancel_each_other_but_for_noise_are_noticed_too(second):
    inverted = -second + tiny_bundle.noise(len(second), seed=5, amplitude=1e-3)
    (warning,) = load_clip(np.stack([second, inverted], axis=1), rate_hz=16_000).warnings
    assert "cancel each other out" in warning


@pytest.mark.parametrize("channels", [2, 8, 64])
def test_unrelated_or_empty_channels_are_averaged_without_a_warning(channels):
    unrelated = np.stack([tiny_bundle.noise(16_000, seed=seed) for seed in range(channels)], axis=1)
    one_only = unrelated * (np.arange(channels) == 1)
    for samples in (unrelated, one_only):
        clip = load_clip(samples, rate_hz=16_000)
        np.testing.assert_allclose(clip.samples, samples.mean(axis=1), atol=1e-6)
        assert clip.warnings == ()


@pytest.mark.parametrize("full", [0.9, 1.0])
def test_a_loud_clip_that_only_touches_full_scale_is_not_warned_about(second, full):
    assert load_clip(full * second / np.abs(second).max(), rate_hz=16_000).warnings == ()


# What is refused


def test_a_clip_of_one_sample_is_refused_as_silent(save, second):
    path = save("one.wav", second[:1])
    assert refusal(path).startswith(f"{path}: silent, all 1 samples")


@pytest.mark.parametrize("level", [0.0, 0.25], ids=["zeros", "a constant"])
def test_digital_silence_is_refused(save, level):
    path = save("silent.wav", np.full(16_000, level))
    assert refusal(path) == f"{path}: silent, all 16000 samples are {level:g}; check the microphone or the file"


def test_a_sound_below_the_smallest_float32_is_refused_as_silent(second):
    assert "silent" in refusal(second.astype(np.float64) * 1e-300, rate_hz=16_000)


def test_a_channel_that_cancels_silence_is_still_silence():
    assert "silent" in refusal(np.zeros((16_000, 2)), rate_hz=16_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused_with_their_place(save, second, value):
    broken = np.stack([second, second], axis=1)
    broken[[77, 500], 1] = value
    path = save("broken.wav", broken, subtype="FLOAT")
    assert refusal(path) == (
        f"{path}: 2 samples are not finite, the first at index 77, channel 1 ({value}); export the clip again"
    )


@pytest.mark.parametrize("gain", [1e15, 1e39, 1e300])
def test_samples_beyond_any_sound_are_refused_before_they_overflow(second, gain):
    assert "scale the samples to [-1, 1]" in refusal(second.astype(np.float64) * gain, rate_hz=16_000)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert refusal(path) == f"{path}: empty file; record or copy it again"


def test_a_header_without_samples_is_refused(save):
    path = save("hollow.wav", np.zeros(0))
    assert refusal(path) == f"{path}: holds no samples; record or export the clip again"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello, this is not audio\n" * 30, "text, not audio"),
        ("<html>Störung: 404</html>".encode() * 40, "text, not audio"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"\0\0\0\x20ftypM4A " + bytes(64), "ffmpeg -i IN"),
        (b"\x1aE\xdf\xa3" + bytes(64), "ffmpeg -i IN"),
        (bytes(range(256)) * 4, "cannot be decoded"),
        (b"RIFF\0\0\0\0WAVE", "cannot be decoded"),
    ],
    ids=["text", "html", "git lfs", "m4a", "webm", "noise", "a bare header"],
)
def test_what_is_not_audio_is_refused_for_what_it_looks_like(tmp_path, content, reason):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: ")
    assert reason in refusal(path)


@pytest.mark.parametrize("name", ["clip.wav", "clip.aiff", "clip.rf64", "clip.mp3", "clip.flac", "clip.caf"])
def test_a_truncated_file_is_refused_rather_than_recognised_in_part(save, second, name):
    path = save(name, np.tile(second, 3), **({"format": "RF64"} if name.endswith("rf64") else {}))
    content = path.read_bytes()
    assert load_clip(path).duration_s == pytest.approx(3.0, abs=0.01)
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path).startswith(f"{path}: ")
    assert "truncated" in refusal(path) or "cut off" in refusal(path)


def flac_with_length(path, frames: int) -> None:
    """Write another number of frames into the header: the last 36 bits of 8 bytes (RFC 9639, section 8.2)."""
    content = bytearray(path.read_bytes())
    field = int.from_bytes(content[18:26], "big") >> 36 << 36 | frames
    content[18:26] = field.to_bytes(8, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("frames", [0, 2**36 - 1], ids=["of unknown length", "that promises a month"])
def test_a_flac_file_with_an_untrue_length_is_refused(save, second, frames):
    path = save("clip.flac", second)
    flac_with_length(path, frames)
    assert refusal(path).startswith(f"{path}: ")


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "gone.wav") == f"{tmp_path / 'gone.wav'}: no such file; check the path"


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path}: a folder")


def test_a_name_too_long_for_the_system_is_refused(tmp_path):
    assert "check the path" in refusal(tmp_path / ("x" * 300))


def test_a_broken_link_is_refused_with_what_it_points_to(tmp_path):
    link = tmp_path / "clip.wav"
    link.symlink_to("elsewhere.wav")
    assert refusal(link) == f"{link}: a broken link, elsewhere.wav is not there; mend or delete it"


@pytest.mark.parametrize("rate_hz", ["16000", 16_000j, [16_000]])
def test_a_rate_that_is_not_a_number_is_wrong_usage(second, rate_hz):
    with pytest.raises(UsageError, match=r"array: rate_hz=.* is not a number of Hz; pass one, such as rate_hz=16_000"):
        load_clip(second, rate_hz=rate_hz)


@pytest.mark.parametrize("rate_hz", [16_000.0, np.int64(16_000), np.float32(16_000)])
def test_a_rate_may_be_any_kind_of_number(second, rate_hz):
    np.testing.assert_array_equal(load_clip(second, rate_hz=rate_hz).samples, second)


def test_a_rate_for_a_file_is_wrong_usage(save, second):
    path = save("clip.wav", second)
    with path.open("rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(UsageError, match=r"clip\.wav: a file has its own sample rate; leave rate_hz out"):
                load_clip(source, rate_hz=8_000)


def test_an_array_without_a_rate_is_refused(second):
    assert "pass rate_hz=" in refusal(second)


@pytest.mark.parametrize("dtype", [np.complex64, bool, object, "U4"])
def test_arrays_that_are_not_numbers_of_sound_are_refused(dtype):
    samples = np.ones(1_000).astype(dtype)
    assert refusal(samples, rate_hz=16_000) == f"array: {samples.dtype} samples; pass floats in [-1, 1] or integers"


@pytest.mark.parametrize("shape", [(), (0,), (0, 2), (1_000, 0), (10, 10, 10), (2, 16_000)])
def test_arrays_of_other_shapes_are_refused(shape):
    assert refusal(np.ones(shape), rate_hz=16_000).startswith("array: ")


@pytest.mark.parametrize("rate_hz", [0, 1, 3_999, 768_001, 2**31 - 1])
def test_implausible_rates_are_refused(second, rate_hz):
    assert refusal(second, rate_hz=rate_hz).startswith(f"array: {rate_hz} Hz is outside 4000 to 768000 Hz")


@pytest.mark.parametrize("source", [[0.1, 0.2], b"RIFF", None, 3])
def test_what_is_not_a_source_is_refused(source):
    assert "pass one" in refusal(source, rate_hz=16_000)


def test_closed_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-") == "standard input: closed; pipe a clip into it"


def test_a_pipe_that_cannot_seek_is_read(save, second):
    content = save("clip.wav", second, subtype="FLOAT").read_bytes()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    np.testing.assert_array_equal(load_clip(Pipe(content)).samples, second)


def test_samples_are_those_that_soundfile_reads(save, second):
    path = save("clip.flac", np.stack([second, second[::-1]], axis=1), subtype="PCM_24")
    expected, _ = soundfile.read(path)
    np.testing.assert_allclose(load_clip(path).samples, expected.mean(axis=1), atol=1e-7)
