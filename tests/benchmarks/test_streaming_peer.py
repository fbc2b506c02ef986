"""The peer of streams: a graph that sherpa-onnx opens, whose caches go from chunk to chunk."""

from importlib.util import find_spec

import numpy as np
import onnxruntime
import pytest

from benchmarks.records.streams import streaming_peer
from benchmarks.records.streams.streaming_peer import LEFT_FRAMES, PeerSize, build_peer, chunk_times, summary
from wav2edge.errors import MissingDependencyError, UsageError

TINY = PeerSize(blocks=2, width=16, heads=2, inner=32, channels=4)
with_sherpa_onnx = pytest.mark.skipif(
    find_spec("sherpa_onnx") is None, reason="sherpa-onnx is not installed: pip install sherpa-onnx"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny peer."""
    return build_peer(tmp_path_factory.mktemp("peer"), TINY)


def feeds(frames, rng):
    """A chunk of noise at the start of a stream."""
    return {
        "x": rng.standard_normal((1, (frames - 1) * 4 + 7, 80), np.float32),
        "offset": np.array([LEFT_FRAMES]),
        "required_cache_size": np.array([LEFT_FRAMES]),
        "attn_cache": np.zeros((2, 2, LEFT_FRAMES, 16), np.float32),
        "conv_cache": np.zeros((2, 1, 16, 14), np.float32),
        "attn_mask": np.arange(LEFT_FRAMES + frames)[None, None] >= LEFT_FRAMES,
    }


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("frames", [4, 8])
def test_a_graph_takes_what_sherpa_onnx_feeds_and_hands_its_caches_on(files, precision, frames):
    session = onnxruntime.InferenceSession(files.graphs[precision], providers=["CPUExecutionProvider"])
    first = feeds(frames, np.random.default_rng(0))
    assert [each.name for each in session.get_inputs()] == list(first)
    scores, keys, convolved = session.run(None, first)
    assert scores.shape == (1, frames, streaming_peer.VOCABULARY)
    np.testing.assert_allclose(np.exp(scores).sum(axis=-1), 1, rtol=1e-4)
    assert keys.shape == first["attn_cache"].shape
    assert convolved.shape == first["conv_cache"].shape
    assert not keys[:, :, :-frames].any()
    assert keys[:, :, -frames:].any(axis=(1, 3)).all()
    heard = {"attn_mask": np.arange(LEFT_FRAMES + frames)[None, None] >= LEFT_FRAMES - frames}
    for cached in ({**heard, "attn_cache": keys}, {"conv_cache": convolved}):
        assert np.abs(session.run(None, first | cached)[0] - scores).max() > 1e-4


def test_the_sizes_are_those_of_the_models_that_they_stand_for():
    with streaming_peer.torch.device("meta"):
        encoders = {name: streaming_peer.StreamingConformer(size) for name, size in streaming_peer.SIZES.items()}
    counts = {name: sum(each.numel() for each in model.parameters()) for name, model in encoders.items()}
    assert counts == {"large": pytest.approx(315e6, rel=0.01), "small": pytest.approx(1.2e6, rel=0.02)}


def test_without_sherpa_onnx_the_message_says_what_to_install(files, monkeypatch):
    monkeypatch.setattr(streaming_peer, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install sherpa-onnx"):
        chunk_times(files, np.zeros(16_000, np.float32), 320, 1)


def test_the_summary_counts_work_for_each_second_of_sound():
    found = summary([0.016] * 99 + [0.032], 320)
    assert found == {
        "chunks": 100,
        "p50_ms": 16,
        "p95_ms": 16,
        "p99_ms": pytest.approx(16.16),
        "real_time_factor": 0.0505,
    }


@with_sherpa_onnx
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("chunk_ms", [160, 320])
def test_sherpa_onnx_answers_every_chunk_but_the_first(files, precision, chunk_ms):
    samples = np.random.default_rng(0).standard_normal(10 * chunk_ms * 16).astype(np.float32) * 0.1
    seconds = chunk_times(files, samples, chunk_ms, 1, precision=precision)
    assert len(seconds) == 9
    assert min(seconds) > 0


@with_sherpa_onnx
@pytest.mark.parametrize("chunk_ms", [0, 100, 120])
def test_a_chunk_that_the_left_context_is_no_multiple_of_is_refused(files, chunk_ms):
    with pytest.raises(UsageError, match=f"a chunk of {chunk_ms} ms"):
        chunk_times(files, np.zeros(16_000, np.float32), chunk_ms, 1)
