"""How far a variant may be from its original before it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

JUDGED = ("absolute_error", "relative_error", "changed_answers", "wer_increase", "accuracy_drop")
"""What a budget can bound, in the order it is told."""
ROUNDING = 1e-12
"""The difference of two rates is not exact: 0.1 - 0.05 is more than 0.05."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds; None means that a figure is recorded and not judged.

    ``absolute_error`` and ``relative_error`` bound the logits over the synthetic grid, the second in units of the
    largest logit of the original; the others bound what a user sees on real clips: the share of answers that change
    at all, the rise of the word error rate, and the fall of accuracy, each as a plain difference.

    A rate over few clips moves in large steps: one answer of 240 is 0.0042, more than 0.003, and says nothing, since
    the interval of a difference of one answer always holds zero. ``forgiven`` answers, counted net, are therefore
    never held against a variant, however few clips there are; the certificate shows the interval.
    """

    absolute_error: float | None = None
    relative_error: float | None = None
    changed_answers: float | None = None
    wer_increase: float | None = None
    accuracy_drop: float | None = None
    forgiven: int = 0

    def allowed(self, steps: Mapping[str, float] | None = None) -> dict[str, float]:
        """What each judged figure may be at most.

        Args:
            steps: what one word or one clip is of a rate, by the rate's name; that much is forgiven so many times.
        """
        limits = {name: getattr(self, name) for name in JUDGED}
        return {
            name: max(limit, self.forgiven * (steps or {}).get(name, 0.0))
            for name, limit in limits.items()
            if limit is not None
        }

    def violations(self, measured: Mapping[str, float], steps: Mapping[str, float] | None = None) -> list[str]:
        """What is over budget, by how much; figures that were not measured are not judged.

        Args:
            measured: a figure for each name that was measured.
            steps: as in ``allowed``.
        """
        return [
            f"{name.replace('_', ' ')} {measured[name]:.4g}, {limit:.3g} allowed"
            for name, limit in self.allowed(steps).items()
            if name in measured and is_over(measured[name], limit)
        ]


def is_over(value: float, limit: float) -> bool:
    """Whether a figure is over its limit; one that is not a number is over every limit."""
    return not value <= limit + ROUNDING
