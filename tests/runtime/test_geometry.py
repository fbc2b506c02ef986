from __future__ import annotations

import pytest

from wav2edge.bundle.geometry import ConvGeometry

WAV2VEC2 = ConvGeometry.of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
SHAPES = {
    "wav2vec2": ([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]),
    "one layer": ([400], [320]),
    "overlapping": ([7, 5, 4], [3, 1, 2]),
    "kernel shorter than stride": ([2, 3], [4, 3]),
}
LENGTHS = (0, 1, 399, 400, 401, 719, 720, 721, 16_000, 16_319, 31_999, 480_000)


@pytest.fixture(scope="module")
def transformers_frames():
    """Frames per clip, as transformers counts them."""
    transformers = pytest.importorskip("transformers")

    def frames(samples: int, kernels, strides) -> int:
        config = transformers.Wav2Vec2Config(
            conv_kernel=kernels, conv_stride=strides, conv_dim=[4] * len(kernels), num_hidden_layers=0
        )
        rule = transformers.models.wav2vec2.modeling_wav2vec2.Wav2Vec2PreTrainedModel._get_feat_extract_output_lengths
        model = type("Model", (), {"config": config, "_get_feat_extract_output_lengths": rule})()
        return int(model._get_feat_extract_output_lengths(samples, add_adapter=False))

    return frames


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("samples", LENGTHS)
def test_frames_are_counted_as_transformers_counts_them(transformers_frames, shape, samples):
    kernels, strides = SHAPES[shape]
    expected = max(0, transformers_frames(samples, kernels, strides))
    assert ConvGeometry.of(kernels, strides).frames(samples) == expected


def test_one_second_is_49_frames_and_a_frame_20_ms():
    assert WAV2VEC2.frames(16_000) == 49
    assert (WAV2VEC2.hop, WAV2VEC2.receptive_field, WAV2VEC2.frame_s) == (320, 400, 0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_receptive_field_is_the_shortest_clip_with_a_frame(shape):
    geometry = ConvGeometry.of(*SHAPES[shape])
    field = geometry.receptive_field
    assert (geometry.frames(field - 1), geometry.frames(field), geometry.frames(field + geometry.hop)) == (0, 1, 2)


@pytest.mark.parametrize(
    ("kernels", "strides", "reason"),
    [
        ((), (), "each layer needs one of both"),
        ((3, 3), (2,), "each layer needs one of both"),
        ((3, 0), (2, 2), "positive"),
        ((3, 3), (2, -1), "positive"),
    ],
)
def test_impossible_layers_are_refused(kernels, strides, reason):
    with pytest.raises(ValueError, match=reason):
        ConvGeometry.of(kernels, strides)
