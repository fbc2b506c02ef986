"""A checkpoint behind the interface of an engine, in PyTorch: the original that a bundle has to answer like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from wav2edge.audio import AudioSource, Clip, load_clip
from wav2edge.decoding import answer
from wav2edge.errors import Wav2EdgeError
from wav2edge.geometry import ConvGeometry
from wav2edge.heads import Heads
from wav2edge.result import Result
from wav2edge_train.checkpoint import Checkpoint, load_checkpoint

EPSILON = 1e-7
"""Added to the variance, as transformers' ``Wav2Vec2FeatureExtractor`` does."""


class Reference:
    """Answers clips with a checkpoint, one at a time and without a mask, so that padding never enters."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @property
    def heads(self) -> Heads:
        """What the outputs mean."""
        return self.checkpoint.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.checkpoint.geometry

    def __call__(self, source: AudioSource, *, rate_hz: int | None = None) -> Result:
        """Answer one clip; see ``wav2edge.audio.load_clip`` for what a clip may be.

        Raises:
            AudioError: the clip cannot be answered.
        """
        return self._answer(load_clip(source, rate_hz=rate_hz))

    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise", "return"] = "return",
    ) -> Iterator[Result | Wav2EdgeError]:
        """Answer many clips, in order; a clip that cannot be answered yields its error, or raises it."""
        for source in sources:
            try:
                yield self(source, rate_hz=rate_hz)
            except Wav2EdgeError as error:
                if errors == "raise":
                    raise
                yield error

    def outputs(self, samples: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros here if no frame fits.
        """
        short = self.geometry.receptive_field - len(samples)
        waveform = np.pad(samples, (0, short)) if short > 0 else samples
        if self.checkpoint.normalize:
            waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + EPSILON)
        with torch.inference_mode():
            found = self.checkpoint.model(torch.from_numpy(np.asarray(waveform, np.float32))[None])
        return {name: found[name][0].numpy() for name in self.heads.outputs}

    def _answer(self, clip: Clip) -> Result:
        warnings = clip.warnings
        if len(clip.samples) < self.geometry.receptive_field:
            warnings = (*warnings, f"only {clip.duration_s * 1e3:.0f} ms long: silence was added")
        return answer(
            self.outputs(clip.samples), self.heads, self.geometry, duration_s=clip.duration_s, warnings=warnings
        )


def load_reference(source: str | Path) -> Reference:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate.

    Raises:
        CheckpointError: it cannot be used.
    """
    return Reference(load_checkpoint(source))
