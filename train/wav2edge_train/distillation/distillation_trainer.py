"""Distillation: losses between a student and its teacher, added to those of the labels.

The student learns the teacher's logits at a temperature (Hinton et al., "Distilling the Knowledge in a Neural Network",
arXiv:1503.02531), over CTC frames as over classes, and its last hidden states (Sanh et al., "DistilBERT",
arXiv:1910.01108; for speech Chang et al., "DistilHuBERT", arXiv:2110.01900). Frames are compared one by one. A student
that starts from layers of the teacher emits tokens at the same frames from the beginning; one of another family learns
from the divergence where to emit them. Hidden states are compared where both are as wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.families.framing import inside
from wav2edge_train.distillation.teacher import Teacher
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.joint_model import JointModel, JointOutput
from wav2edge_train.training_options import DistillationOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Distillation:
    """The teacher, and the weights of the losses against it."""

    teacher: Teacher
    options: DistillationOptions


class DistillationTrainer(JointTrainer):
    """Trains a student on the labels and on the teacher's outputs for the same batch.

    The teacher gets the augmented batch in the same precision, without dropout and without the masks of SpecAugment,
    and hears whole clips where a student that is to stream hears them in chunks. An evaluation counts the losses of the
    labels alone, so that it can be compared with the teacher's own.
    """

    teacher: JointModel

    def __init__(self, *args: Any, distillation: Distillation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._options = distillation.options
        self.teacher = distillation.teacher.model
        nn.Module.to(self.teacher, self.args.device).requires_grad_(False).eval()
        self.teacher.freeze_feature_encoder()
        if self.teacher.family.hears == "waveform":
            self.teacher.backbone.feature_extractor.train()  # has no dropout; three times as fast on a CPU in this mode
        student = cast(JointModel, self.model)
        if student.geometry.hop != self.teacher.geometry.hop:
            raise UsageError(
                f"frames of the student are {student.geometry.hop} samples apart, and of {distillation.teacher.name}"
                f" {self.teacher.geometry.hop}; give a base without an adapter, or the adapter of the teacher"
            )
        self._same_width = student.config.hidden_size == self.teacher.config.hidden_size
        self._student_states, self._teacher_states = _LastStates(student), _LastStates(self.teacher)

    def _prepare_inputs(self, inputs: Any) -> Any:
        """The Trainer's own; what the teacher hears is not for the student."""
        self._teacher_values = inputs.pop("teacher_values", torch.empty(0)).to(self.args.device)
        return super()._prepare_inputs(inputs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The labels' loss, and in training the weighted losses against the teacher."""
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if model.training:
            values = self._teacher_values if len(self._teacher_values) else inputs["input_values"]
            losses = self._teacher_losses(outputs, values, inputs["attention_mask"])
            self.remember(losses)
            loss = loss + sum(getattr(self._options, _WEIGHTS[name]) * part for name, part in losses.items())
        return (loss, outputs) if return_outputs else loss

    def _teacher_losses(
        self, student: JointOutput, input_values: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        with torch.no_grad(), self.accelerator.autocast():
            teacher = self.teacher(input_values, attention_mask=attention_mask)
        models = (self.joint_model, self.teacher)
        in_clip = both_inside([frames_inside(model, input_values, attention_mask) for model in models])
        frames, losses = in_clip.shape[1], {}
        if self._same_width:
            own, other = (kept.last[:, :frames] for kept in (self._student_states, self._teacher_states))
            losses["hidden_distill_loss"] = state_distance(own, other, in_clip)
        temperature = self._options.temperature
        if student.logits is not None:
            own, other = (logits[:, :frames][in_clip] for logits in (student.logits, teacher.logits))
            losses["ctc_distill_loss"] = divergence(own, other, temperature)
        if student.class_logits is not None:
            losses["class_distill_loss"] = divergence(student.class_logits, teacher.class_logits, temperature)
        return losses


_WEIGHTS = {
    "hidden_distill_loss": "hidden_distill_weight",
    "ctc_distill_loss": "ctc_distill_weight",
    "class_distill_loss": "class_distill_weight",
}
"""The option that weights each loss."""


class _LastStates:
    """Keeps the last hidden states ``[batch, frames, hidden]`` of each run of a model, however it hears its clips.

    They are what goes into the dropout under the heads.
    """

    def __init__(self, model: JointModel) -> None:
        self.last = torch.empty(0)
        model.dropout.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        (self.last,) = inputs


def frames_inside(model: JointModel, input_values: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Which frames of a batch belong to a clip and not to its padding, ``[batch, frames]`` bool."""
    counts = model.frame_counts(input_values, attention_mask)
    return inside(counts, int(model.frame_counts(input_values, None).max()))


def both_inside(masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Frames that are in a clip for both models, ``[batch, frames]`` bool; log-mel features give a frame fewer."""
    frames = min(mask.shape[1] for mask in masks)
    return torch.stack([mask[:, :frames] for mask in masks]).all(dim=0)


def divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of softened logits, ``[rows, columns]`` each, mean over rows, float32.

    It is multiplied by the squared temperature, by which its gradient shrinks (Hinton et al.).
    """
    soft_student = functional.log_softmax(student.float() / temperature, dim=-1)
    soft_teacher = functional.log_softmax(teacher.float() / temperature, dim=-1)
    return temperature**2 * functional.kl_div(soft_student, soft_teacher, log_target=True, reduction="batchmean")


def state_distance(student: torch.Tensor, teacher: torch.Tensor, in_clip: torch.Tensor) -> torch.Tensor:
    """Mean square difference of hidden states relative to the teacher's mean square, float32.

    Args:
        student: ``[batch, frames, hidden]``.
        teacher: ``[batch, frames, hidden]``.
        in_clip: ``[batch, frames]`` bool, see ``frames_inside``.
    """
    target = teacher[in_clip].float()
    return functional.mse_loss(student[in_clip].float(), target) / target.square().mean().clamp(min=1e-6)
