"""Which words of an answer that grows do not change any more."""

from __future__ import annotations

from wav2edge.output.result import Word

GROWS_S = 0.8
"""The last word may still grow until so much sound has come after it, with a letter that is drawn out."""


class StableWords:
    """Words that ended a while ago, and on which two answers in a row agree, become stable and stay.

    LocalAgreement-2 of Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation
    by Partial Hypothesis Selection", Interspeech 2020.

    Args:
        settled_s: how much sound after its end a word waits for that another follows.
    """

    def __init__(self, settled_s: float) -> None:
        self._settled_s = settled_s
        self._stable: tuple[Word, ...] = ()
        self._before: tuple[Word, ...] = ()

    @property
    def count(self) -> int:
        """How many words are stable."""
        return len(self._stable)

    def update(self, words: tuple[Word, ...], heard_s: float) -> tuple[Word, ...]:
        """The words of another answer, in which those that are stable stay as they were.

        Args:
            words: the answer, on the clock of the utterance.
            heard_s: the sound that it is the answer to.
        """
        merged = self.merge(words)
        settled = sum(heard_s - word.end_s >= self._settled_s for word in words[:-1])
        settled += bool(words) and heard_s - words[-1].end_s >= max(GROWS_S, self._settled_s)
        agreed = next(
            (
                place
                for place, (now, before) in enumerate(zip(words, self._before, strict=False))
                if now.text != before.text
            ),
            min(len(words), len(self._before)),
        )
        self._before = words
        self._stable = merged[: max(self.count, min(agreed, settled))]
        return merged

    def merge(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """An answer in which the stable words stand in place of its first."""
        return self._stable + words[self.count :]

    def forget(self, words: int, earlier_s: float) -> None:
        """Leave out so many words at the beginning, with the sound that they were in."""
        self._stable = tuple(word.later(-earlier_s) for word in self._stable[words:])
        self._before = self._before[words:]
