"""Alignment: the best path of a known text through CTC log probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from wav2edge.decoding import alignment
from wav2edge.decoding.alignment import viterbi
from wav2edge.decoding.ctc import collapse
from wav2edge.errors import AlignmentError

BLANK = 0
Logs = npt.NDArray[np.float64]


def _random_logs(rng: np.random.Generator, frames: int, labels: int, peak: float = 1.0) -> Logs:
    logits = rng.normal(scale=peak, size=(frames, labels + 1))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _labels(states: npt.NDArray[np.int32], ids: tuple[int, ...]) -> tuple[int, ...]:
    """The column of each frame of a path."""
    return tuple(ids[state // 2] if state % 2 else BLANK for state in states.tolist())


@pytest.fixture(params=[1024, 1, 2, 3], ids="blocks of {}".format)
def block_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(alignment, "BLOCK_FRAMES", request.param)
    return int(request.param)


@pytest.mark.usefixtures("block_frames")
@pytest.mark.parametrize("frames", range(1, 7))
def test_the_best_path_is_the_best_of_all_paths_that_spell_the_text(frames: int) -> None:
    logs = _random_logs(np.random.default_rng(frames), frames, labels=3)
    best: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
    for path in itertools.product(range(4), repeat=frames):
        spelt = tuple(collapse(np.array(path), BLANK))
        best[spelt] = max(best.get(spelt, (-np.inf, ())), (float(logs[range(frames), path].sum()), path))
    for ids, (_, path) in best.items():
        assert _labels(viterbi(logs, ids, BLANK), ids) == path
