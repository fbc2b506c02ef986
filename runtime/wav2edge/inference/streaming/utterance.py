"""What the two kinds of streams share: an utterance that is recognised while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from wav2edge.inference.recognizer import FloatSamples, Outputs


class Utterance(Protocol):
    """Sound from one sample of a stream on, and the outputs of the model for it so far.

    Attributes:
        start: sample of the stream at which it begins.
        settled_s: what the model says of a word hardly changes after so much more sound.
    """

    start: int
    settled_s: float

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
