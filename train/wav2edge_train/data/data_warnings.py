"""Doubts about a data set that can be trained on: what would flatter the figures, and what would hurt training."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance, label_order
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge_train.data.clips import Example, Targets

SHORT_S, LONG_S = 0.1, 30.0
"""Shorter clips rarely hold a word, and memory grows with the longest clip of a batch."""

NAMED = 3
"""How many of a kind are listed; the others are counted."""

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Prefixes of the Unicode names of letters in scripts without spaces between words."""

SPLITS = ("train", "validation", "test")


def data_warnings(utterances: Sequence[Utterance], targets: Targets) -> list[str]:
    """One line per doubt about the rows of a data set.

    Args:
        utterances: the rows of every split.
        targets: the vocabulary and labels that the heads learn.
    """
    splits = {name: [row for row in utterances if row.split == name] for name in SPLITS}
    found = [*_duplicates(splits), *_shared_speakers(splits)]
    if targets.labels is not None:
        found += [*_only_class(splits["train"]), *_missing_classes(splits, targets.labels)]
    spoken = [row.transcription for row in splits["train"] if row.transcription]
    if (
        targets.vocabulary is not None
        and _unspaced(targets.vocabulary.tokens)
        and not any(" " in text for text in spoken)
    ):
        found.append("no transcription has a space: WER counts each of them as one word")
    return found


def spelling_warnings(texts: Sequence[str]) -> list[str]:
    """A line about upper-case letters in transcripts and one about punctuation: both become tokens to learn.

    Args:
        texts: the transcripts that the vocabulary is made of.
    """
    letters = set("".join(texts))
    capitals = sorted(letter for letter in letters if letter != letter.lower())
    strip = TextNormalization(strip_punctuation=True)
    changed = [text for text in texts if strip(text) != text]
    marks = sorted({mark for text in changed for mark in text if not mark.isspace() and strip(mark) != mark})
    found = []
    if capitals:
        found.append(f"upper-case letters are tokens of their own: {_listed(capitals)}; --lowercase folds them")
    if marks:
        found.append(f"punctuation becomes tokens: {_listed(marks)}; --strip-punctuation removes it")
    return found


def length_warnings(examples: Iterable[Example]) -> list[str]:
    """A line for clips that are very short, and one for those that are very long."""
    short, long = [], []
    for example in examples:
        length_s = len(example.samples) / SAMPLE_RATE_HZ
        name = f"{example.where} ({length_s:.2f} s)"
        if length_s < SHORT_S:
            short.append(name)
        if length_s > LONG_S:
            long.append(name)
    found = []
    if short:
        found.append(f"shorter than {SHORT_S:g} s, is it speech? {_listed(short)}")
    if long:
        found.append(f"longer than {LONG_S:g} s, the memory of a batch grows with its longest clip: {_listed(long)}")
    return found


def _unspaced(tokens: Iterable[str]) -> bool:
    """Whether a letter belongs to a script that is written without spaces between words."""
    return any(unicodedata.name(token, "").startswith(UNSPACED) for token in tokens if len(token) == 1)


def _duplicates(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[str]:
    """Clips of the same bytes, on both sides or on one; only files of the same size are read."""
    by_size = defaultdict(list)
    for name, rows in splits.items():
        for row in rows:
            if row.path.is_file():
                by_size[row.path.stat().st_size].append((name, row))
    by_content: defaultdict[bytes, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for same_size in by_size.values():
        for name, row in same_size if len(same_size) > 1 else ():
            by_content[_digest(row.path)][name].append(row.path.name)
    across: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    within: defaultdict[str, list[str]] = defaultdict(list)
    for same in by_content.values():
        for left, right in combinations(same, 2):
            across[left, right].append(f"{same[left][0]} = {same[right][0]}")
        for name, (first, *others) in same.items():
            within[name] += [f"{first} = {other}" for other in others]
    for (left, right), names in across.items():
        yield f"the same audio in {left} and {right}, which flatters the figures: {_listed(names)}"
    for name, names in within.items():
        if names:
            yield f"the same audio more than once in {name}, where it counts each time: {_listed(names)}"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _shared_speakers(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[str]:
    speakers = {name: {row.speaker for row in rows if row.speaker} for name, rows in splits.items()}
    for left, right in combinations(SPLITS, 2):
        both = sorted(speakers[left] & speakers[right])
        if both:
            yield f"speakers in {left} and {right}, so the figures say little about new speakers: {_listed(both)}"


def _only_class(training: Sequence[Utterance]) -> Iterator[str]:
    """A single class, which is right whatever the clip."""
    classes = {row.label for row in training if row.label}
    if len(classes) == 1:
        yield (
            f"every training clip is of the class {classes.pop()}, so that accuracy says nothing; add clips of other"
            " classes, or train with --heads ctc"
        )


def _missing_classes(splits: Mapping[str, Sequence[Utterance]], labels: Sequence[str]) -> Iterator[str]:
    found = {name: {row.label for row in rows if row.label} for name, rows in splits.items()}
    missing = [label for label in labels if label not in found["validation"]]
    if missing:
        yield f"classes without a validation clip, for which the figures are 0: {_listed(missing)}"
    unknown = label_order(label for label in found["test"] if label not in labels)
    if unknown:
        yield f"classes in test that training does not have, and that can never be predicted: {_listed(unknown)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
