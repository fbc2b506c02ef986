"""How large the demo's corpus is: tasks, utterances of each class, syllables."""

from __future__ import annotations

from dataclasses import dataclass

from wav2edge.errors import UsageError

TASKS: dict[str, tuple[str, ...]] = {"0": ("pa",), "1": ("ta",), "2": ("ka",), "3": ("pa", "ta", "ka")}
"""What one cycle of each class says; the keys are the labels."""

REPETITION_LIMITS = (5, 13)
"""Syllables of a /pa/, /ta/ or /ka/ utterance."""
CYCLE_LIMITS = (2, 4)
"""Whole cycles of a /pa ta ka/ utterance: 6, 9 or 12 syllables."""


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """How large one split is.

    Attributes:
        supports: Utterances of each class in the order of `TASKS`, ``[4]``.
        syllables: Words of all its transcriptions together.

    Raises:
        UsageError: A support is missing or not positive, or the utterances cannot hold that many syllables.
    """

    supports: tuple[int, ...]
    syllables: int

    def __post_init__(self) -> None:
        if len(self.supports) != len(TASKS) or min(self.supports) < 1:
            raise UsageError(f"supports are {self.supports}; give {len(TASKS)} positive counts, one per class")
        # Cycles come in threes, so the one-syllable tasks must be able to make up whatever the cycles leave.
        cycles, repetitions = self.supports[-1] * len(TASKS["3"]), sum(self.supports[:-1])
        fewest = cycles * CYCLE_LIMITS[1] + repetitions * REPETITION_LIMITS[0]
        most = cycles * CYCLE_LIMITS[0] + repetitions * REPETITION_LIMITS[1]
        if not fewest <= self.syllables <= most:
            raise UsageError(f"supports {self.supports} hold {fewest} to {most} syllables, not {self.syllables}")

    @property
    def utterances(self) -> int:
        """Utterances of all classes."""
        return sum(self.supports)


@dataclass(frozen=True, kw_only=True)
class CorpusPlan:
    """How large the corpus is; the defaults are the figures of the reference card, and eight times as many to train on.

    Attributes:
        training: The split to train on.
        validation: The split to report on.
        validation_voice_share: Share of the voices that are in the validation split only, between 0 and 1.

    Raises:
        UsageError: The share is not between 0 and 1.
    """

    training: SplitPlan = SplitPlan(supports=(208, 248, 208, 112), syllables=8 * 859)
    validation: SplitPlan = SplitPlan(supports=(26, 31, 26, 14), syllables=859)
    validation_voice_share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.validation_voice_share < 1:
            raise UsageError(f"validation_voice_share is {self.validation_voice_share}; give a part between 0 and 1")

    @property
    def utterances(self) -> int:
        """Utterances of both splits."""
        return self.training.utterances + self.validation.utterances
