from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.utils.class_weight import compute_class_weight
from transformers import AutoProcessor, Wav2Vec2ForCTC

from wav2edge.errors import DataError, TrainingError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.original import load_original
from wav2edge_train.data.clips import ClipDataset, Collator, Example, Targets
from wav2edge_train.data.corpus import balanced, choose_targets
from wav2edge_train.loop.arguments import training_arguments
from wav2edge_train.loop.saved_checkpoints import CHECKPOINTS, saved_checkpoints
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import BaseModel, build_model
from wav2edge_train.training import TrainingOutcome, train
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

OptionsMaker = Callable[..., TrainingOptions]
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "final_dropout": 0.0}
NO_DROPOUT |= {"feat_proj_dropout": 0.0, "apply_spec_augment": False}


def test_a_run_leaves_a_checkpoint_a_report_and_a_card(run: tuple[TrainingOutcome, list[str]]) -> None:
    outcome, _ = run
    report = json.loads((outcome.folder / "report.json").read_text())
    assert report == json.loads(json.dumps(outcome.report.to_dict()))
    assert report["clips"] == 6
    card = (outcome.folder / "README.md").read_text()
    assert f"- Accuracy: {round(report['accuracy'], 4):g}" in card
    assert [row.step for row in outcome.rows] == [2, 4]


def test_each_evaluation_logs_both_losses_and_the_full_report(run: tuple[TrainingOutcome, list[str]]) -> None:
    _, logged = run
    opening, first_line, first_report, second_line, second_report = logged
    assert "12 clips to train on, 6 to evaluate on" in opening
    for line, step in ((first_line, 2), (second_line, 4)):
        assert f"step {step} of 4: loss" in line
        assert "ctc loss" in line
        assert "class loss" in line
    for report in (first_report, second_report):
        for part in ("precision", "macro avg", "weighted avg", "accuracy", "WER", "true \\ predicted", "loss"):
            assert part in report


def test_the_report_is_that_of_the_checkpoint_clip_by_clip(
    run: tuple[TrainingOutcome, list[str]], corpus: Path
) -> None:
    outcome, _ = run
    original = load_original(outcome.folder)
    rows = select_split(read_dataset(corpus), "validation")
    results = [original(row.path) for row in rows]
    hits = sum(found.label == row.label for row, found in zip(rows, results, strict=True))
    assert outcome.report.classification is not None
    assert outcome.report.classification.accuracy == pytest.approx(hits / len(rows))


def test_transformers_loads_the_checkpoint(run: tuple[TrainingOutcome, list[str]], corpus: Path) -> None:
    folder = run[0].folder
    processor = AutoProcessor.from_pretrained(folder)
    with quiet_transformers():
        model = Wav2Vec2ForCTC.from_pretrained(folder)
    assert len(processor.tokenizer) == model.lm_head.out_features == 6
    assert processor.tokenizer.pad_token_id == model.config.pad_token_id == 5
    assert model.config.id2label == {0: "0", 1: "1"}


def trainer_for(base: BaseModel, targets: Targets, options: TrainingOptions, folder: Path) -> JointTrainer:
    for name, value in NO_DROPOUT.items():
        setattr(base.config, name, value)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    examples = [
        Example(
            samples=rng.standard_normal(6_000).astype(np.float32), where="", token_ids=(1, 2, n % 3), class_id=n % 2
        )
        for n in range(4)
    ]
    return JointTrainer(
        model=build_model(base, targets, options, shortest_frames=18),
        args=training_arguments(folder, base, targets, options, "fp32"),
        train_dataset=ClipDataset(examples, base.geometry),
        eval_dataset=ClipDataset(examples, base.geometry),
        data_collator=Collator(extractor=base.extractor),
    )


def test_accumulated_batches_are_averaged_and_not_added(
    base: BaseModel, targets: Targets, options: OptionsMaker, tmp_path: Path
) -> None:
    logs: list[dict[str, Any]] = []
    for batch_size, accumulation in ((4, 1), (2, 2)):
        chosen = options(batch_size=batch_size, accumulation=accumulation, max_steps=1, eval_steps=1, keep="last")
        with quiet_transformers():
            trainer = trainer_for(base, targets, chosen, tmp_path / str(accumulation))
            trainer.train()
        assert trainer.model_accepts_loss_kwargs is False
        logs.append(next(entry for entry in trainer.state.log_history if "loss" in entry))
    for name in ("loss", "ctc_loss", "class_loss", "grad_norm"):
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-3), name
    assert logs[0]["loss"] == pytest.approx(logs[0]["ctc_loss"] + logs[0]["class_loss"], abs=2e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about CPUs")
def test_a_cpu_trains_in_bfloat16_and_keeps_weights_in_float32(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        chosen = options(precision=precision, max_steps=1, eval_steps=1, keep="last")
        (row,) = train(corpus, tmp_path / precision, base=base, options=chosen, log=lambda line: None).rows
        losses[precision] = row.training_loss
    coarse, fine = (final_weights(tmp_path / precision) for precision in ("bf16", "fp32"))
    assert any(not torch.equal(coarse[name], fine[name]) for name in fine)
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert {weights.dtype for weights in coarse.values()} == {torch.float32}


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    chosen = options(max_steps=8, eval_steps=2, keep="last", augmentation="light")  # three updates an epoch
    whole = train(corpus, tmp_path / "whole", base=base, options=chosen, log=lambda line: None)

    def pull_the_plug(line: str) -> None:
        if "step 6" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "broken", base=base, options=chosen, log=pull_the_plug)
    assert max(saved_checkpoints(tmp_path / "broken" / CHECKPOINTS)) == 4
    resumed = train(corpus, tmp_path / "broken", base=base, options=chosen, resume=True, log=lambda line: None)

    assert resumed.rows == whole.rows
    expected, found = final_weights(tmp_path / "whole"), final_weights(tmp_path / "broken")
    for name, weights in expected.items():
        assert torch.equal(found[name], weights), name


def test_words_are_emitted_where_they_begin_and_without_that_elsewhere(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    losses = {}
    for follow in (True, False):
        chosen = options(max_steps=2, follow_word_starts=follow)
        outcome = train(corpus, tmp_path / str(follow), base=base, options=chosen, log=lambda line: None)
        losses[follow] = outcome.rows[0].training_loss
        card = (outcome.folder / "README.md").read_text(encoding="utf-8")
        assert ("words are emitted where they begin in 12 of the training clips" in card) is follow
    assert losses[True] > losses[False]  # fewer paths count


def test_a_second_run_needs_resume_and_resuming_needs_a_first(
    run: tuple[TrainingOutcome, list[str]], corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="already holds a run; add --resume"):
        train(corpus, run[0].folder, base=base, options=options())
    with pytest.raises(TrainingError, match="no run to resume; run again without --resume"):
        train(corpus, tmp_path / "nothing", base=base, options=options(), resume=True)


def test_clips_too_short_for_their_transcription_are_left_out_of_training(
    make_corpus: Callable[..., Path], base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    rows = [("train", "ab", "0"), ("train", "cccccccccccc", "1"), ("train", "ba", "1"), ("validation", "ab", "0")]
    logged: list[str] = []
    folder = make_corpus(rows, letter_s=0.03)
    outcome = train(folder, tmp_path / "run", base=base, options=options(max_steps=1), log=logged.append)
    assert "metadata.csv:3: left out, 0.36 s give 17 frames and the transcription needs 23" in logged[0]
    assert "2 clips to train on, 1 to evaluate on" in "".join(logged)
    assert outcome.report.loss is not None
    assert np.isfinite(outcome.report.loss)


@pytest.mark.parametrize(("heads", "has", "lacks"), [("ctc", "wer", "accuracy"), ("classification", "accuracy", "wer")])
def test_one_head_alone_can_be_trained(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path, heads: str, has: str, lacks: str
) -> None:
    chosen = options(heads=heads, max_steps=1)
    outcome = train(corpus, tmp_path / "run", base=base, options=chosen, log=lambda line: None)
    figures = outcome.report.metrics()
    assert has in figures
    assert lacks not in figures
    assert load_original(tmp_path / "run").heads.names == (heads,)


def test_a_head_without_a_label_column_is_refused(
    make_corpus: Callable[..., Path], base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    folder = make_corpus([("train", "ab", ""), ("validation", "ab", "")])
    with pytest.raises(DataError, match="no row of the training split has a label"):
        train(folder, tmp_path / "run", base=base, options=options(heads="both"))


def test_padded_frames_are_blanks_and_not_token_zero(
    base: BaseModel, targets: Targets, options: OptionsMaker, tmp_path: Path
) -> None:
    with quiet_transformers():
        trainer = trainer_for(base, targets, options(), tmp_path)
        with torch.no_grad():
            trainer.model.lm_head.weight.zero_()
            trainer.model.lm_head.bias.copy_(torch.tensor([9.0, 0, 0, 0, 0, 0]))  # every real frame is token 0
        batch = trainer.data_collator(
            [
                {"samples": np.random.default_rng(n).standard_normal(samples), "token_ids": (1,), "class_id": 0}
                for n, samples in enumerate((720, 1_680))
            ]
        )
        _, (ids, classes), _ = trainer.prediction_step(trainer.model, batch, prediction_loss_only=False)
    assert ids.tolist() == [[0, 0, 5, 5, 5], [0, 0, 0, 0, 0]]
    assert classes.shape == (2,)


def test_a_loss_that_is_not_finite_ends_the_run_in_one_line(
    base: BaseModel, targets: Targets, options: OptionsMaker, tmp_path: Path
) -> None:
    with quiet_transformers():
        trainer = trainer_for(base, targets, options(), tmp_path)
        with torch.no_grad():
            trainer.model.classifier.bias.fill_(float("nan"))
        with pytest.raises(TrainingError, match="the evaluation loss is not finite; lower --learning-rate"):
            trainer.evaluate()


def test_a_batch_whose_loss_is_not_finite_is_named_by_its_rows(
    base: BaseModel, targets: Targets, options: OptionsMaker, tmp_path: Path
) -> None:
    chosen = options(batch_size=2, max_steps=4, eval_steps=4)
    with quiet_transformers():
        trainer = trainer_for(base, targets, chosen, tmp_path)
        dataset = cast(ClipDataset, trainer.train_dataset)
        dataset.examples = [
            replace(example, where=f"metadata.csv:{row}") for row, example in enumerate(dataset.examples, start=2)
        ]
        dataset.examples[1].samples[3_000] = np.nan
        with pytest.raises(TrainingError, match=r"step \d: the loss of this batch is not finite: metadata") as caught:
            trainer.train()
    assert "metadata.csv:3" in str(caught.value)
    assert str(caught.value).count("metadata.csv") == 2


def test_a_rare_class_weighs_more_as_in_scikit_learn_and_pytorch(base: BaseModel, options: OptionsMaker) -> None:
    labels = ["0"] * 5 + ["1"] * 2 + ["2"]
    rows = [Utterance(path=Path("x.wav"), where="", label=label) for label in labels]
    targets = balanced(choose_targets(rows, options(heads="classification")), rows)
    theirs = compute_class_weight("balanced", classes=np.array(["0", "1", "2"]), y=np.array(labels))
    assert targets.class_balance == pytest.approx(theirs)

    model = build_model(base, targets, options(), shortest_frames=18).eval()
    waveforms, truth = torch.randn(3, 6_000), torch.tensor([2, 0, 1])
    with torch.no_grad():
        found = model(waveforms, class_labels=truth)
        wanted = torch.nn.functional.cross_entropy(
            found.class_logits, truth, weight=torch.tensor(theirs, dtype=torch.float32)
        )
    assert found.class_loss == pytest.approx(float(wanted))


def test_clips_of_a_twentieth_of_a_second_survive_specaugment_and_augmentation(
    make_corpus: Callable[..., Path], base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    base.config.mask_time_prob, base.config.mask_time_length = 0.65, 10
    rows = [("train", letter, label) for letter, label in ("a0", "b1", "c1", "b0")] + [("validation", "a", "0")]
    folder = make_corpus(rows, letter_s=0.05)
    chosen = options(max_steps=3, augmentation="full")
    outcome = train(folder, tmp_path / "run", base=base, options=chosen, log=lambda line: None)
    assert outcome.report.loss is not None
    assert np.isfinite(outcome.report.loss)
