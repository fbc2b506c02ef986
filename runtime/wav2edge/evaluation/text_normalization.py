"""Text normalisation of transcripts, the same in training and in evaluation."""

from __future__ import annotations

import unicodedata
from argparse import ArgumentParser
from dataclasses import dataclass

APOSTROPHES = frozenset("'\u2019")
"""Part of a word where a letter stands on both sides: ``don't``."""


@dataclass(frozen=True, kw_only=True)
class TextNormalization:
    """What is done to a transcript before it is learnt or compared; white space and Unicode NFC are always normalised.

    ``lowercase`` folds the case (``str.lower``). ``strip_punctuation`` replaces every character of the Unicode
    categories P and S with a space, apostrophes inside words excepted.
    """

    lowercase: bool = False
    strip_punctuation: bool = False

    def __call__(self, text: str) -> str:
        """The normalised text: Unicode NFC, single spaces between words."""
        text = unicodedata.normalize("NFC", text)
        if self.lowercase:
            text = text.lower()
        if self.strip_punctuation:
            text = "".join(
                " " if unicodedata.category(letter)[0] in "PS" and not _inside_a_word(text, place) else letter
                for place, letter in enumerate(text)
            )
        return " ".join(text.split())

    @property
    def summary(self) -> str:
        """In words, for a report; empty where nothing beyond white space and NFC is changed."""
        steps = {"lowercased": self.lowercase, "punctuation removed": self.strip_punctuation}
        return ", ".join(name for name, applied in steps.items() if applied)


def add_normalization_options(parser: ArgumentParser) -> None:
    """``--lowercase`` and ``--strip-punctuation``."""
    parser.add_argument("--lowercase", action="store_true", help="lowercase the transcripts")
    parser.add_argument("--strip-punctuation", action="store_true", help="remove punctuation from the transcripts")


def _inside_a_word(text: str, place: int) -> bool:
    return text[place] in APOSTROPHES and text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha()
