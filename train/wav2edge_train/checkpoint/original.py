"""The PyTorch model as something to evaluate, and to hold a bundle against."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch

from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.model.chunked_encoder import Chunking


class Original(Recognizer):
    """Recognises clips with a PyTorch checkpoint.

    Args:
        checkpoint: as ``load_checkpoint`` gives it.
        chunking: it hears each clip as a stream, cut in this way; whole where None.
    """

    def __init__(self, checkpoint: Checkpoint, chunking: Chunking | None = None) -> None:
        self.checkpoint, self._how = checkpoint, {} if chunking is None else {"chunking": chunking}

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
        if self.checkpoint.normalize and not self._how:  # chunks are normalised by the sound up to their own end
            waveform = zero_mean_unit_variance(waveform)
        model = self.checkpoint.model
        with torch.inference_mode():
            outputs = model(torch.from_numpy(waveform)[None].to(model.device), **self._how)
        return {name: outputs[name][0].cpu().numpy() for name in self.heads.outputs}


def load_original(source: str | Path) -> Original:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate, on a GPU where there is one.

    Raises:
        CheckpointError: it cannot be used.
    """
    checkpoint = load_checkpoint(source)
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = False  # by default convolutions round their inputs to ten bits
        cast(Any, checkpoint.model).to("cuda")
    return Original(checkpoint)
