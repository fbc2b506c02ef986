"""What real clips say of a variant: how many of its answers differ from the original's, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wav2edge.evaluation.parity.differences import ClipComparison
from wav2edge.evaluation.rates import Interval, PairedRate, paired_rate, share_interval


@dataclass(frozen=True, kw_only=True)
class ClipEvidence:
    """The agreement on real clips; ``longest_s`` is the duration of the longest of them.

    ``unreadable`` clips are not among ``clips``. ``frame_agreement`` and ``relative_error`` are None where the
    original's predictions are recorded and its outputs are not. ``changed_frame_labels`` counts the clips in which a
    frame has other labels, and ``embedding_distance`` is the largest cosine distance of two embeddings of a clip; both
    are None without such a head.
    """

    clips: int
    unreadable: int
    longest_s: float | None
    frame_agreement: float | None
    relative_error: float | None
    changed_transcripts: int
    changed_classes: int
    wer: PairedRate | None
    accuracy: PairedRate | None
    changed_frame_labels: int | None = None
    embedding_distance: float | None = None

    @classmethod
    def of(cls, comparisons: Sequence[ClipComparison], *, attempted: int) -> ClipEvidence:
        """Summarise the comparisons of those clips that could be read, out of the ``attempted`` ones."""
        differences = [each.difference for each in comparisons if each.difference is not None]
        agreements = [each.frame_agreement for each in differences if each.frame_agreement is not None]
        transcribed = [
            (each.edits, each.words) for each in comparisons if each.edits is not None and each.words is not None
        ]
        labelled = [each.hits for each in comparisons if each.hits is not None]
        framed = [each.frame_labels_changed for each in comparisons if each.frame_labels_changed is not None]
        distances = [each.embedding_distance for each in comparisons if each.embedding_distance is not None]
        return cls(
            clips=len(comparisons),
            unreadable=attempted - len(comparisons),
            longest_s=max((each.duration_s for each in comparisons), default=None),
            frame_agreement=float(np.mean(agreements)) if agreements else None,
            relative_error=max((each.relative_error for each in differences), default=None),
            changed_transcripts=sum(each.transcript_changed for each in comparisons),
            changed_classes=sum(each.class_changed for each in comparisons),
            wer=paired_rate([edits for edits, _ in transcribed], [words for _, words in transcribed]),
            accuracy=paired_rate(labelled, [1] * len(labelled)),
            changed_frame_labels=sum(framed) if framed else None,
            embedding_distance=max(distances, default=None),
        )

    @property
    def changed_results(self) -> int:
        """Clips with another transcript, class, or label of a frame, whichever are most."""
        return max(self.changed_transcripts, self.changed_classes, self.changed_frame_labels or 0)

    @property
    def rates(self) -> dict[str, PairedRate]:
        """The rates that the data set allows to count, by their usual names."""
        rates = {"WER": self.wer, "accuracy": self.accuracy}
        return {name: rate for name, rate in rates.items() if rate is not None}

    @property
    def summary(self) -> str:
        """One line, with 95 % intervals."""
        changes = {"transcripts": self.changed_transcripts, "classes": self.changed_classes}
        if self.changed_frame_labels is not None:
            changes = {"clips' frame labels": self.changed_frame_labels}
        parts = [
            f"{count} of {self.clips} {name} changed ({_percent(share_interval(count, self.clips))} at 95 %)"
            for name, count in changes.items()
        ]
        if self.changed_frame_labels is not None and self.frame_agreement is not None:
            parts.append(f"{self.frame_agreement:.2%} of the frames alike")
        if self.embedding_distance is not None:
            parts = [f"embeddings of {self.clips} clips within a cosine distance of {self.embedding_distance:.2g}"]
        return ", ".join([*parts, *(f"{name} {rate}" for name, rate in self.rates.items())])


def _percent(interval: Interval) -> str:
    return " to ".join(f"{end:.1%}" for end in interval)
