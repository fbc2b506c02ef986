"""What a stream says: partial answers while somebody speaks, and a final one when they stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from wav2edge.output.result import Segment


@dataclass(frozen=True, kw_only=True)
class Partial(Segment):
    """The answer so far to an utterance that goes on. Times are on the stream's clock: seconds of sound since it began.

    The first ``stable_words`` words of the text do not change any more. ``latency_s`` is how long after ``end_s``, up
    to where the sound was recognised, the event came: the sound that was waited for and the time to compute.
    """

    stable_words: int = 0
    latency_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON-ready values."""
        found = {"stable_words": self.stable_words, "latency_s": round(self.latency_s, 4)}
        return {"type": "partial", **super().to_dict(), **found}


@dataclass(frozen=True, kw_only=True)
class Final(Segment):
    """The answer to an utterance that has ended; it does not change any more.

    ``reason`` is what ended it, one of ``REASONS``. ``latency_s`` is how long after ``end_s``, the end of the speech,
    the event came: the silence that was waited for and the time to compute.
    """

    reason: str = "silence"
    latency_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON-ready values."""
        return {"type": "final", **super().to_dict(), "reason": self.reason, "latency_s": round(self.latency_s, 4)}


REASONS = {
    "silence": "voice activity ended",
    "blank": "sound went on, and nothing was recognised in it",
    "length": "the utterance went on too long; what follows is another",
    "gap": "sound was lost behind it",
    "finish": "the stream ended",
}
"""What ends an utterance."""

Event: TypeAlias = Partial | Final
