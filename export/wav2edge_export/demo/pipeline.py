"""The demo, top to bottom: make a corpus, train, export, certify, transcribe unseen voices, report."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wav2edge.bundle.folder import Bundle
from wav2edge.errors import TrainingError, UsageError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.evaluator import Evaluation, evaluate
from wav2edge.inference.engine import Engine
from wav2edge.output.progress import Progress
from wav2edge_export.demo.corpus_plan import CorpusPlan
from wav2edge_export.demo.demo_stream import streamed_lines
from wav2edge_export.demo.reference_card import beside_reference, shortfalls
from wav2edge_export.demo.speech_corpus import SplitSummary, make_corpus
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_train.model.base_model import preset_base_model
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions

PRESET = "tiny"
LEAST_ACCURACY, MOST_WER = 0.97, 0.03
MARKER = ".wav2edge-demo"
"""Lies in a folder that a demo made, and that the next one may empty."""

SHOWN_ANSWERS = 8


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Where everything of one demo is."""

    folder: Path

    @property
    def corpus(self) -> Path:
        """The spoken corpus."""
        return self.folder / "corpus"

    @property
    def checkpoint(self) -> Path:
        """The fine-tuned PyTorch checkpoint."""
        return self.folder / "checkpoint"

    @property
    def bundle(self) -> Path:
        """The exported bundle."""
        return self.folder / "bundle"


def run_demo(folder: Path, *, seed: int) -> None:
    """Run the whole pipeline and show each stage with its result.

    Args:
        folder: where everything goes; emptied first if an earlier demo made it.
        seed: of the corpus and of the training.

    Raises:
        UsageError: the folder holds something else.
        TrainingError: the model that came out is below the demo's own bar.
    """
    demo = Demo(folder=folder)
    started_s = time.monotonic()
    _claim(folder)
    with _stage(1, "Speech: four syllable tasks, spoken by espeak-ng's voices"):
        plan = CorpusPlan()
        with Progress("speaking", plan.utterances) as progress:
            summary = make_corpus(demo.corpus, seed=seed, plan=plan, progress=lambda done, _: progress.update(done))
        _say(_split_line("to learn from", summary.training))
        _say(_split_line("of voices not in the training data", summary.validation))
    with _stage(2, f"Training: the {PRESET} joint model, from scratch, on this machine"):
        options = TrainingOptions.of(PRESETS[PRESET].training, {"seed": seed})
        train(demo.corpus, demo.checkpoint, base=preset_base_model(PRESET), options=options, log=_say)
    with _stage(3, "Export through Optimum, 8-bit weights, certificate against the PyTorch original"):
        wanted = ExportOptions(
            checkpoint=str(demo.checkpoint), output=demo.bundle, precisions=("int8", "fp32"), data=demo.corpus
        )
        export = export_bundle(wanted, log=_say)
        for certificate in export.refused:
            _say(f"{certificate.precision} was refused, and is not in the bundle")
    with _stage(4, "Results on voices that were not in the training data"):
        evaluation = _answer_unseen(demo)
        print(_answers_table(evaluation))
    with _stage(5, "The report in the form of the reference card, next to the figures of that card"):
        print(beside_reference(evaluation.report))
        _say("The reference card's model is 600 times larger, on recorded speech: compare the form, not figures.")
    with _stage(6, "Some of these voices as a stream, in which words appear while they are spoken"):
        for line in streamed_lines(demo.bundle, [row for row, _ in evaluation.results]):
            print(line)
    _close(demo, evaluation, time.monotonic() - started_s)


def _claim(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UsageError(f"{folder}: exists and was not made by a demo; give another --output")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("Made by `wav2edge demo`, which may empty this folder.\n", encoding="utf-8")


def _split_line(role: str, split: SplitSummary) -> str:
    supports = "/".join(map(str, split.supports.values()))
    return (
        f"      {split.utterances} utterances {role}: classes {supports}, {split.syllables} syllables,"
        f" {split.voices} voices, {split.duration_s / 60:.1f} minutes"
    )


def _answer_unseen(demo: Demo) -> Evaluation:
    utterances = select_split(read_dataset(demo.corpus), "validation")
    engine = Engine.from_bundle(Bundle.open(demo.bundle))
    with Progress("answering", len(utterances)) as progress:
        return evaluate(engine, utterances, advance=progress.advance)


def _answers_table(evaluation: Evaluation) -> str:
    """A few results, evenly drawn from the corpus and so from its classes."""
    every = max(1, len(evaluation.results) // SHOWN_ANSWERS)
    lines = [f"{'clip':24} {'class':>5} {'predicted':>9} {'score':>5}  transcript (reference, where it differs)"]
    for row, result in evaluation.results[::every][:SHOWN_ANSWERS]:
        score = max((result.scores or {"": 0.0}).values())
        reference = "" if result.text == row.transcription else f"  ({row.transcription})"
        lines.append(f"{_clip_name(row):24} {row.label:>5} {result.label:>9} {score:5.2f}  {result.text}{reference}")
    return "\n".join(lines)


def _clip_name(row: Utterance) -> str:
    return f"{row.path.stem} {row.speaker or ''}"[:24]


def _close(demo: Demo, evaluation: Evaluation, elapsed_s: float) -> None:
    missed = list(shortfalls(evaluation.report, least_accuracy=LEAST_ACCURACY, most_wer=MOST_WER))
    if missed:
        raise TrainingError(f"the model came out with {' and '.join(missed)}; try another --seed and report it")
    clip = next(iter(evaluation.results))[0].path
    _say(
        f"\nDone in {elapsed_s / 60:.1f} minutes. Everything is in {demo.folder}. Try:\n"
        f"  wav2edge run {demo.bundle} {clip}\n"
        f"  wav2edge stream {demo.bundle} {clip} --pace\n"
        f"  wav2edge inspect {demo.bundle}\n"
        f"  wav2edge verify {demo.bundle}\n"
        f"  wav2edge bench {demo.bundle}"
    )


@contextmanager
def _stage(number: int, title: str) -> Iterator[None]:
    _say(f"\n[{number}/6] {title}")
    started_s = time.monotonic()
    yield
    _say(f"      {time.monotonic() - started_s:.0f} s")


def _say(line: str) -> None:
    sys.stdout.flush()  # results go to stdout, the log to stderr: keep their order on a terminal
    print(line, file=sys.stderr, flush=True)
