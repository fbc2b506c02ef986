"""Forced alignment: a known text and the log probabilities of its audio give times and scores of words and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.alignment import BLOCK_FRAMES, viterbi
from wav2edge.decoding.ctc import FloatArray, cased, spell_word, written_columns
from wav2edge.errors import AlignmentError, UsageError
from wav2edge.output.result import STAR, AlignedToken, AlignedWord, Alignment, confidence_of, spoken_tokens

LISTED = 50
"""Most tokens of a vocabulary, and most words of a text, in a message."""


def spell(text: str, head: CtcHead) -> list[tuple[str, tuple[int, ...]]]:
    """The words of a text, each with the columns of its tokens: at each place the longest token that fits.

    ``*`` as a word has the column after the last one of the vocabulary; several in a row are one.

    Args:
        text: words with white space between them.
        head: the vocabulary; letter case does not matter where ``lower_case`` is set.

    Raises:
        AlignmentError: there is no word, or a character that the vocabulary cannot spell.
        UsageError: it is not a string.
    """
    if not isinstance(text, str):
        raise UsageError(f"text is {text!r}; give a string: the words that were said, or * for what is not known")
    columns = written_columns(head)
    words: list[tuple[str, tuple[int, ...]]] = []
    unknown: dict[str, dict[str, None]] = {}  # each with the words it is in, in their order
    for word in text.split():
        if word != STAR:
            ids, characters = spell_word(cased(word, head), columns)
            for character in characters:
                unknown.setdefault(character, {})[word] = None
            words.append((word, ids))
        elif not words or words[-1][0] != STAR:
            words.append((STAR, (len(head.vocabulary),)))
    if unknown:
        found = "; ".join(f"{character!r} in {_listed(inside)}" for character, inside in unknown.items())
        raise AlignmentError(f"the vocabulary cannot spell {found}: write these words with {_listed(columns)}, or as *")
    if not words:
        raise AlignmentError("the text has no words: give what was said, or * for the parts that are not known")
    return words


def _listed(names: Iterable[str]) -> str:
    """The names with spaces between them; of many only the first."""
    first = list(islice(names, LISTED + 1))
    return " ".join(first if len(first) <= LISTED else [*first[:LISTED], "..."])


def align(
    log_probabilities: FloatArray | Iterable[FloatArray],
    text: str,
    head: CtcHead,
    *,
    frame_s: float,
    duration_s: float,
    warnings: tuple[str, ...] = (),
) -> Alignment:
    """Find each word and token of a text on the most probable CTC path that spells it.

    Two scores, of a token over its frames F, of a word or the whole over its tokens:

    - ``confidence``: the geometric mean probability, ``exp(mean over F of log p(token))``, from 0 to 1.
    - ``gop``, goodness of pronunciation: ``mean over F of (log p(token) - max over others of log p(other))``, where
      the others are every other token and the blank. Above 0, the model itself hears the token; -3 says that it
      finds something else 20 times as probable. Witt and Young, "Phone-level pronunciation scoring and assessment for
      interactive language learning", Speech Communication 30, 2000, with the posteriors and the alignment of the CTC
      model itself: GOP-SA in Cao et al., "Segmentation-free goodness of pronunciation", arXiv 2507.16838.

    A star is an extra token whose log probability is 0 in every frame (Pratap et al., "Scaling speech technology to
    1,000+ languages", arXiv 2305.13516, section 3.1). It has the confidence 1 and the gop 0, and does not count for the
    whole. It takes the place of the delimiters around it. Of the frames next to it, its neighbours keep only those they
    need.

    Args:
        log_probabilities: ``[frames, vocabulary]`` natural logs, or such arrays one after the other. Of each, only the
            columns of the text are kept: ``4 * frames * (different tokens + 5)`` bytes.
        text: what was said; see ``spell``.
        head: what the columns mean.
        frame_s: seconds from one frame to the next.
        duration_s: length of the recording.
        warnings: remarks about its audio.

    Raises:
        AlignmentError: the vocabulary cannot spell the text, or the text does not fit into the audio.
    """
    words = spell(text, head)
    ids, firsts = _join(words, head)
    frames = _Frames.collect(log_probabilities, ids, head)
    tokens = frames.tokens(ids, head, frame_s)
    aligned = tuple(
        _aligned_word(written, tokens[first : first + len(spelt)])
        for (written, spelt), first in zip(words, firsts, strict=True)
    )
    confidence, gop = _mean_scores(spoken_tokens(aligned))
    return Alignment(duration_s=duration_s, words=aligned, confidence=confidence, gop=gop, warnings=warnings)


def _aligned_word(text: str, tokens: Sequence[AlignedToken]) -> AlignedWord:
    """The word of these tokens, at least one."""
    confidence, gop = _mean_scores(tokens)
    return AlignedWord(
        text=text,
        start_s=tokens[0].start_s,
        end_s=tokens[-1].end_s,
        confidence=confidence,
        gop=gop,
        tokens=tuple(tokens),
    )


def _mean_scores(tokens: Sequence[AlignedToken]) -> tuple[float, float]:
    """The geometric mean of the confidences, and the mean of the GOPs; 1 and 0 without tokens."""
    return confidence_of(tokens), float(np.mean([token.gop for token in tokens])) if tokens else 0.0


def _join(words: Sequence[tuple[str, tuple[int, ...]]], head: CtcHead) -> tuple[list[int], list[int]]:
    """The columns of the whole text, delimiters included, and the place of the first token of each word."""
    between = [] if head.delimiter_id is None else [head.delimiter_id]
    ids: list[int] = []
    firsts: list[int] = []
    for place, (written, spelt) in enumerate(words):
        if place and STAR not in (written, words[place - 1][0]):
            ids += between
        firsts.append(len(ids))
        ids += spelt
    return ids, firsts


@dataclass(frozen=True, kw_only=True)
class _Frames:
    """What is kept of each frame.

    ``kept: [frames, kept columns] float32`` holds the log probabilities of the blank, of each different token of the
    text, and of the star. ``best: [frames, 2] float32`` holds the two highest of the whole vocabulary, the second
    first, and ``winner: [frames] int32`` the column of the highest.
    """

    columns: npt.NDArray[np.intp]
    kept: npt.NDArray[np.float32]
    best: npt.NDArray[np.float32]
    winner: npt.NDArray[np.int32]

    @classmethod
    def collect(cls, blocks: FloatArray | Iterable[FloatArray], ids: Sequence[int], head: CtcHead) -> _Frames:
        """Read log probabilities ``[frames, vocabulary]``, block by block, and keep what the text needs.

        Args:
            blocks: one array, or several.
            ids: ``[tokens]`` columns; that of the star is the one after the last.
            head: the vocabulary.
        """
        star, blank = len(head.vocabulary), head.blank_id
        columns = np.array([blank, *sorted(set(ids) - {star}), star], np.intp)
        parts = [(np.empty((0, len(columns)), np.float32), np.empty((0, 2), np.float32), np.empty(0, np.int32))]
        for block in _pieces(blocks):
            kept = np.zeros((len(block), len(columns)), np.float32)
            kept[:, :-1] = block[:, columns[:-1]]
            best = np.partition(block, -2, axis=1)[:, -2:].astype(np.float32)
            parts.append((kept, best, block.argmax(axis=1).astype(np.int32)))
        kept, best, winner = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(columns=columns, kept=kept, best=best, winner=winner)

    def tokens(self, ids: Sequence[int], head: CtcHead, frame_s: float) -> list[AlignedToken]:
        """Each of the tokens ``ids`` on the best path through the frames."""
        places = np.searchsorted(self.columns[1:], ids) + 1  # the blank is the first, the others are in order
        states = viterbi(self.kept, places.tolist(), 0)
        starts, ends = (np.searchsorted(states, 2 * np.arange(len(ids)) + 1, side) for side in ("left", "right"))
        spoken = np.flatnonzero(states % 2)
        token = states[spoken] // 2
        logs, gops = np.zeros((2, len(states)))
        logs[spoken] = self.kept[spoken, places[token]]
        gops[spoken] = logs[spoken] - self._competitors(spoken, np.asarray(ids)[token])
        found = zip(
            ids, starts.tolist(), ends.tolist(), _means(logs, starts, ends), _means(gops, starts, ends), strict=True
        )
        names = (*head.vocabulary, STAR)
        return [
            AlignedToken(
                text=names[number],
                start_s=start * frame_s,
                end_s=end * frame_s,
                confidence=exp(log),
                gop=gop if number < len(head.vocabulary) else 0.0,
            )
            for number, start, end, log, gop in found
        ]

    def _competitors(self, frames: npt.NDArray[np.intp], ids: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """The highest log probability in each of ``frames: [spoken]`` of any column but ``ids: [spoken]``."""
        second, first = self.best[frames].T
        highest: npt.NDArray[np.float32] = np.where(self.winner[frames] == ids, second, first)
        return highest


def _pieces(blocks: FloatArray | Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Blocks of at most ``BLOCK_FRAMES`` frames, so that little is copied at a time."""
    for block in [blocks] if isinstance(blocks, np.ndarray) else blocks:
        yield from (block[start : start + BLOCK_FRAMES] for start in range(0, len(block), BLOCK_FRAMES))


def _means(values: npt.NDArray[np.float64], starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> list[float]:
    """The mean of ``values: [frames]`` over each span."""
    sums = np.r_[0.0, np.cumsum(values)]
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means
