"""How far a variant may be from its original before it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds; None means that a figure is recorded and not judged.

    ``absolute_error`` and ``relative_error`` bound the logits over the synthetic grid, the second in units of the
    largest logit of the original; the others bound what a user sees on real clips: the share of answers that change
    at all, the rise of the word error rate, and the fall of accuracy, each as a plain difference.
    """

    absolute_error: float | None = None
    relative_error: float | None = None
    changed_answers: float | None = None
    wer_increase: float | None = None
    accuracy_drop: float | None = None

    def violations(self, measured: Mapping[str, float]) -> list[str]:
        """What is over budget, by how much; figures that were not measured are not judged."""
        found = []
        for bound in fields(self):
            limit, value = getattr(self, bound.name), measured.get(bound.name)
            # A figure that is not a number is over every budget.
            if limit is not None and value is not None and not value <= limit:
                found.append(f"{bound.name.replace('_', ' ')} {value:.4g}, {limit:g} allowed")
        return found
