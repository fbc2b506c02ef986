"""How much a variant may differ from the original before its certificate is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BOUNDED = ("absolute_error", "relative_error", "changed_results", "wer_increase", "accuracy_drop")
"""The figures that a budget can bound, in the order of its messages."""
ROUNDING = 1e-12
"""The difference of two rates is not exact: 0.1 - 0.05 is more than 0.05."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds; None means that a figure is recorded and not bounded.

    ``absolute_error`` and ``relative_error`` bound the logits over the synthetic signals, the second in units of the
    largest logit of the original. The others bound what a user notices on real clips: ``changed_results`` the share of
    clips with another transcript or class, ``wer_increase`` and ``accuracy_drop`` the plain differences of the rates.

    A rate over few clips moves in large steps: one clip of 240 is 0.0042, more than 0.003, and means nothing, since the
    interval of a difference of one clip always holds zero. ``allowed_changes`` words or clips, counted net, are
    therefore within every budget, however few clips there are; the certificate shows the interval.
    """

    absolute_error: float | None = None
    relative_error: float | None = None
    changed_results: float | None = None
    wer_increase: float | None = None
    accuracy_drop: float | None = None
    allowed_changes: int = 0

    def allowed(self, steps: Mapping[str, float] | None = None) -> dict[str, float]:
        """The upper bound of each bounded figure.

        Args:
            steps: for each rate, how far one word or one clip moves it; ``allowed_changes`` such steps are allowed.
        """
        limits = {name: getattr(self, name) for name in BOUNDED}
        return {
            name: max(limit, self.allowed_changes * (steps or {}).get(name, 0.0))
            for name, limit in limits.items()
            if limit is not None
        }

    def violations(self, measured: Mapping[str, float], steps: Mapping[str, float] | None = None) -> list[str]:
        """Each figure that exceeds its bound, as text; figures that were not measured are skipped.

        Args:
            measured: figures by name.
            steps: as in ``allowed``.
        """
        return [
            f"{name.replace('_', ' ')} {measured[name]:.4g}, {limit:.3g} allowed"
            for name, limit in self.allowed(steps).items()
            if name in measured and exceeds(measured[name], limit)
        ]


def exceeds(value: float, limit: float) -> bool:
    """Whether a figure exceeds its limit; NaN exceeds every limit."""
    return not value <= limit + ROUNDING
