from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.runtime import tiny_bundle
from wav2edge.audio.clip import load_clip


def tone(rate_hz: int, *, duration_s: float = 1.0) -> np.ndarray:
    """The same sound at any rate: partials below 3 kHz, faded in and out."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * f * time_s + f) for f in (220, 450, 700, 1250, 1900, 2900))
    return (0.1 * np.hanning(len(time_s)) * sound).astype(np.float32)


def relative_difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


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
        ("clip.wav", {"format": "WAVEX"}),
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


def test_an_open_file_that_was_read_already_is_read_again(clip):
    with clip.open("rb") as file:
        np.testing.assert_array_equal(load_clip(file).samples, load_clip(file).samples)


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


@pytest.mark.parametrize(("peak_dbfs", "warned"), [(-49.0, False), (-51.0, True), (-72.0, True)])
def test_a_very_quiet_clip_is_recognised_with_a_warning(second, peak_dbfs, warned):
    quiet = second * np.float32(10 ** (peak_dbfs / 20) / np.abs(second).max())
    warning = f"very quiet, with a peak of {peak_dbfs:.0f} dBFS: words may be wrong or missing; make it louder"
    assert load_clip(quiet, rate_hz=16_000).warnings == (warning,) * warned


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
