"""N-gram language models with back-off, read from ARPA files into sorted arrays.

The format is that of SRILM's ``ngram-format(5)``; back-off is Katz, IEEE Transactions on Acoustics, Speech, and Signal
Processing 35(3), 1987. The n-grams form a trie in arrays, after Heafield, "KenLM: Faster and Smaller Language Model
Queries", WMT 2011.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from wav2edge.errors import DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -100.0
"""log10 of the probability of an unknown word where the file has no ``<unk>``, as in KenLM."""
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan", re.IGNORECASE)
LINES_AT_ONCE = 1 << 13
ROOT = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageModel:
    """A trie of n-grams; its nodes are numbered order by order and, within an order, by parent and last word.

    Node 0 is the empty n-gram, and node ``i + 1`` has the key ``keys[i]``. A node is also a state: the words that the
    next one is conditioned on. All scores are natural logarithms.

    Attributes:
        words: the number of each word.
        keys: ``[n-grams]`` parent node times the number of words, plus the last word; ascending.
        suffix: ``[nodes]`` the longest n-gram in the model that ends the node's own.
    """

    words: Mapping[str, int] = field(repr=False)
    keys: Ints = field(repr=False)
    log_probability: Floats = field(repr=False)
    back_off: Floats = field(repr=False)
    suffix: npt.NDArray[np.int32] = field(repr=False)
    order: int

    @classmethod
    def read(cls, path: str | Path) -> LanguageModel:
        """Read an ARPA file, plain or compressed with gzip (name ends in ``.gz``).

        Raises:
            DataError: there is no such file, or it is not in the format; the message names the line.
        """
        path = Path(path)
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                return _Reader(path, file).model()
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{path}: {reason}; give a language model in ARPA form") from None

    @property
    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return int(self.advance(np.array([ROOT]), np.array([self.words[BEGIN]]))[1][0]) if BEGIN in self.words else ROOT

    def ids(self, words: Iterable[str]) -> Ints:
        """The number of each word; those that the model does not hold are ``<unk>``."""
        unknown = self.words[UNKNOWN]
        return np.array([self.words.get(word, unknown) for word in words], np.int64)

    def advance(self, states: Ints, words: Ints) -> tuple[npt.NDArray[np.float64], Ints]:
        """Log probability of a word after each state, and the state after it.

        Args:
            states: ``[queries]``.
            words: ``[queries]`` numbers from ``ids``.
        """
        contexts, scores = states.astype(np.int64), np.zeros(len(states))
        found = self._children(contexts, words)
        while (missing := np.flatnonzero(found < 0)).size:
            scores[missing] += self.back_off[contexts[missing]]
            contexts[missing] = self.suffix[contexts[missing]]
            found[missing] = self._children(contexts[missing], words[missing])
        return scores + self.log_probability[found], found

    def log_probabilities(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Natural log probability of each word of a sentence and of its end: ``[words + 1]``."""
        state, scores = np.array([self.start]), []
        for number in self.ids((*words, END)):
            score, state = self.advance(state, np.array([number]))
            scores.append(score[0])
        return np.array(scores)

    def perplexity(self, sentences: Iterable[str]) -> float:
        """Perplexity per word, ends of sentences counted; white space separates words.

        Raises:
            DataError: there is no sentence.
        """
        scores = [self.log_probabilities(sentence.split()) for sentence in sentences]
        if not scores:
            raise DataError("no sentence to compute the perplexity of; give at least one")
        return math.exp(-float(np.mean(np.concatenate(scores))))

    def _children(self, nodes: Ints, words: Ints) -> Ints:
        """The node of each n-gram one word longer, -1 where the model does not hold it."""
        return find(self.keys, nodes * len(self.words) + words) + 1


def find(ascending: Ints, wanted: Ints) -> Ints:
    """The place of each wanted key among the ascending ones, -2 where it is absent."""
    places = np.searchsorted(ascending, wanted)
    there = ascending.take(places, mode="clip") == wanted
    return np.where(there, places, -2)


class _Reader:
    """Reads one file from top to bottom; knows the number of the line that it reads."""

    def __init__(self, path: Path, file: BinaryIO | gzip.GzipFile) -> None:
        self._path, self._file = path, file
        self._number, self._words = 0, dict[bytes, int]()

    def model(self) -> LanguageModel:
        counts = self._counts()
        if sum(counts) > np.iinfo(np.int32).max:
            raise self._error("more n-grams than 32 bits count", "prune the model")
        keys, sections = np.empty(0, np.int64), [(np.zeros(1, np.float32), np.zeros(1, np.float32))]
        for order, count in enumerate(counts, start=1):
            found, *weights = self._section(order, count, keys)
            keys = np.concatenate([keys, found])
            sections.append((weights[0], weights[1]))
        self._expect(b"\\end\\")
        to_natural = np.float32(math.log(10))
        return LanguageModel(
            words={word.decode(errors="replace"): number for word, number in self._words.items()},
            keys=keys,
            log_probability=np.concatenate([each for each, _ in sections]) * to_natural,
            back_off=np.concatenate([each for _, each in sections]) * to_natural,
            suffix=_suffixes(keys, len(self._words)),
            order=len(counts),
        )

    def _counts(self) -> list[int]:
        """Numbers of n-grams that the header promises, from order 1 on; reads up to the 1-grams."""
        for line in self._texts():
            if line == b"\\data\\":
                break
        else:
            raise self._error("no line \\data\\", "give a language model in ARPA form, as lmplz makes them")
        counts: list[int] = []
        for line in self._texts():
            if line == b"\\1-grams:" and counts:
                return counts
            name, _, count = line.removeprefix(b"ngram ").partition(b"=")
            if not count.strip().isdigit() or name.strip() != str(len(counts) + 1).encode():
                raise self._error(f"{_shown(line)} where `ngram {len(counts) + 1}=COUNT` belongs", "repair the header")
            counts.append(int(count))
        raise self._error("the file ends within its header", "copy it again")

    def _section(self, order: int, count: int, keys: Ints) -> tuple[Ints, Floats, Floats]:
        """Keys, log10 probabilities and back-off weights of one order, ascending by key."""
        if order > 1:
            self._expect(b"\\%d-grams:" % order)
        found, probability = np.empty(count, np.int64), np.empty(count, np.float32)
        back_off, done = np.zeros(count, np.float32), 0
        while done < count:
            columns = self._rows(order, min(LINES_AT_ONCE, count - done))
            here = slice(done, done + len(columns[0]))
            probability[here], back_off[here] = self._weights(columns)
            found[here] = self._keys(columns, order, keys)
            done = here.stop
        if order == 1:
            return self._with_unknown(found, probability, back_off)
        sequence = np.argsort(found, kind="stable")
        found = found[sequence]
        if (repeated := np.flatnonzero(found[1:] == found[:-1])).size:
            second = self._number - count + 1 + int(sequence[repeated[0] + 1])
            raise self._error("the same n-gram a second time", "leave one of them out", number=second)
        return found, probability[sequence], back_off[sequence]

    def _with_unknown(self, keys: Ints, probability: Floats, back_off: Floats) -> tuple[Ints, Floats, Floats]:
        if UNKNOWN.encode() in self._words:
            return keys, probability, back_off
        self._words[UNKNOWN.encode()] = len(self._words)
        keys = np.arange(len(self._words))
        return keys, np.append(probability, np.float32(NEVER)), np.append(back_off, np.float32(0))

    def _rows(self, order: int, count: int) -> list[list[bytes]]:
        """The fields of the next lines by column: probability, words, back-off weight (0 where it is left out)."""
        lines = list(islice(self._file, count))
        self._number += len(lines)
        fields = b"".join(lines).split()
        if len(lines) < count or len(fields) not in (len(lines) * (order + 1), len(lines) * (order + 2)):
            fields = self._padded(lines, order)
        if len(lines) < count:
            raise self._error(f"the file ends within its {order}-grams", "copy it again")
        width = len(fields) // len(lines)
        columns = [fields[column::width] for column in range(width)]
        return columns if width == order + 2 else [*columns, [b"0"] * len(lines)]

    def _padded(self, lines: list[bytes], order: int) -> list[bytes]:
        """Fields of lines of which some leave the back-off weight out."""
        fields: list[bytes] = []
        for index, line in enumerate(lines):
            row = line.split()
            if len(row) == order + 1:
                row.append(b"0")
            elif len(row) != order + 2:
                what = f"{_shown(line.strip())} where weight, {order} word(s) and perhaps a back-off weight belong"
                number = self._number - len(lines) + 1 + index
                raise self._error(what, "repair the line, or the count in the header", number=number)
            fields += row
        return fields

    def _weights(self, columns: list[list[bytes]]) -> tuple[list[float], list[float]]:
        try:
            probability, back_off = list(map(float, columns[0])), list(map(float, columns[-1]))
        except ValueError:
            pairs = zip(columns[0], columns[-1], strict=True)
            bad = next(i for i, pair in enumerate(pairs) if not all(map(NUMBER.fullmatch, pair)))
            raise self._bad_row(columns, bad, "a weight that is not a number") from None
        if (wrong := ~(np.array(probability) <= 0) | ~(np.array(back_off) < np.inf)).any():
            raise self._bad_row(columns, int(wrong.argmax()), "a weight that is not a log10 probability")
        return probability, back_off

    def _keys(self, columns: list[list[bytes]], order: int, keys: Ints) -> Ints:
        """The key of each row: looks up its words from the root on."""
        words, rows, before = self._words, len(columns[0]), len(self._words)
        if order == 1:
            words.update(zip(columns[1], range(before, before + rows), strict=True))
            if len(words) - before < rows:
                raise self._error("a word a second time among the 1-grams up to here", "leave one of them out")
            return np.arange(before, len(words))
        wanted = np.zeros(rows, np.int64)
        for column in range(1, order + 1):
            nodes = find(keys, wanted) + 1 if column > 1 else wanted
            if (nodes < 0).any():
                reason = f"its first {column - 1} word(s) are not among the {column - 1}-grams"
                raise self._bad_row(columns, int((nodes < 0).argmax()), reason)
            try:
                wanted = nodes * len(words) + np.fromiter(map(words.__getitem__, columns[column]), np.int64, rows)
            except KeyError:
                bad = next(i for i, word in enumerate(columns[column]) if word not in words)
                raise self._bad_row(columns, bad, "a word that is not among the 1-grams") from None
        return wanted

    def _texts(self) -> Iterator[bytes]:
        """Lines that are not empty, stripped."""
        for line in self._file:
            self._number += 1
            if text := line.strip():
                yield text

    def _expect(self, wanted: bytes) -> None:
        line = next(self._texts(), b"(the end of the file)")
        if line != wanted:
            raise self._error(f"{_shown(line)} where {wanted.decode()} belongs", "do the counts in the header fit?")

    def _bad_row(self, columns: list[list[bytes]], index: int, reason: str) -> DataError:
        number = self._number - len(columns[0]) + 1 + index
        row = b" ".join(column[index] for column in columns)
        return self._error(f"{_shown(row)}: {reason}", "write the model anew", number=number)

    def _error(self, what: str, advice: str, *, number: int | None = None) -> DataError:
        return DataError(f"{self._path}:{number or self._number}: {what}; {advice}")


def _suffixes(keys: Ints, words: int) -> npt.NDArray[np.int32]:
    """The longest proper suffix of every node that is in the model itself (the failure links of Aho and Corasick)."""
    parents, last = keys // words, keys % words
    suffix = np.zeros(len(keys) + 1, np.int32)
    first = words
    while first < len(keys):
        # An order's parents are all of the order before it, so its end is where the parents leave that order.
        end = int(np.searchsorted(parents, first + 1))
        contexts = suffix[parents[first:end]].astype(np.int64)
        found = find(keys, contexts * words + last[first:end]) + 1
        while (missing := np.flatnonzero(found < 0)).size:
            contexts[missing] = suffix[contexts[missing]]
            found[missing] = find(keys, contexts[missing] * words + last[first:end][missing]) + 1
        suffix[first + 1 : end + 1] = found
        first = end
    return suffix


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))
