"""The best path of a known token sequence through CTC log probabilities, exact and in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wav2edge.decoding.ctc import FloatArray
from wav2edge.errors import AlignmentError

States = npt.NDArray[np.int32]

BLOCK_FRAMES = 1024
"""Frames between two columns that are kept. An hour (180,000 frames, 15,000 tokens) keeps 42 MB of them, and the
choices of one block take 3 MB."""


def viterbi(log_probabilities: FloatArray, ids: Sequence[int], blank_id: int) -> States:
    """The most probable CTC path that spells ``ids``, as the state of each frame.

    State ``2 * i + 1`` is token ``i``; states ``2 * i`` and ``2 * i + 2`` are the blanks before and after it. The
    topology is that of Graves et al., "Connectionist Temporal Classification", ICML 2006, section 4.1: a path may
    stay, go to the next state, or leave a blank out between two different tokens.

    The search is exact. The forward pass keeps one column in ``BLOCK_FRAMES``; from each of them a block is computed
    once more for the trace back, and there only the states from which its last one can be reached (checkpoints:
    Grice, Hughey and Speck, "Reduced space sequence alignment", CABIOS 13(1), 1997).

    Args:
        log_probabilities: ``[frames, vocabulary]`` natural logs, finite or minus infinity.
        ids: ``[tokens]`` columns, none of them the blank.
        blank_id: the column of the blank.

    Returns:
        ``[frames] int32``, never decreasing.

    Raises:
        AlignmentError: the tokens need more frames, or every path has the probability zero.
    """
    tokens = np.asarray(ids, np.intp)
    check_length(len(log_probabilities), tokens)
    if not len(tokens):
        return np.zeros(len(log_probabilities), np.int32)
    return _Trellis(log_probabilities, tokens, blank_id).best_path()


def frames_needed(ids: Sequence[int] | npt.NDArray[np.intp]) -> int:
    """Frames that a path needs at least: one per token, and one per blank between equal neighbours."""
    tokens = np.asarray(ids, np.intp)
    return len(tokens) + int((tokens[1:] == tokens[:-1]).sum())


def check_length(frames: int, ids: Sequence[int] | npt.NDArray[np.intp]) -> None:
    """Refuse tokens that do not fit into so many frames.

    Raises:
        AlignmentError: they need more.
    """
    if (needed := frames_needed(ids)) > frames:
        raise AlignmentError(
            f"the text has {len(ids)} tokens and needs {needed} frames, and the audio has {frames}:"
            " check that the text is that of this recording"
        )


Column = npt.NDArray[np.float64]
"""``[2, tokens + 1]``, the log probabilities of the best paths to the states of one frame: of the tokens, each above
the blank that follows it, so that the first entry is the token before the first; and of the blanks.
"""


class _Window:
    """A run of neighbouring tokens, and a column that goes from frame to frame."""

    def __init__(self, column: Column, ids: npt.NDArray[np.intp], no_skip: npt.NDArray[np.float64]) -> None:
        """Take over the column ``[2, tokens + 1]`` before the first frame.

        Args:
            column: it is written to.
            ids: ``[tokens]``.
            no_skip: ``[tokens]``, minus infinity where the blank before a token cannot be left out, else 0.
        """
        self.column, self._ids, self._no_skip = column, ids, no_skip
        self._scratch = np.empty((3, len(ids)))

    def step(
        self,
        frame: npt.NDArray[np.float64],
        blank_id: int,
        *,
        first: int = 0,
        last: int | None = None,
        choices: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Go to the next frame.

        Args:
            frame: its log probabilities, ``[vocabulary]``.
            blank_id: the column of the blank.
            first: first token to compute; those before it stand as they are.
            last: the token after the last to compute.
            choices: ``[3, tokens + 1]``, filled in where a path came from: to a blank from the token before it; to a
                token from the blank before it; to a token from the token before it.
        """
        last = len(self._ids) if last is None else last
        tokens, blanks = self.column[:, first : last + 1]
        best, skip, emission = self._scratch[:, : last - first]
        np.maximum(tokens[1:], blanks[:-1], out=best)
        np.add(tokens[:-1], self._no_skip[first:last], out=skip)
        if choices is not None:
            np.greater(tokens, blanks, out=choices[0])
            np.greater(blanks[:-1], tokens[1:], out=choices[1, :-1])
            np.greater(skip, best, out=choices[2, :-1])
        np.maximum(best, skip, out=best)
        np.maximum(blanks, tokens, out=blanks)
        blanks += frame[blank_id]
        np.take(frame, self._ids[first:last], out=emission, mode="clip")  # "raise" would go through a buffer
        np.add(best, emission, out=tokens[1:])


class _Trellis:
    """Every state of every frame, of which only a part is in memory."""

    def __init__(self, log_probabilities: FloatArray, ids: npt.NDArray[np.intp], blank_id: int) -> None:
        self._log_probabilities, self._ids, self._blank_id = log_probabilities, ids, blank_id
        self._no_skip = np.where(np.r_[False, ids[1:] == ids[:-1]], -np.inf, 0.0)
        self._starts = range(0, len(log_probabilities), BLOCK_FRAMES)

    def best_path(self) -> States:
        """The state of each frame."""
        states = np.empty(len(self._log_probabilities), np.int32)
        state = None
        columns = self._columns()
        for start in reversed(self._starts):
            state = self._trace_back(start, columns.pop(), state, states[start : start + BLOCK_FRAMES])
        return states

    def _columns(self) -> list[Column]:
        """The column before each block."""
        frames, tokens = len(self._log_probabilities), len(self._ids)
        column = np.full((2, tokens + 1), -np.inf)
        column[1, 0] = 0.0  # every path begins as if it came from the first blank
        columns, window = [column.copy()], _Window(column, self._ids, self._no_skip)
        for start in self._starts[:-1]:
            for place, frame in enumerate(self._block(start), start):
                # Only what the first frame reaches, and what reaches the last.
                first, last = max(0, tokens - (frames - place)), min(tokens, place + 1)
                window.step(frame, self._blank_id, first=first, last=last)
            columns.append(column.copy())
        return columns

    def _block(self, start: int) -> npt.NDArray[np.float64]:
        return np.asarray(self._log_probabilities[start : start + BLOCK_FRAMES], np.float64)

    def _trace_back(self, start: int, column: Column, state: int | None, states: States) -> int:
        """Fill in the states of one block, and return the one that the block before it must end in.

        Args:
            start: first frame of the block.
            column: the column before it.
            state: the state that the block must end in; None: one of the last two, whichever is better.
            states: the block's part of the path.
        """
        frames = self._block(start)
        last = len(self._ids) if state is None else min(len(self._ids), state // 2 + 1)
        first = max(0, last - 1 - len(frames))  # no path from a token before it gets there in so many frames
        window = _Window(column[:, first : last + 1].copy(), self._ids[first:last], self._no_skip[first:last])
        choices = np.empty((len(frames), 3, last - first + 1), np.bool_)
        for frame, chosen in zip(frames, choices, strict=True):
            window.step(frame, self._blank_id, choices=chosen)
        state = (self._end(window.column) if state is None else state) - 2 * first
        for place in range(len(frames) - 1, -1, -1):
            states[place] = state + 2 * first
            state -= _steps_back(choices[place], state)
        return state + 2 * first

    def _end(self, column: Column) -> int:
        """The better of the two states that a path may end in: the last token or the last blank."""
        token, blank = column[:, -1]
        if max(blank, token) == -np.inf:
            raise AlignmentError("every path through the audio that spells the text has the probability zero")
        return 2 * len(self._ids) - int(token >= blank)


def _steps_back(choices: npt.NDArray[np.bool_], state: int) -> int:
    place, is_token = divmod(state, 2)
    if not is_token:
        return int(choices[0, place])
    return 2 if choices[2, place] else int(choices[1, place])
