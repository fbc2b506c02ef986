"""What stands between a graph's waveforms and its model: padding, normalisation or log-mel features, and cut answers.

Most models take waveforms, some of zero mean and unit variance. Two kinds need more: an encoder that squeezes frames
has no answer to fewer than it squeezes, and wav2vec2-BERT takes log-mel features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge_export.rewrite.inputs.waveform_normalization import ZeroMeanUnitVariance
from wav2edge_train.checkpoint.families.family_table import geometry_of, shortest_clip
from wav2edge_train.checkpoint.families.framing import frame_counts, inside
from wav2edge_train.checkpoint.loading import Checkpoint


class Waveforms(nn.Module):
    """Waveforms as they are, or normalised.

    Args:
        geometry: how samples become frames.
        normalize: to zero mean and unit variance.
    """

    def __init__(self, geometry: ConvGeometry, *, normalize: bool) -> None:
        super().__init__()
        self.geometry = geometry
        self.normalization = ZeroMeanUnitVariance() if normalize else None

    def forward(self, input_values: Tensor, *mask: Tensor) -> tuple[Tensor, ...]:
        """What the model is called with: input_values and mask [batch, samples], and again."""
        return input_values if self.normalization is None else self.normalization(input_values, *mask), *mask

    def cut(self, answers: Tensor, input_values: Tensor) -> Tensor:
        """The answers to the frames of the clips alone: [batch, frames, ...] -> the same, or fewer frames."""
        return answers

    def own(self, answers: Tensor, input_values: Tensor) -> Tensor:
        """As many answers as the clips have frames."""
        return answers[:, : (input_values.shape[1] - self.geometry.receptive_field) // self.geometry.hop + 1]


class LengthenedWaveforms(Waveforms):
    """Clips that are too short for the model get zeros behind them, and answers to these are cut off.

    Args:
        geometry: how samples become frames.
        normalize: to zero mean and unit variance.
        shortest: samples of the shortest clip that the model can answer to.
    """

    def __init__(self, geometry: ConvGeometry, *, normalize: bool, shortest: int) -> None:
        super().__init__(geometry, normalize=normalize)
        self.shortest = shortest

    def forward(self, input_values: Tensor, *mask: Tensor) -> tuple[Tensor, ...]:
        """What the model is called with: input_values [batch, samples] -> the same, or more samples."""
        # Of max() the tracer would keep one case.
        missing = torch.as_tensor(self.shortest - input_values.shape[1]).clamp(min=0)
        return super().forward(nn.functional.pad(input_values, (0, missing)), *mask)  # type: ignore[arg-type]

    def cut(self, answers: Tensor, input_values: Tensor) -> Tensor:
        """The answers to the frames of the clips alone: [batch, frames, ...] -> the same, or fewer frames."""
        return self.own(answers, input_values)


class LogMel(Waveforms):
    """Log-mel features; half a frame at the end of a clip is left out."""

    def __init__(self, geometry: ConvGeometry, *, bands: int) -> None:
        super().__init__(geometry, normalize=False)
        from wav2edge_train.checkpoint.families.log_mel import LogMelFeatures  # here: one family needs it

        self.features = LogMelFeatures(bands)

    def forward(self, input_values: Tensor, *mask: Tensor) -> tuple[Tensor, ...]:
        """What the model is called with: the features [batch, frames, 2 * bands], and the mask as it is."""
        return self.features(input_values, *mask), *mask


class MaskedLogMel(LogMel):
    """Log-mel features with half a frame at the end, masked, as transformers has them: an adapter sees what it became.

    Args:
        geometry: how samples become frames of the outputs.
        bands: mel bands.
        encoder: how samples become frames below the adapter.
    """

    def __init__(self, geometry: ConvGeometry, *, bands: int, encoder: ConvGeometry) -> None:
        super().__init__(geometry, bands=bands)
        self.encoder = encoder

    def forward(self, input_values: Tensor, *mask: Tensor) -> tuple[Tensor, ...]:
        """What the model is called with: features [batch, frames, 2 * bands] and their mask [batch, frames]."""
        features = self.features(input_values, half_frame=True)
        samples = torch.ones_like(input_values, dtype=torch.long).sum(dim=1)
        counts = frame_counts(samples, self.encoder.receptive_field, self.encoder.hop)
        return features, inside(counts, features.shape[1])

    def cut(self, answers: Tensor, input_values: Tensor) -> Tensor:
        """The answers to the frames of the clips alone: [batch, frames, ...] -> the same, or a frame fewer."""
        return self.own(answers, input_values)


def inputs_of(checkpoint: Checkpoint) -> Waveforms:
    """What the model of a checkpoint needs."""
    config, geometry = checkpoint.model.config, checkpoint.geometry
    if checkpoint.log_mel is not None:
        bands = checkpoint.log_mel.num_mel_bins
        if geometry == (encoder := geometry_of(config, adapter=False)):
            return LogMel(geometry, bands=bands)
        return MaskedLogMel(geometry, bands=bands, encoder=encoder)
    shortest = shortest_clip(config)
    if shortest == geometry.receptive_field:
        return Waveforms(geometry, normalize=checkpoint.normalize)
    return LengthenedWaveforms(geometry, normalize=checkpoint.normalize, shortest=shortest)
