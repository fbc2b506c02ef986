"""The demo's last stage: unseen voices as one stream, so that words appear while they are spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import wav2edge
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance

UTTERANCES, PAUSE_S, BLOCK_S = 3, 1.0, 0.02


def streamed_lines(bundle: Path, rows: Sequence[Utterance]) -> Iterator[str]:
    """A line for each answer of a stream of a few clips: when it came, and the words so far; a final one has its class.

    Args:
        bundle: the demo's bundle.
        rows: clips to choose from.
    """
    sound, block = join(rows[:: max(1, len(rows) // UTTERANCES)][:UTTERANCES]), round(BLOCK_S * SAMPLE_RATE_HZ)
    with wav2edge.load(bundle).stream() as stream:
        for at in range(0, len(sound), block):
            yield from (_line(event, stream.clock_s) for event in stream.feed(sound[at : at + block]))
        yield from (_line(event, stream.clock_s) for event in stream.finish())
        yield f"{stream.clock_s:.1f} s of sound took {stream.compute_s:.2f} s"


def join(rows: Sequence[Utterance]) -> npt.NDArray[np.float32]:
    """Clips with pauses around them, ``[samples]`` at 16 kHz."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([pause, *(part for row in rows for part in (load_clip(row.path).samples, pause))])


def _line(event: wav2edge.Partial | wav2edge.Final, clock_s: float) -> str:
    if isinstance(event, wav2edge.Final):
        return f"{clock_s:5.1f} s  {event.text}   [{event.label}]"
    return f"{clock_s:5.1f} s  {event.text} ..."
