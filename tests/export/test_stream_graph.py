"""The graph of a stream: it gives chunk by chunk what the original gives for the whole clip in chunks."""

import onnx
import pytest

from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.errors import BundleError, CheckpointError, DeviceError, UsageError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.sessions.stream_session import StreamSession
from wav2edge.inference.streaming.cached import CachedUtterance
from wav2edge_export.rewrite.stream.stream_export import export_stream_graph
from wav2edge_export.rewrite.stream.stream_model import chunk_frames
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.chunked_encoder import Chunking

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

EXACT = 1e-4
CHUNKS = (4, 8, 16)
SECONDS_4 = voiced(64_123)
"""Longer than the ring of every test, so that it goes round, and no whole number of frames."""


def streaming(**changes):
    return {"chunk_frames": [8], "left_frames": [32], "delay_frames": 5, "normalize": True, **changes}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A joint checkpoint whose config says that it streams."""
    folder = tmp_path_factory.mktemp("streaming") / "checkpoint"
    return load_checkpoint(save_checkpoint(folder, "joint", streaming=streaming()))


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    """A function from operators, look-ahead and delay to a graph, made once."""
    made = {}

    def export(operators="fused", look_ahead=0, delay=5):
        key = operators, look_ahead, delay
        if key not in made:
            path = tmp_path_factory.mktemp("graphs") / "stream.onnx"
            chunkings = tuple(Chunking(frames=n, left=24, look_ahead=look_ahead, delay=delay) for n in CHUNKS)
            made[key] = path, export_stream_graph(checkpoint, path, chunkings=chunkings, operators=operators)
        return made[key]

    return export


def session_of(checkpoint, exported, frames, **placement):
    path, streams = exported
    heads, geometry = checkpoint.heads, checkpoint.geometry
    return StreamSession(path, streams, chunk_frames=frames, heads=heads, geometry=geometry, **placement)


def streamed(session, sound, block, memory=None):
    utterance = CachedUtterance(session, memory or session.begin(), start=0)
    for at in range(0, len(sound), block):
        for _ in utterance.feed(sound[at : at + block]):
            pass
    utterance.finish(len(sound))
    return utterance.outputs


def difference(found, expected):
    assert {name: values.shape for name, values in found.items()} == {
        name: values.shape for name, values in expected.items()
    }
    return max(float(abs(found[name] - expected[name]).max()) for name in expected)


@pytest.mark.parametrize("operators", ["fused", "standard"])
@pytest.mark.parametrize("look_ahead", [0, 8])
@pytest.mark.parametrize("frames", CHUNKS)
def test_chunks_give_what_the_original_gives_for_the_clip_in_chunks(
    checkpoint, exported, operators, look_ahead, frames
):
    session = session_of(checkpoint, exported(operators, look_ahead), frames, threads=1)
    original = Original(checkpoint, Chunking(frames=frames, left=24, look_ahead=look_ahead, delay=5))
    assert difference(streamed(session, SECONDS_4, 1_000), original.outputs(SECONDS_4)) < EXACT


@pytest.mark.parametrize("block", [1, 319, 2_640, 64_123])
def test_whatever_the_blocks_the_outputs_are_the_same(checkpoint, exported, block):
    session = session_of(checkpoint, exported(), 8, threads=1)
    assert difference(streamed(session, SECONDS_4, block), streamed(session, SECONDS_4, 4_000)) == 0.0


@pytest.mark.parametrize("samples", [1, 400, 719, 720, 2_640, 2_960, 5_199])
def test_short_clips_end_exactly_where_they_end(checkpoint, exported, samples):
    session = session_of(checkpoint, exported(), 8, threads=1)
    original = Original(checkpoint, Chunking(frames=8, left=24, delay=5))
    sound = voiced(6_000)[:samples]
    assert difference(streamed(session, sound, 333), original.outputs(sound)) < EXACT


def test_an_answer_without_delay_is_the_same_for_a_model_trained_without(checkpoint, exported):
    session = session_of(checkpoint, exported(delay=0), 8, threads=1)
    original = Original(checkpoint, Chunking(frames=8, left=24))
    assert difference(streamed(session, SECONDS_4, 1_000), original.outputs(SECONDS_4)) < EXACT


def test_the_look_ahead_is_answered_as_if_the_sound_ended_there_until_the_next_chunk(checkpoint, exported):
    session = session_of(checkpoint, exported(look_ahead=8, delay=0), 8, threads=1)
    original = Original(checkpoint, Chunking(frames=8, left=24, look_ahead=8))
    utterance = CachedUtterance(session, session.begin(), start=0)
    known = []
    for _ in utterance.feed(SECONDS_4[: 3 * 8 * 320 + 400]):  # two chunks and the look-ahead of the second
        known.append(utterance.outputs["logits"])
        assert utterance.heard == 320 * len(known[-1])
    assert [len(logits) for logits in known] == [16, 24]
    for logits in known:
        heard = original.outputs(SECONDS_4[: 320 * (len(logits) - 1) + 400])["logits"]
        assert abs(logits - heard).max() < EXACT
    assert abs(known[1][8:16] - known[0][8:]).max() > EXACT  # the second chunk knows more


def test_memory_that_was_used_before_is_as_good_as_new(checkpoint, exported):
    session = session_of(checkpoint, exported(), 8, threads=1)
    memory = session.begin()
    streamed(session, voiced(40_000, seed=3), 1_000, memory)
    assert difference(streamed(session, SECONDS_4, 1_000, memory), streamed(session, SECONDS_4, 1_000)) == 0.0


def test_two_streams_on_one_session_do_not_disturb_each_other(checkpoint, exported):
    session = session_of(checkpoint, exported(), 8, threads=1)
    sounds = [SECONDS_4, voiced(64_123, seed=3)]
    utterances = [CachedUtterance(session, session.begin(), start=0) for _ in sounds]
    for at in range(0, len(SECONDS_4), 1_500):
        for utterance, sound in zip(utterances, sounds, strict=True):
            for _ in utterance.feed(sound[at : at + 1_500]):
                pass
    for utterance, sound in zip(utterances, sounds, strict=True):
        utterance.finish(len(sound))
        assert difference(utterance.outputs, streamed(session, sound, 1_500)) == 0.0


def test_a_chunk_allocates_none_of_its_memory_anew(checkpoint, exported):
    session = session_of(checkpoint, exported(), 8, threads=1)
    memory = session.begin()
    before = {name: values.ctypes.data for name, values in memory.states.items()}
    streamed(session, SECONDS_4, 1_000, memory)
    assert {name: values.ctypes.data for name, values in memory.states.items()} == before
    assert memory.states["position"][0] > 0  # written where it was read


def test_what_was_cut_off_is_forgotten_and_the_rest_stays(checkpoint, exported):
    session = session_of(checkpoint, exported(), 8, threads=1)
    whole = streamed(session, SECONDS_4, 1_000)["logits"]
    utterance = CachedUtterance(session, session.begin(), start=0)
    for at in range(0, len(SECONDS_4), 1_000):
        for _ in utterance.feed(SECONDS_4[at : at + 1_000]):
            if at == 30_000:
                utterance.cut(16_000)
    utterance.finish(len(SECONDS_4))
    assert utterance.start == 16_000
    assert abs(utterance.outputs["logits"] - whole[50:]).max() == 0.0


def test_a_post_norm_encoder_and_a_single_head_stream_too(tmp_path):
    changes = {"do_stable_layer_norm": False, "joint_heads": ["ctc"], "streaming": streaming(normalize=True)}
    checkpoint = load_checkpoint(save_checkpoint(tmp_path / "checkpoint", "joint", **changes))
    chunking = Chunking(frames=8, left=24, delay=5)
    path = tmp_path / "stream.onnx"
    graph = path, export_stream_graph(checkpoint, path, chunkings=(chunking,), operators="fused")
    session = session_of(checkpoint, graph, 8, threads=1)
    original = Original(checkpoint, chunking).outputs(SECONDS_4)
    assert list(original) == ["logits"]
    assert difference(streamed(session, SECONDS_4, 1_000), original) < EXACT


def test_the_length_of_a_chunk_is_the_only_axis_that_varies(exported):
    path, streams = exported()
    graph = onnx.load(str(path), load_external_data=False).graph
    symbolic = {
        (value.name, axis)
        for value in (*graph.input, *graph.output)
        for axis, size in enumerate(value.type.tensor_type.shape.dim)
        if size.dim_param
    }
    assert symbolic == {("input_values", 1), ("logits", 1)}
    assert CachedStreams.from_dict(streams.to_dict()) == streams


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("joint", {}, "was not trained for streams; train it with --streaming"),
        ("ctc", {"streaming": streaming()}, "was not trained for streams"),
        ("group-norm ctc", {}, "the group norm of its encoder sees the whole clip"),
    ],
)
def test_what_cannot_stream_is_refused_with_the_reason(tmp_path, kind, changes, reason):
    checkpoint = load_checkpoint(save_checkpoint(tmp_path / "checkpoint", kind, **changes))
    with pytest.raises(CheckpointError, match=reason):
        export_stream_graph(
            checkpoint, tmp_path / "s.onnx", chunkings=(Chunking(frames=8, left=24),), operators="fused"
        )


def test_a_graph_that_is_not_what_the_manifest_says_is_not_loaded(checkpoint, exported):
    path, streams = exported()
    other = CachedStreams.from_dict({**streams.to_dict(), "states": {"position": {"shape": [1], "type": "int64"}}})
    with pytest.raises(BundleError, match="is not the graph of a stream that the manifest describes"):
        session_of(checkpoint, (path, other), 8)


def test_cached_streams_run_on_the_cpu_alone(checkpoint, exported):
    with pytest.raises(DeviceError, match="cached streams run on the CPU, not on cuda"):
        session_of(checkpoint, exported(), 8, device="cuda")


def test_a_chunk_is_a_whole_number_of_frames(checkpoint):
    assert chunk_frames(160, checkpoint.geometry) == 8
    with pytest.raises(UsageError, match="a chunk of 150 ms; give multiples of 20 ms"):
        chunk_frames(150, checkpoint.geometry)
