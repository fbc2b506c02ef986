"""Which clips judge: the certificate's, and apart from them those on which ``auto`` compares the layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError, DataError
from wav2edge.evaluation.dataset import Utterance, read_dataset
from wav2edge.evaluation.evaluator import choose_split
from wav2edge.evaluation.parity.signals import voiced

SEARCH_SPLITS = ("validation", "train")
"""Splits to compare the layers on, the better one first, where the certificate is not judged on them."""
SYNTHETIC_DURATIONS_S = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True, kw_only=True)
class Judges:
    """``utterances`` judge every certificate; ``search`` compares the layers for ``auto``, and ``told`` says which."""

    utterances: Sequence[Utterance] = ()
    search: Sequence[Utterance] = ()
    told: str = "synthetic signals, since no --data was given: nothing is known of WER or accuracy"

    def search_clips(self, most: int) -> list[npt.NDArray[np.float32]]:
        """Clips to compare the layers on, ``[samples] float32`` each: so many at most, evenly drawn."""
        if not self.search:
            durations_s = enumerate(SYNTHETIC_DURATIONS_S[:most])
            return [voiced(round(length_s * SAMPLE_RATE_HZ), seed=seed) for seed, length_s in durations_s]
        every = max(1, len(self.search) // most)
        clips = list(islice(_readable(self.search[::every]), most))
        if not clips:
            raise DataError(f"{self.search[0].where}: none of the clips to compare the layers on can be read")
        return clips


def choose_judges(
    data: Path | None, *, split: str | None = None, max_clips: int | None = None, search: bool = False
) -> Judges:
    """Read the data set and divide it.

    Args:
        data: the data set; None where there is none.
        split: which rows the certificate is judged on, as ``choose_split`` takes it.
        max_clips: judge on the first of them.
        search: clips are wanted to compare the layers on, too. They are another split's, or every second one of the
            certificate's, which then judges nothing.

    Raises:
        DataError: the data set cannot be used.
    """
    if data is None:
        return Judges()
    rows = read_dataset(data)
    judges = choose_split(rows, split)[:max_clips]
    if not search:
        return Judges(utterances=judges)
    taken = {row.split for row in judges}
    for name in SEARCH_SPLITS:
        found = [row for row in rows if row.split == name and name not in taken]
        if found:
            return Judges(utterances=judges, search=found, told=f"clips of the split {name}")
    if len(judges) < 2:
        raise DataError(f"{data}: auto needs two clips at least, one to compare the layers on and one to judge")
    return Judges(utterances=judges[1::2], search=judges[::2], told="every second clip, which then judges nothing")


def _readable(rows: Sequence[Utterance]) -> Iterator[npt.NDArray[np.float32]]:
    for row in rows:
        with suppress(AudioError):  # the certificate counts those that it cannot read; here others take their place
            yield load_clip(row.path).samples
