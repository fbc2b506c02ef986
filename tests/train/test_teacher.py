from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)

from wav2edge.errors import CheckpointError, DataError, UsageError
from wav2edge.evaluation.dataset import Utterance
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor, save_processor
from wav2edge_train.distillation.teacher import Teacher, comparable_teacher, load_teacher, student_targets
from wav2edge_train.model.base_model import checkpoint_base_model
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

ConfigMaker = Callable[..., Wav2Vec2Config]
TOKENS = ("|", "a", "b", "c", "[UNK]", "[PAD]")
LABELS = {"num_labels": 2, "id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}


def save(folder: Path, model: PreTrainedModel, vocabulary: Vocabulary | None = None) -> Path:
    model.save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=True), vocabulary or Vocabulary(tokens=TOKENS))
    return folder


def rows(*transcriptions: str) -> list[Utterance]:
    return [
        Utterance(path=Path("x.wav"), where=f"metadata.csv:{line}", transcription=text, label="yes")
        for line, text in enumerate(transcriptions, start=2)
    ]


@pytest.fixture
def joint(config: ConfigMaker, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save(tmp_path / "joint", Wav2Vec2ForJointCTC(config(**LABELS)))


def test_a_teacher_brings_its_vocabulary_and_labels(joint: Path) -> None:
    teacher = load_teacher(joint)
    assert teacher.targets == Targets(vocabulary=Vocabulary(tokens=TOKENS), labels=("no", "yes"))
    assert not teacher.model.training
    assert student_targets(teacher, rows("ab", "c a"), "auto") == teacher.targets


def test_a_plain_ctc_checkpoint_with_another_blank_teaches_its_own_outputs(config: ConfigMaker, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = Wav2Vec2ForCTC(config(pad_token_id=0)).eval()
    vocabulary = Vocabulary(tokens=("<pad>", "A", "B", "|", "<unk>", "'"), unknown="<unk>", blank="<pad>")
    teacher = load_teacher(save(tmp_path / "plain", plain, vocabulary))
    assert teacher.targets == Targets(vocabulary=vocabulary, labels=None)
    assert vocabulary.encode("A BZ") == [1, 3, 2, 4]
    assert vocabulary.decode([1, 0, 3, 2, 4]) == "A B"
    values = torch.randn(1, 4_000)
    with torch.no_grad():
        torch.testing.assert_close(teacher.model(values).logits, plain(values).logits, atol=1e-5, rtol=1e-5)


def test_a_head_of_another_architecture_cannot_be_copied(config: ConfigMaker, tmp_path: Path) -> None:
    folder = save(tmp_path / "classes", Wav2Vec2ForSequenceClassification(config(**LABELS)))
    with pytest.raises(CheckpointError, match="can learn from a Wav2Vec2ForJointCTC or Wav2Vec2ForCTC only"):
        load_teacher(folder)


def test_a_tokenizer_that_changes_case_is_refused(joint: Path) -> None:
    Wav2Vec2CTCTokenizer(
        str(joint / "vocab.json"),
        unk_token="[UNK]",
        pad_token="[PAD]",
        bos_token=None,
        eos_token=None,
        do_lower_case=True,
    ).save_pretrained(joint)
    with pytest.raises(CheckpointError, match="changes the case of letters"):
        load_teacher(joint)


def test_letters_that_the_teacher_cannot_write_are_named_with_their_row(joint: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv:3: the teacher joint cannot write 'x', 'ö'"):
        student_targets(load_teacher(joint), rows("ab", "aöx"), "auto")


def test_a_student_may_copy_one_head_of_two_but_not_a_missing_one(joint: Path, config: ConfigMaker) -> None:
    teacher = load_teacher(joint)
    assert student_targets(teacher, rows("xyz"), "classification") == Targets(vocabulary=None, labels=("no", "yes"))
    classifier = Teacher(name="classifier", model=teacher.model, targets=Targets(vocabulary=None, labels=("no", "yes")))
    with pytest.raises(UsageError, match="the teacher classifier has no ctc head"):
        student_targets(classifier, rows("ab"), "both")


def test_a_base_is_compared_with_only_where_it_has_the_same_heads(joint: Path, config: ConfigMaker) -> None:
    base = checkpoint_base_model(str(joint))
    same = Targets(vocabulary=Vocabulary(tokens=TOKENS), labels=("no", "yes"))
    found = comparable_teacher(base, same)
    assert found is not None
    assert found.name == "joint"
    assert comparable_teacher(base, replace(same, class_balance=(0.5, 2.0))) is not None
    assert comparable_teacher(base, Targets(vocabulary=Vocabulary(tokens=TOKENS), labels=("no", "maybe"))) is None
    (joint / "vocab.json").unlink()
    assert comparable_teacher(base, same) is None
