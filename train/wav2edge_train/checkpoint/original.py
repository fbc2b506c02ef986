"""A checkpoint behind the interface of an engine, in PyTorch: the original that a bundle has to answer like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint

EPSILON = 1e-7
"""Added to the variance, as transformers' ``Wav2Vec2FeatureExtractor`` does."""


class Reference(Recognizer):
    """Answers clips with a checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        return self.checkpoint.name

    @property
    def heads(self) -> Heads:
        """What the outputs mean."""
        return self.checkpoint.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.checkpoint.geometry

    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros here if no frame fits.
        """
        waveform = self.pad_to_a_frame(samples)
        if self.checkpoint.normalize:
            waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + EPSILON)
        with torch.inference_mode():
            found = self.checkpoint.model(torch.from_numpy(np.asarray(waveform, np.float32))[None])
        return {name: found[name][0].numpy() for name in self.heads.outputs}


def load_reference(source: str | Path) -> Reference:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate.

    Raises:
        CheckpointError: it cannot be used.
    """
    return Reference(load_checkpoint(source))
