"""The PyTorch original behind the interface of an engine, for a bundle to be compared with."""

from __future__ import annotations

from pathlib import Path

import torch

from wav2edge.audio.normalization import zero_mean_unit_variance
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint


class Original(Recognizer):
    """Recognises clips with a PyTorch checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        return self.checkpoint.name

    @property
    def heads(self) -> Heads:
        """The meaning of the outputs."""
        return self.checkpoint.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.checkpoint.geometry

    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if it is shorter than one frame.
        """
        waveform = self.geometry.pad_to_frame(samples)
        if self.checkpoint.normalize:
            waveform = zero_mean_unit_variance(waveform)
        with torch.inference_mode():
            outputs = self.checkpoint.model(torch.from_numpy(waveform)[None])
        return {name: outputs[name][0].numpy() for name in self.heads.outputs}


def load_original(source: str | Path) -> Original:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate.

    Raises:
        CheckpointError: it cannot be used.
    """
    return Original(load_checkpoint(source))
