"""The larger model that a student learns from, or that a smaller model is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import Wav2Vec2CTCTokenizer

from wav2edge.bundle.heads import CtcHead
from wav2edge.errors import CheckpointError, DataError, UsageError
from wav2edge.evaluation.dataset import Utterance
from wav2edge_train.checkpoint.families.family_table import family_of
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import WORD_DELIMITER, Vocabulary
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.model.joint_model import HEAD_NAMES, JointModel, joint_model
from wav2edge_train.training_options import HEAD_CHOICES


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """A trained model in evaluation mode, float32 on the CPU, with its vocabulary and labels.

    ``normalize`` is whether it expects waveforms of zero mean and unit variance.
    """

    name: str
    model: JointModel
    targets: Targets
    normalize: bool = True


def load_teacher(source: str | Path) -> Teacher:
    """Load a joint or a CTC checkpoint as a teacher.

    Raises:
        CheckpointError: it cannot be used, or a student cannot copy its heads or its vocabulary.
    """
    checkpoint = load_checkpoint(source)
    config = checkpoint.model.config
    family = family_of(config)
    kinds = (joint_model(config), family.find("ForCTC"))
    if type(checkpoint.model) not in kinds:
        named = " or ".join(kind.__name__ for kind in kinds if kind is not None)
        raise CheckpointError(f"{source}: a {type(checkpoint.model).__name__}; a student can learn from a {named} only")
    ctc, classification = checkpoint.heads.ctc, checkpoint.heads.classification
    config.joint_heads = list(checkpoint.heads.names)
    model = joint_model(config)(config).eval()
    model.load_state_dict(checkpoint.model.state_dict())
    targets = Targets(
        vocabulary=None if ctc is None else _vocabulary(checkpoint, ctc),
        labels=None if classification is None else classification.labels,
    )
    return Teacher(name=checkpoint.name, model=model, targets=targets, normalize=checkpoint.normalize)


def _vocabulary(checkpoint: Checkpoint, ctc: CtcHead) -> Vocabulary:
    if ctc.word_delimiter != WORD_DELIMITER or ctc.lower_case:
        raise CheckpointError(
            f"{checkpoint.name}: its tokenizer does not separate words with {WORD_DELIMITER!r}, or changes the case of"
            " letters, which a student cannot copy; fine-tune it with wav2edge train first"
        )
    with quiet_transformers():
        unknown = Wav2Vec2CTCTokenizer.from_pretrained(str(checkpoint.folder)).unk_token
    return Vocabulary(tokens=ctc.vocabulary, unknown=unknown, blank=ctc.vocabulary[ctc.blank_id])


def student_targets(teacher: Teacher, training: Sequence[Utterance], heads: str) -> Targets:
    """The targets of a student: the teacher's vocabulary and labels, for the requested heads.

    Args:
        teacher: the model that the student learns from.
        training: rows of the training split; their transcriptions must use the teacher's letters only.
        heads: one of ``HEAD_CHOICES``; ``auto`` takes all that the teacher has.

    Raises:
        UsageError: the teacher lacks a head.
        DataError: a transcription holds a character outside the teacher's vocabulary; the message names the row.
    """
    known = {"ctc": teacher.targets.vocabulary, "classification": teacher.targets.labels}
    wanted = HEAD_CHOICES[heads] or tuple(name for name in HEAD_NAMES if known[name] is not None)
    for name in wanted:
        if known[name] is None:
            raise UsageError(f"heads {heads!r}: the teacher {teacher.name} has no {name} head to learn from")
    vocabulary = teacher.targets.vocabulary if "ctc" in wanted else None
    if vocabulary is not None:
        for _, problem in letter_problems(teacher, training):
            raise problem
    return Targets(vocabulary=vocabulary, labels=teacher.targets.labels if "classification" in wanted else None)


def letter_problems(teacher: Teacher, training: Iterable[Utterance]) -> Iterator[tuple[Utterance, DataError]]:
    """Rows with characters outside the teacher's vocabulary in their transcription, each with its message."""
    if teacher.targets.vocabulary is None:
        return
    known = {" ", *teacher.targets.vocabulary.tokens}
    for row in training:
        unknown = sorted(set(row.transcription or "") - known)
        if unknown:
            message = (
                f"{row.where}: the teacher {teacher.name} cannot write {', '.join(map(repr, unknown))}; write the"
                " transcription in its letters, or fine-tune it on this data first"
            )
            yield row, DataError(message)


def comparable_teacher(base: BaseModel, targets: Targets) -> Teacher | None:
    """The base itself, to compare a smaller model with; None where its heads are not the same."""
    if base.weights is None:
        return None
    try:
        teacher = load_teacher(base.weights)
    except CheckpointError:
        return None
    return teacher if teacher.targets == replace(targets, class_balance=None) else None
