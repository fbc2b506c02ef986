from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import read_dataset
from wav2edge_train.data.augmentation import AUGMENTATIONS
from wav2edge_train.data.clips import (
    ClipDataset,
    Collator,
    Example,
    LengthGroupedOrder,
    Targets,
    leave_out_too_short,
    prepare_example,
)
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.model.base_model import BaseModel

CorpusMaker = Callable[..., Path]


def prepare(folder: Path, targets: Targets, base: BaseModel) -> list[Example]:
    return [prepare_example(row, targets, base.geometry) for row in read_dataset(folder)]


def test_an_unknown_label_is_refused_with_its_line_and_the_known_ones(
    make_corpus: CorpusMaker, targets: Targets, base: BaseModel
) -> None:
    folder = make_corpus([("train", "ab", "1"), ("validation", "ab", "seven")])
    with pytest.raises(DataError, match=r"metadata\.csv:3: label 'seven', .* known are 0, 1"):
        prepare(folder, targets, base)


def test_an_empty_transcription_is_refused_with_its_line(
    make_corpus: CorpusMaker, targets: Targets, base: BaseModel
) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv:2: no transcription"):
        prepare(make_corpus([("train", "", "1")]), targets, base)


def test_a_missing_clip_is_one_line_that_names_row_and_file(
    make_corpus: CorpusMaker, targets: Targets, base: BaseModel
) -> None:
    folder = make_corpus([("train", "ab", "1")])
    (folder / "0.wav").unlink()
    with pytest.raises(DataError, match=r"metadata\.csv:2: .*0\.wav: no such file") as caught:
        prepare(folder, targets, base)
    assert "\n" not in str(caught.value)


def test_a_clip_too_short_for_its_transcription_is_left_out_with_a_message(base: BaseModel) -> None:
    clip = np.ones(400 + 4 * 320, np.float32)  # five frames
    spelled = [Example(samples=clip, where=f"row {n}", token_ids=ids) for n, ids in enumerate([(1, 2, 1), (1, 1, 1)])]
    too_long = Example(samples=clip, where="row 2", token_ids=(1, 2, 2, 3, 1))
    logged: list[str] = []
    kept = leave_out_too_short([*spelled, too_long], base.geometry, logged.append)
    assert [example.where for example in kept] == ["row 0", "row 1"]
    assert logged == ["row 2: left out, 0.10 s give 5 frames and the transcription needs 6"]
    with pytest.raises(DataError, match="every training clip is too short"):
        leave_out_too_short([too_long], base.geometry, logged.append)


@pytest.mark.parametrize("ids", [(1, 2, 3), (1, 1, 2), (2, 2, 2)])
def test_needed_frames_are_where_torchs_ctc_loss_becomes_finite(ids: tuple[int, ...]) -> None:
    needed = Example(samples=np.zeros(1, np.float32), where="", token_ids=ids).needed_frames
    for frames, finite in ((needed - 1, False), (needed, True)):
        scores = torch.zeros(frames, 4).log_softmax(dim=-1)
        loss = torch.nn.functional.ctc_loss(scores, torch.tensor(ids), (frames,), (len(ids),), blank=0)
        assert bool(loss.isfinite()) is finite


def test_a_batch_is_padded_as_transformers_pads_and_labels_are_ignored_there() -> None:
    extractor = make_feature_extractor(layer_norm=True)
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal(n).astype(np.float32) for n in (500, 900)]
    items = [
        {"samples": clip, "token_ids": ids, "class_id": n}
        for n, (clip, ids) in enumerate(zip(clips, [(1,), (2, 3)], strict=True))
    ]
    batch = Collator(extractor=extractor)(items)
    expected = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)(
        clips, sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    assert torch.equal(batch["input_values"], expected["input_values"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"].long())
    assert batch["labels"].tolist() == [[1, -100], [2, 3]]
    assert batch["class_labels"].tolist() == [0, 1]


def varied(epoch: int, base: BaseModel, seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    examples = [Example(samples=rng.standard_normal(8_000).astype(np.float32), where="", token_ids=(1,))] * 2
    dataset = ClipDataset(examples, base.geometry, augmentation=AUGMENTATIONS["full"], seed=seed)
    return [dataset[2 * epoch + index]["samples"] for index in range(2)]


def test_variations_repeat_under_the_seed_and_differ_between_epochs_and_clips(base: BaseModel) -> None:
    first, again, later = varied(1, base), varied(1, base), varied(2, base)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0][:4_000], first[1][:4_000])
    assert not np.array_equal(first[0][:4_000], later[0][:4_000])


def test_a_variation_too_short_for_the_transcription_is_not_used(base: BaseModel) -> None:
    samples = np.random.default_rng(0).standard_normal(400 + 9 * 320).astype(np.float32)
    example = Example(samples=samples, where="", token_ids=(1, 2) * 5)
    dataset = ClipDataset([example] * 40, base.geometry, augmentation=AUGMENTATIONS["light"])
    lengths = [len(dataset[index]["samples"]) for index in range(40)]
    assert min(lengths) == len(samples) < max(lengths)


def test_each_epoch_holds_every_clip_once_with_like_lengths_together(base: BaseModel) -> None:
    rng = np.random.default_rng(0)
    examples = [Example(samples=np.zeros(int(n), np.float32), where="") for n in rng.integers(5_000, 40_000, 200)]
    dataset = ClipDataset(examples, base.geometry)
    orders = []
    for epoch in (0, 1, 0):
        order = LengthGroupedOrder(dataset, 8, seed=1)
        order.set_epoch(epoch)
        orders.append(list(order))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(200))
    assert sorted(orders[1]) == list(range(200, 400))  # places count on, so that clips vary anew
    lengths = np.array([len(examples[index].samples) for index in orders[0]]).reshape(-1, 8)
    assert np.mean(lengths.max(axis=1) - lengths.min(axis=1)) < 10_000  # 27,000 in random order
