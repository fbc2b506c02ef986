"""Utterances: sound that is recognised while it grows; and the kind for every bundle, recognised again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import ceil
from typing import Protocol

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.inference.recognizer import FloatSamples, Outputs


class Utterance(Protocol):
    """Sound from one sample of a stream on, and the outputs of the model for it so far.

    Attributes:
        settled_s: what the model says of a word hardly changes after so much more sound.
        decides: whether there are outputs at this sample whatever the load of the machine: only such decide where an
            utterance ends, and which of its words are stable.
    """

    settled_s: float
    decides: bool

    @property
    def start(self) -> int:
        """Sample of the stream at which it begins."""
        ...

    @property
    def outputs(self) -> Outputs:
        """Each head's output for the sound from ``start`` to ``heard``; empty before there is any."""
        ...

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        ...

    @property
    def heard(self) -> int:
        """The sample of the stream up to which the outputs reach."""
        ...

    def feed(self, samples: FloatSamples) -> Iterator[None]:
        """Take more sound, ``[samples]`` at 16 kHz; yields each time that there are new outputs."""
        ...

    def finish(self, end: int) -> None:
        """Recognise what is left of it, up to a sample of the stream."""
        ...

    def cut(self, position: int) -> None:
        """Leave out what was before a sample of the stream; it begins there now."""
        ...

    def settle(self, position: int) -> Outputs | None:
        """The final outputs for what was before a sample of the stream; None: those there are, are final."""
        ...

    def decide_by(self, length_s: float) -> None:
        """There is something to decide once it is so long: have outputs for it then."""
        ...


class WindowedUtterance:
    """One utterance, recognised anew after every step of sound; see ``Utterance``.

    Where recognising takes longer than half a step, steps are left out: a live stream must not fall behind. Those that
    decide are not, or what is final would depend on the load of the machine. They lie further apart the longer the
    utterance is, so that only a machine that needs a sixteenth of its length to recognise it has them later.

    Args:
        outputs: each head's output for samples.
        start: sample of the stream at which it begins.
        step: samples from one answer to the next.
    """

    settled_s = 0.8
    decides = False

    def __init__(self, outputs: Callable[[FloatSamples], Outputs], *, start: int, step: int) -> None:
        self.start, self._run, self._step = start, outputs, step
        self._sound = np.zeros(0, np.float32)
        self._heard, self._next = 0, step
        self._settled = round(self.settled_s * SAMPLE_RATE_HZ)
        self._due = self._later(self._settled)  # the next answer that decides
        self.outputs: Outputs = {}

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        return self.start + len(self._sound)

    @property
    def heard(self) -> int:
        """The sample of the stream up to which the outputs reach."""
        return self.start + self._heard

    def feed(self, samples: FloatSamples) -> Iterator[None]:
        """Take more sound; after each step there are new outputs."""
        while len(samples):
            missing = self._next - len(self._sound)
            self._sound = np.concatenate([self._sound, samples[:missing]])
            samples = samples[missing:]
            if len(self._sound) == self._next:
                self._recognise(self._next)
                yield

    def finish(self, end: int) -> None:
        """Recognise it up to its end, a sample of the stream."""
        if end != self.heard or not self.outputs:
            self._recognise(max(1, min(end, self.taken) - self.start))

    def cut(self, position: int) -> None:
        """Forget what was before a sample of the stream; there are new outputs then."""
        self._sound = self._sound[position - self.start :]
        self.start, self._due = position, len(self._sound)
        self._recognise(len(self._sound))

    def settle(self, position: int) -> None:
        """See ``Utterance``: what was said before stays as it is."""

    def decide_by(self, length_s: float) -> None:
        """See ``Utterance``."""
        samples = round(min(length_s * SAMPLE_RATE_HZ, self._due))
        self._due = self._later(samples - self._heard)
        self._next = min(self._next, self._due)

    def _later(self, samples: int) -> int:
        """The end of the first step that is so many samples or more after the latest answer."""
        return self._heard + self._step * max(1, ceil(samples / self._step))

    def _recognise(self, samples: int) -> None:
        begun_s = time.perf_counter()
        self.outputs = self._run(self._sound[:samples])
        spent = round((time.perf_counter() - begun_s) * SAMPLE_RATE_HZ)
        self._heard, self.decides = samples, samples == self._due
        soonest = self._later(2 * spent)
        if self.decides:
            self._due = max(soonest, self._later(max(samples, self._settled) // 8))
        self._next = min(self._due, soonest)
