from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge_train.data.augmentation import AUGMENTATIONS, Augmentation
from wav2edge_train.data.clips import ClipDataset, Example
from wav2edge_train.data.emission import can_be_emitted, token_frames

GEOMETRY = ConvGeometry(kernels=(10, 3, 3, 3, 3, 2, 2), strides=(5, 2, 2, 2, 2, 2, 2))
RATE_HZ = 16_000


def test_the_first_token_of_a_word_belongs_to_its_start_and_the_rest_to_the_time_until_the_next() -> None:
    ab, c, space = (1, 2), (3,), (0,)
    bound = token_frames((*ab, *space, *c), (2, 1), (0.2, 0.6), 49, GEOMETRY)
    assert bound.tolist() == [[8, 12], [8, 32], [8, 32], [28, 32]]  # frames 9 and 29 have those moments in their middle


def test_the_frame_of_a_start_has_it_in_the_middle_of_what_it_sees() -> None:
    for frame in (0, 7, 40):
        start_s = (frame * GEOMETRY.hop + GEOMETRY.receptive_field / 2) / RATE_HZ
        ((first, end),) = token_frames((1,), (1,), (start_s,), 49, GEOMETRY).tolist()
        assert first <= frame < end


def test_tokens_without_room_between_the_starts_are_left_free() -> None:
    too_fast = token_frames((1, 2, 3, 4, 5, 0, 1), (5, 1), (0.2, 0.22), 49, GEOMETRY)
    assert too_fast.tolist() == [[0, 49]] * 7


def test_there_is_room_exactly_where_some_choice_of_frames_keeps_the_order() -> None:
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(300):
        ids = rng.integers(0, 2, 3).tolist()
        firsts = rng.integers(0, 5, 3)
        bound = np.stack([firsts, firsts + rng.integers(1, 5, 3)], axis=1)
        expected = any(
            all(first <= frame < end for frame, (first, end) in zip(frames, bound.tolist(), strict=True))
            and all(later - earlier > (ids[n] == ids[n + 1]) for n, (earlier, later) in enumerate(pairwise(frames)))
            for frames in combinations(range(8), 3)
        )
        verdicts.append(expected)
        assert can_be_emitted(ids, bound) is expected
    assert 0.1 < np.mean(verdicts) < 0.9


@pytest.mark.parametrize("margin_s", [(0.08, 0.08), (-0.03, -0.03)])
@pytest.mark.parametrize("speed", [0.86, 1.17])
def test_a_variation_knows_where_a_moment_went(margin_s: tuple[float, float], speed: float) -> None:
    clip = np.zeros(12_000, np.float32)
    clip[5_000] = 1.0
    varied = Augmentation(margin_s=margin_s, speed=(speed, speed))(clip, np.random.default_rng(0))
    assert varied.moved_s(5_000 / RATE_HZ) == pytest.approx(np.abs(varied.samples).argmax() / RATE_HZ, abs=2e-4)


def test_word_starts_follow_the_variations_of_a_clip() -> None:
    clip = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    example = Example(samples=clip, where="", token_ids=(1, 2), word_lengths=(2,), word_starts_s=(0.5,))
    untold = Example(samples=clip, where="", token_ids=(1, 2), word_lengths=(2,))
    augmentation = AUGMENTATIONS["full"]
    data = ClipDataset([example, untold] * 10, GEOMETRY, augmentation=augmentation, seed=1, follow_word_starts=True)
    firsts = {tuple(data[index]["token_frames"][0]) for index in range(0, 20, 2)}
    assert len(firsts) > 3
    assert all(end - first == 4 and 15 < first < 35 for first, end in firsts)
    frames = GEOMETRY.frames(len(data[1]["samples"]))
    assert data[1]["token_frames"].tolist() == [[0, frames]] * 2
    free = ClipDataset([example], GEOMETRY, augmentation=augmentation)
    assert free[0]["token_frames"] is None
