"""An encoder that hears clips chunk by chunk: what it may know, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Wav2Vec2Config

from tests.train.conftest import small_config
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import UsageError
from wav2edge_train.model.chunked_encoder import Chunking, _blocks, draw_chunking, streaming_fields
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions

HOP = 320
SAMPLES = 24_000


def streaming_model(*, stable: bool = True, normalize: bool = True) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    config = small_config(joint_heads=["ctc", "classification"])
    config.do_stable_layer_norm = stable
    config.streaming = streaming_fields(config, TrainingOptions(), normalize=normalize)
    return Wav2Vec2ForJointCTC(config).eval()


def normalized(clips: torch.Tensor) -> torch.Tensor:
    return (clips - clips.mean(1, keepdim=True)) / (clips.var(1, keepdim=True, unbiased=False) + 1e-7).sqrt()


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return normalized(torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(1)))


def logits(model: Wav2Vec2ForJointCTC, clips: torch.Tensor, chunking: Chunking | None) -> torch.Tensor:
    with torch.no_grad():
        found = model(clips, chunking=chunking).logits
    assert found is not None
    return found


def changed_frames(model: Wav2Vec2ForJointCTC, clips: torch.Tensor, chunking: Chunking, at: int) -> list[int]:
    """Frames whose logits change when the samples from a position on do."""
    other = clips.clone()
    other[:, at:] = torch.randn(clips[:, at:].shape, generator=torch.Generator().manual_seed(2))
    difference = (logits(model, other, chunking) - logits(model, clips, chunking)).abs().amax(dim=(0, 2))
    return (difference > 0).nonzero().flatten().tolist()


@pytest.mark.parametrize("stable", [True, False])
def test_a_chunk_as_long_as_the_clip_is_the_whole_clip(clips: torch.Tensor, stable: bool) -> None:
    model = streaming_model(stable=stable, normalize=False)
    whole = logits(model, clips, None)
    assert torch.allclose(logits(model, clips, Chunking(frames=1_000, left=0)), whole, atol=2e-5)


def test_a_clip_gives_in_a_padded_batch_what_it_gives_alone(clips: torch.Tensor) -> None:
    model, chunking = streaming_model(), Chunking(frames=8, left=16)
    length = 15_000
    short = normalized(clips[1:, :length])
    batch = clips.clone()
    batch[1] = 0
    batch[1, :length] = short
    mask = torch.ones_like(batch, dtype=torch.long)
    mask[1, length:] = 0
    with torch.no_grad():
        together, alone = model(batch, mask, chunking=chunking), model(short, chunking=chunking)
    frames = alone.logits.shape[1]
    assert torch.allclose(together.logits[1, :frames], alone.logits[0], atol=2e-5)
    assert torch.allclose(together.class_logits[1], alone.class_logits[0], atol=2e-5)


def test_nothing_before_a_chunk_depends_on_what_comes_in_it(clips: torch.Tensor) -> None:
    first = 5 * 8  # the chunk that the sample belongs to
    changed = changed_frames(streaming_model(), clips, Chunking(frames=8, left=16), at=first * HOP + 80)
    assert min(changed) == first


def test_a_look_ahead_lets_the_chunk_before_know(clips: torch.Tensor) -> None:
    chunking = Chunking(frames=8, left=16, look_ahead=8)
    assert min(changed_frames(streaming_model(), clips, chunking, at=5 * 8 * HOP + 80)) == 4 * 8


def test_more_left_context_changes_only_what_is_far_enough_from_the_beginning(clips: torch.Tensor) -> None:
    model = streaming_model()
    short, long = (logits(model, clips, Chunking(frames=8, left=left)) for left in (16, 32))
    changed = ((short - long).abs().amax(dim=(0, 2)) > 1e-6).nonzero().flatten().tolist()
    assert min(changed) == 24  # the first chunk with more than 16 frames before it


def test_a_louder_end_does_not_change_how_the_beginning_is_normalised(clips: torch.Tensor) -> None:
    model, chunking = streaming_model(), Chunking(frames=8, left=16)
    louder = clips.clone()
    louder[:, SAMPLES // 2 :] *= 10
    known = (SAMPLES // 2 - 400) // HOP // 8 * 8
    assert torch.equal(logits(model, louder, chunking)[:, :known], logits(model, clips, chunking)[:, :known])


def test_silence_at_the_beginning_stays_quieter_than_the_speech_after_it(clips: torch.Tensor) -> None:
    quiet = clips * 0.05
    quiet[:, :8_000] *= 0.01
    geometry = ConvGeometry(kernels=(400,), strides=(320,))
    blocks = _blocks(quiet, torch.full((2,), SAMPLES), 9, Chunking(frames=8, left=0), geometry, normalize=True)
    levels = blocks.square().mean(dim=(0, 2)).sqrt()
    assert levels[0] < 0.1
    assert 0.5 < levels[5] < 2.0


def test_answers_are_read_so_many_frames_later(clips: torch.Tensor) -> None:
    model = streaming_model(normalize=False)
    late = logits(model, clips, Chunking(frames=8, left=16, delay=4))
    longer = torch.nn.functional.pad(clips, (0, 4 * HOP))
    assert torch.equal(late, logits(model, longer, Chunking(frames=8, left=16))[:, 4:])


def test_training_hears_some_batches_whole_and_others_in_chunks() -> None:
    config = small_config(joint_heads=["ctc", "classification"])
    config.streaming = streaming_fields(config, TrainingOptions(), normalize=True)
    torch.manual_seed(0)
    drawn = [draw_chunking(config) for _ in range(200)]
    assert 70 < drawn.count(None) < 130
    assert {each.frames for each in drawn if each is not None} == set(config.streaming["chunk_frames"])


def test_chunks_and_contexts_are_drawn_from_those_that_were_asked_for() -> None:
    config = small_config(joint_heads=["ctc", "classification"])
    asked = TrainingOptions(
        stream_chunks_ms=(160,), stream_look_ahead_ms=(120,), stream_left_context_s=(1.28,), stream_delay_ms=200
    )
    config.streaming = streaming_fields(config, asked, normalize=True)
    drawn = {draw_chunking(config) for _ in range(20)} - {None}
    assert drawn == {Chunking(frames=8, left=64, look_ahead=6, delay=10)}


@pytest.mark.parametrize(
    "wrong",
    [{"stream_chunks_ms": (0, 160)}, {"stream_look_ahead_ms": (50,)}, {"stream_left_context_s": (0.0,)}],
)
def test_what_is_no_whole_number_of_frames_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give multiples of 20 ms, one frame"):
        streaming_fields(small_config(), TrainingOptions(**wrong), normalize=True)


def test_a_model_that_is_not_to_stream_hears_every_batch_whole() -> None:
    assert draw_chunking(small_config(joint_heads=["ctc", "classification"])) is None


def test_group_norm_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="group norm of this encoder sees the whole clip"):
        streaming_fields(Wav2Vec2Config(feat_extract_norm="group"), TrainingOptions(), normalize=True)


@pytest.mark.parametrize("wrong", [{"frames": 0, "left": 8}, {"frames": 8, "left": -1}])
def test_a_chunk_without_frames_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 frame or more"):
        Chunking(**wrong)
