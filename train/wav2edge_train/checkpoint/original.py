"""The PyTorch model as something to evaluate, and to hold a bundle against."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge_train.checkpoint.families.family_table import shortest_clip
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
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if the model needs a longer clip.
        """
        waveform = np.pad(samples, (0, max(0, shortest_clip(self.checkpoint.model.config) - len(samples))))
        if self.checkpoint.normalize and not self._how:  # chunks are normalised by the sound up to their own end
            waveform = zero_mean_unit_variance(waveform)
        model = self.checkpoint.model
        with torch.inference_mode():
            inputs = {name: values.to(model.device) for name, values in self._inputs(waveform).items()}
            outputs = model(**inputs, **self._how)
        frames = max(1, self.geometry.frames(len(samples)))
        # Half a frame of log-mel features is masked, but answered to; and so are frames of padding.
        ends = {name: frames if name in self.heads.framed else None for name in self.heads.outputs}
        return {name: outputs[name][0, :end].cpu().numpy() for name, end in ends.items()}

    def _inputs(self, waveform: FloatSamples) -> dict[str, torch.Tensor]:
        """What the model takes, with its batch axis: the waveform, or its features and which of their frames count."""
        if self.checkpoint.log_mel is None:
            return {"input_values": torch.from_numpy(waveform)[None]}
        features = dict(self.checkpoint.log_mel(waveform, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"))
        if self.heads.embedding is not None:
            # transformers 4.57 counts the windows of its time-delay layers without their dilation, and so takes those
            # that see a masked frame into the statistics: here there is no such frame.
            own = int(features.pop("attention_mask").sum())
            features["input_features"] = features["input_features"][:, :own]
        return features


def load_original(source: str | Path, *, language: str | None = None) -> Original:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate, on a GPU where there is one.

    ``language`` is that of ``load_checkpoint``.

    Raises:
        CheckpointError: it cannot be used.
    """
    checkpoint = load_checkpoint(source, language=language)
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = False  # by default convolutions round their inputs to ten bits
        cast(Any, checkpoint.model).to("cuda")
    return Original(checkpoint)
