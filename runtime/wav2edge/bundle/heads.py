"""The heads of a model: the meaning of each output of the graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CtcHead:
    """Logits ``[frames, vocabulary]`` for connectionist temporal classification.

    ``vocabulary[i]`` is the token of column ``i``. ``blank_id`` separates repeated tokens. ``silent_ids`` are the
    special tokens that are not written to the transcript: beginning, end and unknown.
    """

    output: str
    vocabulary: tuple[str, ...]
    blank_id: int
    word_delimiter: str | None = "|"
    silent_ids: frozenset[int] = frozenset()
    lower_case: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.blank_id < len(self.vocabulary):
            raise ValueError(f"the blank id {self.blank_id} is outside the vocabulary of {len(self.vocabulary)} tokens")
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise ValueError("the vocabulary must not contain a token twice")

    @property
    def delimiter_id(self) -> int | None:
        """The column of the word delimiter; None where there is none, or the vocabulary lacks it."""
        return self.vocabulary.index(self.word_delimiter) if self.word_delimiter in self.vocabulary else None


@dataclass(frozen=True, kw_only=True)
class ClassificationHead:
    """Logits ``[classes]`` for the whole clip; ``labels[i]`` is the label of column ``i``."""

    output: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be non-empty and unique, got {list(self.labels)}")


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The heads of one model, at least one."""

    ctc: CtcHead | None = None
    classification: ClassificationHead | None = None

    def __post_init__(self) -> None:
        if self.ctc is None and self.classification is None:
            raise ValueError("a model needs a CTC head, a classification head, or both")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph outputs that the heads read."""
        return tuple(head.output for head in (self.ctc, self.classification) if head is not None)

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of each output: tokens or classes."""
        widths = {} if self.ctc is None else {self.ctc.output: len(self.ctc.vocabulary)}
        if self.classification is not None:
            widths[self.classification.output] = len(self.classification.labels)
        return widths

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads that the model has: ``ctc``, ``classification``."""
        present = {"ctc": self.ctc, "classification": self.classification}
        return tuple(name for name, head in present.items() if head is not None)
