from __future__ import annotations

from itertools import groupby, product

import pytest
import torch
from torch.nn import functional

from wav2edge_train.model.joint_model import allowed_tokens, ctc_loss

BLANK = 3
FRAMES, VOCABULARY = 6, 4


def logits(clips: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(clips, FRAMES, VOCABULARY, generator=generator, requires_grad=True)


def loss_by_brute_force(scores: torch.Tensor, labels: list[int], allowed: torch.Tensor) -> torch.Tensor:
    """Minus the log probability of every path ``[frames]`` that spells the labels with allowed tokens only."""
    log_probabilities = scores.log_softmax(dim=-1)
    paths = []
    for path in product(range(VOCABULARY), repeat=len(scores)):
        spelled = [token for token, _ in groupby(path) if token != BLANK]
        if spelled == labels and all(allowed[frame, token] for frame, token in enumerate(path)):
            paths.append(sum(log_probabilities[frame, token] for frame, token in enumerate(path)))
    return -torch.logsumexp(torch.stack(paths), 0)


@pytest.mark.parametrize(
    ("labels", "frames"),
    [
        ([0, 1], [(0, 2), (3, 6)]),
        ([0, 1, 2], [(1, 3), (0, 6), (4, 6)]),
        ([0, 0], [(0, 1), (4, 5)]),
        ([2, 1, 2], [(0, 6), (0, 6), (0, 6)]),
    ],
)
def test_loss_and_gradient_are_those_of_all_paths_that_keep_to_the_frames(
    labels: list[int], frames: list[tuple[int, int]]
) -> None:
    scores, bounds = logits(), torch.tensor([frames])
    allowed = allowed_tokens(torch.tensor([labels]), bounds, FRAMES, VOCABULARY, BLANK)[0]
    expected = loss_by_brute_force(scores[0], labels, allowed)
    found = ctc_loss(
        scores,
        torch.tensor([labels]),
        torch.tensor([FRAMES]),
        blank_id=BLANK,
        token_frames=bounds,
        reduction="sum",
        zero_infinity=True,
    )
    torch.testing.assert_close(found, expected)
    (found_gradient,) = torch.autograd.grad(found, scores, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected, scores)
    torch.testing.assert_close(found_gradient, expected_gradient, atol=1e-5, rtol=1e-4)


def test_a_token_is_allowed_in_its_frames_only_and_a_blank_in_all() -> None:
    labels, bounds = torch.tensor([[0, 1, 0], [2, -100, -100]]), torch.tensor([[[0, 1], [2, 4], [5, 6]], [[0, 6]] * 3])
    allowed = allowed_tokens(labels, bounds, FRAMES, VOCABULARY, BLANK)
    assert allowed[0, :, 0].tolist() == [True, False, False, False, False, True]
    assert allowed[0, :, 1].tolist() == [False, False, True, True, False, False]
    assert not allowed[0, :, 2].any()
    assert allowed[1].all(dim=0).tolist() == [False, False, True, True]
    assert allowed[:, :, BLANK].all()


def test_bounds_that_hold_every_frame_and_padding_change_nothing() -> None:
    scores, counts = logits(clips=2), torch.tensor([FRAMES, 4])
    labels = torch.tensor([[0, 1, 2], [2, 2, -100]])
    bounds = torch.tensor([[[0, 6]] * 3, [[0, 4]] * 3])
    how = {"reduction": "none", "zero_infinity": True}
    free = ctc_loss(scores, labels, counts, blank_id=BLANK, **how)
    bound = ctc_loss(scores, labels, counts, blank_id=BLANK, token_frames=bounds, **how)
    torchs = functional.ctc_loss(
        scores.log_softmax(dim=-1).transpose(0, 1),
        torch.tensor([0, 1, 2, 2, 2]),
        counts,
        torch.tensor([3, 2]),
        BLANK,
        **how,
    )
    torch.testing.assert_close(free, torchs)
    torch.testing.assert_close(bound, torchs)
    (gradient,) = torch.autograd.grad(bound.sum(), scores, retain_graph=True)
    (expected,) = torch.autograd.grad(free.sum(), scores)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)
    assert not gradient[1, 4:].any()


def test_a_model_that_is_sure_of_the_wrong_frame_still_gets_a_finite_gradient_towards_the_right_one() -> None:
    scores = torch.full((1, FRAMES, VOCABULARY), -50.0)
    scores[:, :, BLANK] = 50.0
    scores[0, 0] = torch.tensor([50.0, -50.0, -50.0, -50.0])
    scores.requires_grad_()
    loss = ctc_loss(
        scores,
        torch.tensor([[0]]),
        torch.tensor([FRAMES]),
        blank_id=BLANK,
        token_frames=torch.tensor([[[3, 5]]]),
        reduction="mean",
        zero_infinity=True,
    )
    (gradient,) = torch.autograd.grad(loss, scores)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient[0, 0, 0] > 0.4
    assert (gradient[0, 3:5, 0] < -0.4).all()
