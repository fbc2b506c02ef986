"""The heads of a model: the meaning of each output of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from wav2edge.output.documents import take, take_names

TEXT_RULES: Mapping[str, str | bool] = {"delimiter_text": " ", "token_separator": "", "clean_up_spaces": False}
"""Fields of a CTC head that say how its tokens become text, with what most tokenizers have; only others are written."""


@dataclass(frozen=True, kw_only=True)
class CtcHead:
    """Logits ``[frames, vocabulary]`` for connectionist temporal classification.

    ``vocabulary[i]`` is the token of column ``i``. ``blank_id`` separates repeated tokens. ``silent_ids`` are the
    special tokens that are not written to the transcript: beginning, end and unknown, and the word delimiter of
    phonemes. ``delimiter_text`` is what the word delimiter is written as, ``token_separator`` what stands between two
    tokens, ``clean_up_spaces`` whether those in front of punctuation and of English short forms are left out.
    """

    framed: ClassVar[bool] = True
    output: str
    vocabulary: tuple[str, ...]
    blank_id: int
    word_delimiter: str | None = "|"
    silent_ids: frozenset[int] = frozenset()
    lower_case: bool = False
    delimiter_text: str = " "
    token_separator: str = ""
    clean_up_spaces: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.blank_id < len(self.vocabulary):
            raise ValueError(f"the blank id {self.blank_id} is outside the vocabulary of {len(self.vocabulary)} tokens")
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise ValueError("the vocabulary must not contain a token twice")
        for name, usual in TEXT_RULES.items():
            if not isinstance(getattr(self, name), type(usual)):
                raise ValueError(f"{name!r} is {getattr(self, name)!r}, not a {type(usual).__name__}")

    @property
    def delimiter_id(self) -> int | None:
        """The column of the word delimiter; None where there is none, or the vocabulary lacks it."""
        return self.vocabulary.index(self.word_delimiter) if self.word_delimiter in self.vocabulary else None

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.vocabulary)

    def to_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        unusual = {name: getattr(self, name) for name, usual in TEXT_RULES.items() if getattr(self, name) != usual}
        return {
            "output": self.output,
            "vocabulary": list(self.vocabulary),
            "blank_id": self.blank_id,
            "word_delimiter": self.word_delimiter,
            "silent_ids": sorted(self.silent_ids),
            "lower_case": self.lower_case,
            **unusual,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(
            output=take(entry, "output", str),
            vocabulary=take_names(entry, "vocabulary"),
            blank_id=take(entry, "blank_id", int),
            word_delimiter=entry.get("word_delimiter"),
            silent_ids=frozenset(take(entry, "silent_ids", list)),
            lower_case=take(entry, "lower_case", bool),
            **{name: entry[name] for name in TEXT_RULES if name in entry},
        )


@dataclass(frozen=True, kw_only=True)
class ClassificationHead:
    """Logits ``[classes]`` for the whole clip; ``labels[i]`` is the label of column ``i``."""

    framed: ClassVar[bool] = False
    output: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_labels(self.labels)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        return {"output": self.output, "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(output=take(entry, "output", str), labels=take_names(entry, "labels"))


@dataclass(frozen=True, kw_only=True)
class FrameClassificationHead:
    """Logits ``[frames, labels]``; ``labels[i]`` is the label of column ``i``.

    Where labels are ``exclusive``, each frame has the likeliest of them, by the softmax of its logits. Otherwise each
    label is there or not by itself, by the sigmoid of its logit: two speakers at once, or none.
    """

    framed: ClassVar[bool] = True
    output: str
    labels: tuple[str, ...]
    exclusive: bool

    def __post_init__(self) -> None:
        _check_labels(self.labels)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        return {"output": self.output, "labels": list(self.labels), "exclusive": self.exclusive}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Read it back."""
        labels, exclusive = take_names(entry, "labels"), take(entry, "exclusive", bool)
        return cls(output=take(entry, "output", str), labels=labels, exclusive=exclusive)


@dataclass(frozen=True, kw_only=True)
class EmbeddingHead:
    """A vector ``[size]`` for the whole clip, which must have ``fewest_frames`` at least."""

    framed: ClassVar[bool] = False
    output: str
    size: int
    fewest_frames: int

    def __post_init__(self) -> None:
        if min(self.size, self.fewest_frames) < 1:
            raise ValueError(
                f"an embedding of {self.size} numbers from {self.fewest_frames} frames; both are at least 1"
            )

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.size

    def to_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        return {"output": self.output, "size": self.size, "fewest_frames": self.fewest_frames}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Read it back."""
        size, fewest_frames = take(entry, "size", int), take(entry, "fewest_frames", int)
        return cls(output=take(entry, "output", str), size=size, fewest_frames=fewest_frames)


Head = CtcHead | ClassificationHead | FrameClassificationHead | EmbeddingHead
HEADS: Mapping[str, type[Head]] = {
    "ctc": CtcHead,
    "classification": ClassificationHead,
    "frame_classification": FrameClassificationHead,
    "embedding": EmbeddingHead,
}
"""The kinds of heads, by their names in a manifest, which are those of the fields of ``Heads``."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The heads of one model, at least one."""

    ctc: CtcHead | None = None
    classification: ClassificationHead | None = None
    frame_classification: FrameClassificationHead | None = None
    embedding: EmbeddingHead | None = None

    def __post_init__(self) -> None:
        if not self.by_name:
            raise ValueError(f"a model needs a head at least: {', '.join(HEADS)}")

    @property
    def by_name(self) -> dict[str, Head]:
        """The heads that the model has: ``ctc``, ``classification``, ..."""
        present = {name: getattr(self, name) for name in HEADS}
        return {name: head for name, head in present.items() if head is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads that the model has."""
        return tuple(self.by_name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph outputs that the heads read."""
        return tuple(head.output for head in self.by_name.values())

    @property
    def framed(self) -> tuple[str, ...]:
        """Names of those outputs that have a row for each frame."""
        return tuple(head.output for head in self.by_name.values() if head.framed)

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of each output: tokens, classes, labels, or numbers of an embedding."""
        return {head.output: head.width for head in self.by_name.values()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of a clip or of its frames; none where the model has neither."""
        head = self.classification or self.frame_classification
        return () if head is None else head.labels

    @property
    def fewest_frames(self) -> int:
        """Frames that a clip must have."""
        return 1 if self.embedding is None else self.embedding.fewest_frames

    def to_dict(self) -> dict[str, Any]:
        """The entry ``heads`` of the manifest."""
        return {name: head.to_dict() for name, head in self.by_name.items()}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Heads:
        """Read it back.

        Raises:
            ValueError: something is missing or is not what it should be.
        """
        read: dict[str, Any] = {
            name: kind.from_dict(take(entry, name, dict)) for name, kind in HEADS.items() if name in entry
        }
        return cls(**read)


def _check_labels(labels: tuple[str, ...]) -> None:
    if not labels or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be non-empty and unique, got {list(labels)}")
