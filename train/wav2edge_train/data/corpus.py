"""From a data set on disk to the two splits of a training, and to the targets of its heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance, label_order, read_dataset, select_split
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge.output.progress import track
from wav2edge_train.data.augmentation import AUGMENTATIONS
from wav2edge_train.data.clips import ClipDataset, Example, Targets, leave_out_too_short, prepare_example
from wav2edge_train.data.data_warnings import data_warnings, length_warnings, spelling_warnings
from wav2edge_train.data.vocabulary import build_vocabulary, delimiter_problems
from wav2edge_train.distillation.teacher import Teacher, letter_problems, student_targets
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.model.joint_model import HEAD_NAMES
from wav2edge_train.training_options import HEAD_CHOICES, TrainingOptions

Log = Callable[[str], None]

LISTED = 20
"""How many problems of a data set are listed; the others are counted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """The two splits, ready for batches; ``transcriptions`` are the normalised ones of the validation clips.

    ``left_out`` counts the training clips that are too short for their transcription.
    """

    targets: Targets
    training: ClipDataset
    validation: ClipDataset
    transcriptions: tuple[str, ...]
    left_out: int = 0

    @property
    def shortest_frames(self) -> int:
        """Frames of the shortest clip in both splits."""
        return min(self.training.shortest_frames, self.validation.shortest_frames)


def prepare_corpus(
    data: Path, base: BaseModel, options: TrainingOptions, log: Log, *, teacher: Teacher | None = None
) -> Corpus:
    """Read and check both splits; vocabulary and labels come from the training split alone, or from the teacher.

    Raises:
        DataError: the data set cannot be trained on; of several problems each is logged with its row.
    """
    utterances = [normalized(row, options.text_normalization) for row in read_dataset(data)]
    rows = {name: select_split(utterances, name) for name in ("train", "validation")}
    spelling = text_problems(rows["train"], options, teacher)
    problems = list(spelling.values())
    sound = [replace(row, transcription=None) if row.where in spelling else row for row in rows["train"]]
    if problems and not any(row.transcription for row in sound):
        refuse(data, problems, log)
    targets = student_targets(teacher, sound, options.heads) if teacher else choose_targets(sound, options)
    if options.class_balance == "balanced":
        targets = balanced(targets, sound)
    examples = {name: load_examples(split, name, targets, base, problems) for name, split in rows.items()}
    if problems:
        refuse(data, problems, log)
    kept = leave_out_too_short(examples["train"], base.geometry, log)
    texts = [row.transcription for row in rows["train"] if row.transcription]
    everything = (example for split in examples.values() for example in split)
    doubts = [*data_warnings(utterances, targets), *length_warnings(everything)]
    if teacher is None and targets.vocabulary is not None:
        doubts += spelling_warnings(texts)
    for doubt in doubts:
        log(f"warning: {doubt}")
    augmentation = AUGMENTATIONS[options.augmentation]
    return Corpus(
        targets=targets,
        training=ClipDataset(
            kept,
            base.geometry,
            augmentation=augmentation,
            seed=options.seed,
            follow_word_starts=options.follow_word_starts,
        ),
        validation=ClipDataset(examples["validation"], base.geometry),
        transcriptions=tuple(row.transcription or "" for row in rows["validation"]),
        left_out=len(examples["train"]) - len(kept),
    )


def normalized(row: Utterance, normalization: TextNormalization) -> Utterance:
    """The row with its transcription normalised."""
    return row if row.transcription is None else replace(row, transcription=normalization(row.transcription))


def text_problems(
    training: Sequence[Utterance], options: TrainingOptions, teacher: Teacher | None
) -> dict[str, DataError]:
    """Transcriptions that a CTC head cannot learn, by row; none where no such head is trained."""
    if options.heads == "classification":
        return {}
    found = delimiter_problems(training) if teacher is None else letter_problems(teacher, training)
    return {row.where: problem for row, problem in found}


def refuse(data: Path, problems: Sequence[DataError], log: Log) -> NoReturn:
    """Log the problems of a data set, and raise one error.

    Raises:
        DataError: always; it is the problem itself where there is only one.
    """
    if len(problems) == 1:
        raise problems[0]
    for problem in problems[:LISTED]:
        log(f"problem: {problem}")
    if len(problems) > LISTED:
        log(f"problem: and {len(problems) - LISTED} more")
    raise DataError(f"{data}: {len(problems)} rows cannot be used, the first is {problems[0]}")


def choose_targets(training: Sequence[Utterance], options: TrainingOptions) -> Targets:
    """Vocabulary and labels of the training split, for the requested heads or for those that the data has labels for.

    Raises:
        DataError: the data set has labels for neither head.
    """
    available = {
        "ctc": any(row.transcription for row in training),
        "classification": any(row.label for row in training),
    }
    wanted = HEAD_CHOICES[options.heads] or tuple(name for name in HEAD_NAMES if available[name])
    missing = [name for name in wanted if not available[name]]
    if not wanted or missing:
        column = {"ctc": "transcription", "classification": "label"}.get("".join(missing[:1]), "transcription or label")
        raise DataError(f"{training[0].where}: no row of the training split has a {column}; add that column")
    names = [row.label for row in training if row.label]
    return Targets(
        vocabulary=build_vocabulary(training) if "ctc" in wanted else None,
        labels=label_order(names) if "classification" in wanted else None,
    )


def balanced(targets: Targets, training: Sequence[Utterance]) -> Targets:
    """The same targets with class weights ``clips / (classes * clips of the class)``, so that rare classes weigh more.

    This is scikit-learn's ``class_weight="balanced"``; King and Zeng, "Logistic regression in rare events data",
    Political Analysis 2001. A class of the teacher without a training clip has weight 1.
    """
    if targets.labels is None:
        return targets
    counts = Counter(row.label for row in training if row.label)
    weights = (counts.total() / (len(counts) * counts[name]) if counts[name] else 1.0 for name in targets.labels)
    return replace(targets, class_balance=tuple(weights))


def load_examples(
    rows: Sequence[Utterance], split: str, targets: Targets, base: BaseModel, problems: list[DataError]
) -> list[Example]:
    """Load the clips of a split, with a progress bar; what is wrong with a row is added to ``problems``."""
    examples = []
    for row in track(rows, f"reading {split}", len(rows)):
        try:
            examples.append(prepare_example(row, targets, base.geometry))
        except DataError as problem:
            problems.append(problem)
    return examples
