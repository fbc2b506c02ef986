from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import Wav2Vec2Config

from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.original import load_original
from wav2edge_train.data.clips import ClipDataset, Collator, Example, Targets
from wav2edge_train.data.vocabulary import make_feature_extractor, save_processor
from wav2edge_train.distillation.distillation_trainer import (
    Distillation,
    DistillationTrainer,
    divergence,
    frames_inside,
    state_distance,
)
from wav2edge_train.distillation.teacher import Teacher, load_teacher
from wav2edge_train.loop.arguments import training_arguments
from wav2edge_train.loop.saved_checkpoints import CHECKPOINTS
from wav2edge_train.model.base_model import BaseModel, checkpoint_base_model
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training import TrainingOutcome, dry_run, train
from wav2edge_train.training_options import DistillationOptions, TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

ConfigMaker = Callable[..., Wav2Vec2Config]
OptionsMaker = Callable[..., TrainingOptions]
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "final_dropout": 0.0}
NO_DROPOUT |= {"feat_proj_dropout": 0.0, "apply_spec_augment": False}
DISTILL_LOSSES = ("hidden_distill_loss", "ctc_distill_loss", "class_distill_loss")


@pytest.fixture
def teacher_folder(config: ConfigMaker, targets: Targets, tmp_path: Path) -> Path:
    """A joint checkpoint of three layers with one letter and one label more than the corpus has."""
    torch.manual_seed(0)
    labels = {"id2label": {0: "0", 1: "1", 2: "2"}, "label2id": {"0": 0, "1": 1, "2": 2}}
    folder = tmp_path / "teacher"
    Wav2Vec2ForJointCTC(config(num_hidden_layers=3, **labels)).save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=True), targets.vocabulary)
    return folder


def distill(
    teacher: Path, corpus: Path, output: Path, options: TrainingOptions, *, resume: bool = False, logged: list[str]
) -> TrainingOutcome:
    distillation = Distillation(teacher=load_teacher(teacher), options=DistillationOptions())
    return train(
        corpus,
        output,
        base=checkpoint_base_model(str(teacher)),
        options=options,
        distillation=distillation,
        resume=resume,
        log=logged.append,
    )


def test_divergence_is_that_of_softened_scores() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4), torch.randn(5, 4)
    wanted, found = (scores / 3.0 for scores in (teacher, student))
    by_hand = (wanted.softmax(-1) * (wanted.log_softmax(-1) - found.log_softmax(-1))).sum(-1).mean() * 9.0
    torch.testing.assert_close(divergence(student, teacher, 3.0), by_hand)
    torch.testing.assert_close(divergence(teacher, teacher, 3.0), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_its_gradient_is_that_of_cross_entropy_with_the_teachers_probabilities() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4)
    (found,) = torch.autograd.grad(divergence(student, teacher, 1.0), student)
    (expected,) = torch.autograd.grad(functional.cross_entropy(student, teacher.softmax(-1)), student)
    torch.testing.assert_close(found, expected)


def test_frames_of_padding_are_not_compared() -> None:
    states = torch.randn(2, 4, 3)
    inside = torch.tensor([[True] * 4, [True, True, False, False]])
    padded = states.clone()
    padded[1, 2:] = 99.0
    assert state_distance(padded, states, inside) == 0
    torch.testing.assert_close(state_distance(2 * states, states, inside), torch.tensor(1.0))


def test_frames_inside_are_those_of_the_clip_alone(config: ConfigMaker) -> None:
    model = Wav2Vec2ForJointCTC(config())
    mask = torch.zeros(2, 4_000, dtype=torch.long)
    mask[0], mask[1, :1_680] = 1, 1
    inside = frames_inside(model, torch.zeros(2, 4_000), mask)
    assert inside.sum(dim=1).tolist() == [12, 5]
    assert inside.shape[1] == model(torch.zeros(2, 4_000)).logits.shape[1]


def trainer_for(base: BaseModel, targets: Targets, options: TrainingOptions, folder: Path) -> DistillationTrainer:
    """A teacher that is the student's own twin, and four clips of different lengths."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    examples = [
        Example(samples=rng.standard_normal(n).astype(np.float32), where="", token_ids=(1, 2), class_id=n % 2)
        for n in (6_000, 4_001, 5_000, 3_000)
    ]
    model, twin = (Wav2Vec2ForJointCTC(base.config) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    teacher = Teacher(name="twin", model=twin, targets=targets)
    return DistillationTrainer(
        model=model,
        args=training_arguments(folder, base, targets, options, "fp32"),
        train_dataset=ClipDataset(examples, base.geometry),
        eval_dataset=ClipDataset(examples, base.geometry),
        data_collator=Collator(extractor=base.extractor),
        distillation=Distillation(teacher=teacher, options=DistillationOptions()),
    )


def losses_of(trainer: DistillationTrainer) -> dict[str, float]:
    """The means that were remembered since the last log."""
    logs = {"loss": 0.0}
    trainer.log(logs)
    return logs


@pytest.fixture
def twins(
    base: BaseModel, config: ConfigMaker, targets: Targets, options: OptionsMaker, tmp_path: Path
) -> DistillationTrainer:
    calm = BaseModel(name="twin", config=config(num_labels=2, **NO_DROPOUT), extractor=base.extractor)
    with quiet_transformers():
        return trainer_for(calm, targets, options(), tmp_path / "twins")


def test_a_student_that_is_its_teacher_has_only_the_labels_to_learn_from(twins: DistillationTrainer) -> None:
    batch = twins._prepare_inputs(twins.data_collator([twins.train_dataset[index] for index in range(4)]))
    twins.model.train()
    loss = twins.compute_loss(twins.model, dict(batch))
    labels_alone = twins.model(**batch).loss
    torch.testing.assert_close(loss, labels_alone, atol=1e-5, rtol=0)
    found = losses_of(twins)
    assert [found[name] for name in DISTILL_LOSSES] == [0.0, 0.0, 0.0]
    assert found["ctc_loss"] > 0


def test_a_student_that_differs_moves_towards_its_teacher_which_stays(twins: DistillationTrainer) -> None:
    teacher = twins.teacher
    before = {name: weights.clone() for name, weights in teacher.state_dict().items()}
    with torch.no_grad():
        twins.model.lm_head.weight.add_(torch.randn_like(twins.model.lm_head.weight))
        twins.model.classifier.weight.add_(torch.randn_like(twins.model.classifier.weight))
    batch = twins._prepare_inputs(twins.data_collator([twins.train_dataset[index] for index in range(4)]))
    twins.model.train()
    optimizer = torch.optim.SGD(twins.model.parameters(), 0.002)
    history = []
    for _ in range(40):
        optimizer.zero_grad()
        twins.compute_loss(twins.model, dict(batch)).backward()
        optimizer.step()
        history.append(losses_of(twins))
    assert history[-1]["ctc_distill_loss"] < 0.8 * history[0]["ctc_distill_loss"]
    assert history[-1]["class_distill_loss"] < history[0]["class_distill_loss"]
    assert not teacher.training
    assert all(torch.equal(weights, before[name]) for name, weights in teacher.state_dict().items())


def test_an_evaluation_counts_the_labels_alone(twins: DistillationTrainer) -> None:
    with torch.no_grad():
        twins.model.lm_head.weight.mul_(3.0)
    with quiet_transformers():
        found = twins.evaluate()["eval_loss"]
        batch = twins._prepare_inputs(twins.data_collator([twins.eval_dataset[index] for index in range(4)]))
        twins.model.eval()
        assert found == pytest.approx(float(twins.model(**batch).loss), rel=1e-5)


def test_a_student_is_smaller_and_has_its_teachers_letters_and_labels(
    teacher_folder: Path, corpus: Path, options: OptionsMaker, tmp_path: Path
) -> None:
    logged: list[str] = []
    chosen = options(encoder_layers=2, layers_from="even", prune_ffn=0.5)
    outcome = distill(teacher_folder, corpus, tmp_path / "student", chosen, logged=logged)
    student = load_original(outcome.folder)
    config = student.checkpoint.model.config
    assert (config.num_hidden_layers, config.intermediate_size) == (2, 16)
    assert student.heads.classification is not None
    assert student.heads.classification.labels == ("0", "1", "2")  # the corpus has the first two
    assert student.heads.ctc == load_original(teacher_folder).heads.ctc
    assert any(all(name.replace("_", " ") in line for name in DISTILL_LOSSES) for line in logged)


def test_classes_are_balanced_for_a_student_too_and_one_without_clips_has_weight_1(
    teacher_folder: Path, make_corpus: Callable[..., Path], options: OptionsMaker, tmp_path: Path
) -> None:
    rows = [("train", "ab", "0"), ("train", "ba", "0"), ("train", "c a", "0"), ("train", "a c", "1")]
    chosen = options(encoder_layers=2, class_balance="balanced")
    data = make_corpus([*rows, ("validation", "ab", "0")])
    outcome = distill(teacher_folder, data, tmp_path / "student", chosen, logged=[])
    config = load_original(outcome.folder).checkpoint.model.config
    assert config.class_balance == pytest.approx([2 / 3, 2.0, 1.0])


def test_a_dry_run_counts_the_weights_of_the_teacher(teacher_folder: Path, corpus: Path, options: OptionsMaker) -> None:
    base, teacher = checkpoint_base_model(str(teacher_folder)), load_teacher(teacher_folder)
    together, alone = (
        dry_run(corpus, base=base, options=options(encoder_layers=1), distillation=each, log=lambda line: None)
        for each in (Distillation(teacher=teacher, options=DistillationOptions()), None)
    )
    weights = sum(part.numel() for part in teacher.model.parameters())
    # The student of this teacher has a class more than the corpus alone would give it.
    assert together.memory_bytes - alone.memory_bytes == pytest.approx(4 * weights, rel=0.02)


@pytest.mark.slow
def test_a_student_is_compared_with_its_teacher_in_a_file_and_in_the_card(
    teacher_folder: Path, corpus: Path, options: OptionsMaker, tmp_path: Path
) -> None:
    (teacher_folder / "README.md").write_text("---\nlicense: mit\n---\n")
    outcome = distill(teacher_folder, corpus, tmp_path / "student", options(encoder_layers=1), logged=[])
    compared = json.loads((outcome.folder / "comparison.json").read_text())
    assert (compared["large"]["layers"], compared["small"]["layers"]) == (3, 1)
    assert compared["small"]["report"] == json.loads((outcome.folder / "report.json").read_text())
    assert compared["large"]["report"]["clips"] == 6
    card = (outcome.folder / "README.md").read_text()
    assert outcome.comparison is not None
    assert outcome.comparison.table() in card
    assert "This model is a student of" in card
    assert "\nlicense: mit\n" in card
    for line in ("- encoder_layers: 1", "- layers_from: first", "- temperature: 2.0", "- hidden_distill_weight: 4.0"):
        assert line in card


@pytest.mark.slow
def test_a_resumed_distillation_ends_with_the_weights_of_an_unbroken_one(
    teacher_folder: Path, corpus: Path, options: OptionsMaker, tmp_path: Path
) -> None:
    chosen = options(max_steps=6, keep="last", augmentation="light", encoder_layers=2, prune_ffn=0.5)
    distill(teacher_folder, corpus, tmp_path / "whole", chosen, logged=[])

    class Plug(list[str]):
        def append(self, line: str) -> None:
            if "step 4" in line:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(teacher_folder, corpus, tmp_path / "broken", chosen, logged=Plug())
    assert (tmp_path / "broken" / CHECKPOINTS / "checkpoint-2").is_dir()
    distill(teacher_folder, corpus, tmp_path / "broken", chosen, resume=True, logged=[])
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    for name, weights in expected.items():
        assert torch.equal(found[name], weights), name


@pytest.mark.slow
def test_a_model_made_smaller_is_compared_with_its_base_if_it_has_the_same_heads(
    run: tuple[TrainingOutcome, list[str]], corpus: Path, options: OptionsMaker, tmp_path: Path
) -> None:
    base = checkpoint_base_model(str(run[0].folder))
    smaller = train(corpus, tmp_path / "smaller", base=base, options=options(prune_ffn=0.5), log=lambda line: None)
    assert smaller.comparison is not None
    assert (smaller.comparison.large.feed_forward_width, smaller.comparison.small.feed_forward_width) == (32, 16)
    assert smaller.comparison.large.report.to_dict() == run[0].report.to_dict()
    assert run[0].comparison is None
    other = options(prune_ffn=0.5, heads="ctc")
    assert train(corpus, tmp_path / "other", base=base, options=other, log=lambda line: None).comparison is None


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"ctc_distill_weight": -1.0}, "ctc_distill_weight is -1.0"),
        (
            {"ctc_distill_weight": 0.0, "class_distill_weight": 0.0, "hidden_distill_weight": 0.0},
            "nothing would be learnt from the teacher",
        ),
    ],
)
def test_impossible_weights_are_refused(fields: dict[str, float], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        DistillationOptions(**fields)
