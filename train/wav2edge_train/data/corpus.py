"""From a data set on disk to the two splits that a training needs, with what its heads are taught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance, label_order, read_dataset, select_split
from wav2edge.output.progress import track
from wav2edge_train.data.augmentation import AUGMENTATIONS
from wav2edge_train.data.clips import ClipDataset, Example, Targets, leave_out_too_short, prepare_examples
from wav2edge_train.data.data_warnings import data_warnings, length_warnings
from wav2edge_train.data.vocabulary import build_vocabulary
from wav2edge_train.distillation.teacher import Teacher, taught_by
from wav2edge_train.model.base_model import Base
from wav2edge_train.model.joint_model import HEAD_NAMES
from wav2edge_train.training_options import HEAD_CHOICES, TrainingOptions

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """The two splits, ready for batches; ``transcriptions`` are those of the validation clips, as they were written.

    ``left_out`` counts the training clips that are too short for their transcription.
    """

    targets: Targets
    training: ClipDataset
    validation: ClipDataset
    transcriptions: tuple[str, ...]
    left_out: int = 0

    @property
    def shortest_frames(self) -> int:
        """Frames of the shortest clip of both."""
        return min(self.training.shortest_frames, self.validation.shortest_frames)


def prepare_corpus(
    data: Path, base: Base, options: TrainingOptions, say: Say, *, teacher: Teacher | None = None
) -> Corpus:
    """Read and check both splits; vocabulary and labels come from the training split alone, or from the teacher.

    Raises:
        DataError: the data set cannot be trained on; the message names the row.
    """
    utterances = read_dataset(data)
    rows = {name: select_split(utterances, name) for name in ("train", "validation")}
    targets = taught_by(teacher, rows["train"], options.heads) if teacher else choose_targets(rows["train"], options)
    if options.class_balance == "balanced":
        targets = balanced(targets, rows["train"])
    examples = {name: load_examples(split, name, targets, base) for name, split in rows.items()}
    kept = leave_out_too_short(examples["train"], base.geometry, say)
    everything = (example for split in examples.values() for example in split)
    for doubt in (*data_warnings(utterances, targets), *length_warnings(everything)):
        say(f"warning: {doubt}")
    augmentation = AUGMENTATIONS[options.augmentation]
    return Corpus(
        targets=targets,
        training=ClipDataset(kept, base.geometry, augmentation=augmentation, seed=options.seed),
        validation=ClipDataset(examples["validation"], base.geometry),
        transcriptions=tuple(row.transcription or "" for row in rows["validation"]),
        left_out=len(examples["train"]) - len(kept),
    )


def choose_targets(training: Sequence[Utterance], options: TrainingOptions) -> Targets:
    """Vocabulary and labels of the training split, for the heads that are asked for or that the data can teach.

    Raises:
        DataError: the data set teaches neither head.
    """
    taught = {
        "ctc": any(row.transcription for row in training),
        "classification": any(row.label for row in training),
    }
    wanted = HEAD_CHOICES[options.heads] or tuple(name for name in HEAD_NAMES if taught[name])
    missing = [name for name in wanted if not taught[name]]
    if not wanted or missing:
        column = {"ctc": "transcription", "classification": "label"}.get("".join(missing[:1]), "transcription or label")
        raise DataError(f"{training[0].where}: no row of the training split has a {column}; add that column")
    names = [row.label for row in training if row.label]
    return Targets(
        vocabulary=build_vocabulary(training) if "ctc" in wanted else None,
        labels=label_order(names) if "classification" in wanted else None,
    )


def balanced(targets: Targets, training: Sequence[Utterance]) -> Targets:
    """The same targets with rare classes weighing more: ``clips / (classes * clips of the class)`` for each class.

    As scikit-learn's ``class_weight="balanced"`` has it; King and Zeng, "Logistic regression in rare events data",
    Political Analysis 2001. A class of a teacher's that no training clip has keeps weight 1.
    """
    if targets.labels is None:
        return targets
    counts = Counter(row.label for row in training if row.label)
    weights = (counts.total() / (len(counts) * counts[name]) if counts[name] else 1.0 for name in targets.labels)
    return replace(targets, class_balance=tuple(weights))


def load_examples(rows: Sequence[Utterance], split: str, targets: Targets, base: Base) -> list[Example]:
    """The clips of a split in memory, with a bar while they are read."""
    return list(track(prepare_examples(rows, targets, base.geometry), f"reading {split}", len(rows)))
