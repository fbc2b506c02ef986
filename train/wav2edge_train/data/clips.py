"""From rows of a data set to padded batches, with every check before the first step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, Sampler
from transformers import Wav2Vec2FeatureExtractor
from transformers.trainer_pt_utils import get_length_grouped_indices

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.errors import AudioError, DataError
from wav2edge.evaluation.dataset import Utterance
from wav2edge_train.data.augmentation import Augmentation, Variation
from wav2edge_train.data.emission import TokenFrames, anywhere, token_frames
from wav2edge_train.data.vocabulary import Vocabulary

IGNORED_ID = -100
"""Pads labels, and is ignored by the loss."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The vocabulary and labels that the heads learn; None for a head that the model does not have.

    ``class_balance`` is the weight of each label's clips in the cross-entropy; None weighs all equally.
    """

    vocabulary: Vocabulary | None
    labels: tuple[str, ...] | None
    class_balance: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A clip and its labels: ``samples: [samples] float32`` at 16 kHz, not normalised."""

    samples: npt.NDArray[np.float32]
    where: str
    token_ids: tuple[int, ...] | None = None
    class_id: int | None = None
    word_lengths: tuple[int, ...] = ()
    word_starts_s: tuple[float, ...] | None = None

    @property
    def needed_frames(self) -> int:
        """Fewest frames that CTC needs for the tokens: one each, and a blank between equal neighbours."""
        ids = self.token_ids or ()
        return max(1, len(ids) + sum(left == right for left, right in pairwise(ids)))


def prepare_example(row: Utterance, targets: Targets, geometry: ConvGeometry) -> Example:
    """Load and check one clip.

    Raises:
        DataError: the label is unknown, the transcription is empty, or the clip cannot be read; the message names the
            row.
    """
    token_ids, class_id = _token_ids(row, targets.vocabulary), _class_id(row, targets.labels)
    try:
        samples = geometry.pad_to_frame(load_clip(row.path).samples)
    except AudioError as error:
        raise DataError(f"{row.where}: {error}") from None
    return Example(
        samples=samples,
        where=row.where,
        token_ids=token_ids,
        class_id=class_id,
        word_lengths=tuple(len(word) for word in (row.transcription or "").split()),
        word_starts_s=row.word_starts_s,
    )


def leave_out_too_short(
    examples: Sequence[Example], geometry: ConvGeometry, log: Callable[[str], None]
) -> list[Example]:
    """The examples that CTC can learn from; the loss of the others is infinite, and each is logged.

    Raises:
        DataError: none remains.
    """
    kept = []
    for example in examples:
        frames = geometry.frames(len(example.samples))
        if frames >= example.needed_frames:
            kept.append(example)
            continue
        seconds = len(example.samples) / SAMPLE_RATE_HZ
        log(
            f"{example.where}: left out, {seconds:.2f} s give {frames} frames and the transcription"
            f" needs {example.needed_frames}"
        )
    if not kept:
        raise DataError("every training clip is too short for its transcription; check that the rows match the clips")
    return kept


def _token_ids(row: Utterance, vocabulary: Vocabulary | None) -> tuple[int, ...] | None:
    if vocabulary is None:
        return None
    if not row.transcription:
        raise DataError(
            f"{row.where}: no transcription; write one, remove the row, or train with --heads classification"
        )
    return tuple(vocabulary.encode(row.transcription))


def _class_id(row: Utterance, labels: tuple[str, ...] | None) -> int | None:
    if labels is None:
        return None
    if row.label not in labels:
        found = "no label" if not row.label else f"label {row.label!r}, which the training split does not have"
        raise DataError(
            f"{row.where}: {found}; known are {', '.join(labels)}: add clips of it to training, or remove the row"
        )
    return labels.index(row.label)


class ClipDataset(Dataset[dict[str, Any]]):
    """Examples in memory. Augmentation depends only on seed, epoch and position, so a resumed run repeats it.

    Places count on from epoch to epoch, so that processes which load clips need not be told of a new one: with 100
    clips, 205 is the clip 5 in epoch 2.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        geometry: ConvGeometry,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        follow_word_starts: bool = False,
    ) -> None:
        self.examples = examples
        self._geometry, self._augmentation, self._seed = geometry, augmentation, seed
        self._follow_word_starts = follow_word_starts

    @property
    def shortest_frames(self) -> int:
        """Frames of the shortest clip at the highest speed that augmentation may give it."""
        fastest = self._augmentation.speed[1] if self._augmentation and self._augmentation.speed else 1.0
        return min(self._geometry.frames(int(len(example.samples) / fastest)) for example in self.examples)

    @property
    def clips_with_word_starts(self) -> int:
        """Clips whose tokens are bound to when their words begin."""
        return sum(example.word_starts_s is not None for example in self.examples) if self._follow_word_starts else 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int) -> dict[str, Any]:
        epoch, index = divmod(place, len(self.examples))
        example = self.examples[index]
        varied = self._varied(example, epoch, index)
        return {
            "index": index,
            "samples": varied.samples,
            "token_ids": example.token_ids,
            "class_id": example.class_id,
            "token_frames": self._token_frames(example, varied),
        }

    def _token_frames(self, example: Example, varied: Variation) -> TokenFrames | None:
        """Where each token may be emitted; None where the clips of this data set are not bound to their word starts."""
        if not self._follow_word_starts or example.token_ids is None:
            return None
        frames = self._geometry.frames(len(varied.samples))
        if example.word_starts_s is None:
            return anywhere(len(example.token_ids), frames)
        starts_s = [varied.moved_s(start_s) for start_s in example.word_starts_s]
        return token_frames(example.token_ids, example.word_lengths, starts_s, frames, self._geometry)

    def _varied(self, example: Example, epoch: int, index: int) -> Variation:
        if self._augmentation is None:
            return Variation(samples=example.samples)
        varied = self._augmentation(example.samples, np.random.default_rng((self._seed, epoch, index)))
        long_enough = self._geometry.frames(len(varied.samples)) >= example.needed_frames
        return varied if long_enough else Variation(samples=example.samples)


class LengthGroupedOrder(Sampler[int]):
    """Groups clips of similar length, so that batches hold little padding; each epoch has another order.

    The order depends only on seed and epoch, which the sampler of transformers does not guarantee after resuming.
    """

    def __init__(self, dataset: ClipDataset, batch_size: int, seed: int) -> None:
        self.epoch, self._batch_size, self._seed = 0, batch_size, seed
        self._lengths = [len(example.samples) for example in dataset.examples]

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * self.epoch)
        order = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)
        return iter([self.epoch * len(self) + index for index in order])


@dataclass(frozen=True, kw_only=True)
class Collator:
    """Pads clips with zeros and labels with -100; the mask says where each clip ends.

    ``teacher_normalizes`` is whether a teacher expects waveforms of zero mean and unit variance; None without one.
    """

    extractor: Wav2Vec2FeatureExtractor
    teacher_normalizes: bool | None = None

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch of the items of ``ClipDataset``.

        ``input_values`` and ``attention_mask`` are ``[batch, samples]``, ``labels`` ``[batch, tokens]`` and
        ``class_labels`` ``[batch]``; labels of an absent head are left out. ``token_frames`` are
        ``[batch, tokens, 2]``, where tokens are bound to word starts. ``indices: [batch]`` are the items'
        positions in the data set, for messages. ``teacher_values`` are the ``input_values`` of a teacher that expects
        other ones.
        """
        padded = self._padded(items)
        batch = {"input_values": padded["input_values"], "attention_mask": padded["attention_mask"].long()}
        if self.teacher_normalizes not in (None, bool(self.extractor.do_normalize)):
            batch["teacher_values"] = self.of_teacher()._padded(items)["input_values"]
        if "index" in items[0]:
            batch["indices"] = torch.tensor([item["index"] for item in items])
        if items[0]["token_ids"] is not None:
            rows = [torch.tensor(item["token_ids"], dtype=torch.long) for item in items]
            batch["labels"] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED_ID)
        if items[0].get("token_frames") is not None:
            frames = [torch.from_numpy(item["token_frames"]) for item in items]
            batch["token_frames"] = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
        if items[0]["class_id"] is not None:
            batch["class_labels"] = torch.tensor([item["class_id"] for item in items])
        return batch

    def of_teacher(self) -> Collator:
        """One whose ``input_values`` are the teacher's."""
        if self.teacher_normalizes is None:
            return self
        extractor = copy.copy(self.extractor)
        extractor.do_normalize = self.teacher_normalizes
        return Collator(extractor=extractor)

    def _padded(self, items: Sequence[Mapping[str, Any]]) -> Mapping[str, torch.Tensor]:
        return self.extractor(
            [item["samples"] for item in items],
            sampling_rate=SAMPLE_RATE_HZ,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
