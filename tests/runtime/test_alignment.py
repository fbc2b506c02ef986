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


def test_200_random_paths_are_those_of_torchaudio(block_frames: int) -> None:
    torch = pytest.importorskip("torch")
    try:
        from torchaudio.functional import forced_align
    except (ImportError, OSError) as error:  # a wheel for CUDA finds no CUDA
        pytest.skip(f"torchaudio cannot be imported: {error}")
    rng = np.random.default_rng(block_frames)
    for _ in range(200):
        frames, labels = int(rng.integers(1, 60)), int(rng.integers(1, 8))
        ids = _fitting(rng, frames, labels)
        logs = _random_logs(rng, frames, labels, peak=3.0)
        path, _ = forced_align(torch.from_numpy(logs)[None], torch.tensor([ids]), blank=BLANK)
        assert _labels(viterbi(logs, ids, BLANK), ids) == tuple(path[0].tolist())


def test_the_best_path_has_the_score_that_the_ctc_loss_of_pytorch_tends_to(block_frames: int) -> None:
    """The sum over all paths, each to the power n, is the best one to the power n as n grows."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(block_frames)
    for _ in range(50):
        frames, labels = int(rng.integers(1, 60)), int(rng.integers(1, 8))
        ids, power = _fitting(rng, frames, labels), 1e7
        logs = _random_logs(rng, frames, labels, peak=3.0)
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(power * logs)[:, None], torch.tensor([ids]), (frames,), (len(ids),), reduction="sum"
        )
        path = _labels(viterbi(logs, ids, BLANK), ids)
        assert logs[range(frames), path].sum() == pytest.approx(-float(loss) / power, abs=1e-4)


def test_a_planted_path_of_minutes_is_found_again(block_frames: int) -> None:
    frames, rng = 200 if block_frames < 100 else 15_000, np.random.default_rng(5)
    ids = tuple(rng.integers(1, 30, frames // 15).tolist())
    logs = _random_logs(rng, frames, 29)
    places = 15 * np.arange(len(ids)) + rng.integers(2, 12, len(ids))
    logs[:, BLANK] += 20
    logs[places, ids] += 40
    states = viterbi(logs, ids, BLANK)
    assert np.flatnonzero(states % 2).tolist() == places.tolist()
    assert states[places].tolist() == list(range(1, 2 * len(ids), 2))


def test_no_token_at_all_is_blank_throughout() -> None:
    assert viterbi(_random_logs(np.random.default_rng(0), 4, 2), (), BLANK).tolist() == [0, 0, 0, 0]
    assert viterbi(np.empty((0, 3)), (), BLANK).tolist() == []


def test_fewer_frames_than_the_tokens_need_are_refused_with_both_numbers() -> None:
    logs = _random_logs(np.random.default_rng(0), 3, 2)
    assert viterbi(logs, (1, 2, 1), BLANK).tolist() == [1, 3, 5]
    with pytest.raises(AlignmentError, match="has 3 tokens and needs 4 frames, and the audio has 3"):
        viterbi(logs, (1, 1, 2), BLANK)


def test_a_text_that_only_impossible_paths_spell_is_refused() -> None:
    logs = _random_logs(np.random.default_rng(0), 5, 2)
    logs[:, 2] = -np.inf
    with pytest.raises(AlignmentError, match="probability zero"):
        viterbi(logs, (1, 2), BLANK)
    logs[3, 2] = -1.0
    assert viterbi(logs, (1, 2), BLANK)[3] == 3


def _fitting(rng: np.random.Generator, frames: int, labels: int) -> tuple[int, ...]:
    """Random tokens, at least one, that fit into so many frames."""
    ids = rng.integers(1, labels + 1, int(rng.integers(1, frames + 1))).tolist()
    while alignment.frames_needed(ids) > frames:
        ids.pop()
    return tuple(ids)
