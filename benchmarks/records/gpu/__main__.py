"""Everything that needs a GPU, with one command, in the order of its worth: each step has a time limit and a record.

    python -m benchmarks.records.gpu WORDS --bundle BUNDLE --output build/gpu --result benchmarks/results/gpu
    make gpu WORDS=... BUNDLE=... SYLLABLES=... BASE=xlsr-53/

WORDS and SYLLABLES are data sets with the splits train, validation and test; BUNDLE was exported with ``--operators gpu
--precision fp16,fp32``. ``--base`` is a local copy of facebook/wav2vec2-large-xlsr-53; without it its shape starts from
random weights. The steps are

- ``answers``: the bundle on CUDA against the CPU;
- ``throughput``: the training loop against a bare one;
- ``latency``: XLSR-53's shape against PyTorch. It exports and compiles while other steps run, and measures last;
- ``words``: models for WORDS, all at once, each for ``--minutes``; those with random weights learn from the trained
  checkpoint ``--teacher`` as well, if there is one. Two at once take twice as long for an update, so where minutes are
  few ``--trainings words-medium-strong`` trains that one alone;
- ``students`` of them, and ``syllables``.

A step that fails or outlasts its limit is told of, and the others go on; what is complete is not done again. It needs
onnxruntime-gpu with the libraries of the extra ``gpu``, PyTorch for CUDA, and for ``latency`` the extra ``export``;
``--rehearse`` runs the same steps with tiny models on any machine, and gives no figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.records.command_recorder import CommandRecorder, with_interval
from benchmarks.records.gpu.gpu_meter import device_name
from wav2edge.errors import UsageError

STEPS = ("answers", "throughput", "latency", "words", "students", "syllables")
KEPT = ("README.md", "report.json", "comparison.json", "loss.png", "accuracy.png", "confusion.png")
"""Files of a checkpoint that its record keeps: card, figures and charts, never weights."""

FINE_TUNED = (
    *("--augmentation", "full", "--schedule", "cosine", "--accumulation", "1", "--batch-size", "16"),
    *("--learning-rate", "1e-4", "--warmup-steps", "200"),
)
MEDIUM = (
    *("--preset", "medium", "--augmentation", "strong", "--batch-size", "32"),
    *("--learning-rate", "5e-4", "--eval-steps", "1000"),
)
MASKS = {"strong": (), "masked": ("--mask-time", "0.15", "--mask-features", "0.05")}
"""What is masked of the clips of that model beyond what its preset says."""
REHEARSAL = ("--max-steps", "2", "--batch-size", "4", "--warmup-steps", "0")
SPARE_S = 90.0
"""For what a training does before and after its updates."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A model to train, or to distill where it has a teacher: its options, and the splits it is evaluated on."""

    name: str
    words: tuple[str | Path, ...]
    data: Path
    teacher: Path | None = None
    splits: tuple[str, ...] = ("test",)

    @property
    def command(self) -> tuple[str | Path, ...]:
        """The `wav2edge` command without `--output`."""
        verb = ("train",) if self.teacher is None else ("distill", self.teacher)
        return (*verb, self.data, *self.words)


def word_trials(options: argparse.Namespace) -> Iterator[Trial]:
    """The largest model, and the one of 20 million parameters with more or less of each clip masked."""
    how: tuple[str | Path, ...] = ("--preset", "large", "--eval-steps", "1500")
    if options.base:
        how = ("--base", options.base, *FINE_TUNED, "--eval-steps", "1000")
    trials = {"words-xlsr53": how} | {f"words-medium-{name}": (*MEDIUM, *more) for name, more in MASKS.items()}
    for name, words in trials.items():
        teacher = None if options.base in words else options.teacher
        yield Trial(name=name, words=_timed(options, words, teacher), data=options.words, teacher=teacher)


def _timed(options: argparse.Namespace, how: tuple[str | Path, ...], teacher: Path | None) -> tuple[str | Path, ...]:
    """How to train for the time that is given; in a rehearsal two updates of a tiny model."""
    if options.rehearse:
        tiny = ("--preset", "tiny", "--feature-pretrain-steps", "2")
        return (*REHEARSAL, *(tiny if teacher is None else ("--encoder-layers", "1")))
    timed = (*how, "--max-minutes", str(options.minutes), "--no-follow-word-starts")
    return timed if options.cuda_graphs else (*timed, "--no-cuda-graphs")


def best_medium(options: argparse.Namespace) -> Path:
    """The checkpoint of the model for words that is best on the validation split."""

    def score(checkpoint: Path) -> float:
        report = checkpoint / "report.json"
        found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
        return float(found.get("accuracy", 0.0) - found.get("wer", 0.0))

    return max((options.output / f"words-medium-{name}" for name in MASKS), key=score)


def student_trials(options: argparse.Namespace) -> Iterator[Trial]:
    """Of each kind of model for words a student with half its layers."""
    layers = {options.output / "words-xlsr53": "12", best_medium(options): "4"}
    for teacher, count in layers.items():
        words = ("--encoder-layers", "1" if options.rehearse else count, *(REHEARSAL if options.rehearse else ()))
        yield Trial(name=f"{teacher.name}-student", words=words, data=options.words, teacher=teacher)


def syllable_trials(options: argparse.Namespace) -> Iterator[Trial]:
    """The model of 20 million parameters."""
    if options.syllables:
        words = (
            ("--preset", "tiny", "--feature-pretrain-steps", "2", *REHEARSAL)
            if options.rehearse
            else ("--preset", "medium")
        )
        yield Trial(name="syllables-medium", words=words, data=options.syllables, splits=("validation", "test"))


TRIALS: dict[str, Callable[[argparse.Namespace], Iterator[Trial]]] = {
    "words": word_trials,
    "students": student_trials,
    "syllables": syllable_trials,
}


def run_trial(trial: Trial, options: argparse.Namespace) -> None:
    """Train unless the checkpoint is complete, evaluate, and keep card, figures and charts."""
    recorder = CommandRecorder(_names(options))
    checkpoint, limit_s = options.output / trial.name, options.minutes * 60 + SPARE_S
    training = recorder.train_once(*trial.command, checkpoint=checkpoint, limit_s=limit_s)
    reports = {
        split: with_interval(recorder.report("evaluate", checkpoint, trial.data, "--split", split, "--json"))
        for split in trial.splits
    }
    folder = options.result / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (checkpoint / name).is_file():
            shutil.copy(checkpoint / name, folder / name)
    recorder.write(folder / "record.json", {"training": training, "device": device_name(), "reports": reports})


def _names(options: argparse.Namespace) -> dict[Path, str]:
    names = {options.words: "WORDS", options.syllables: "SYLLABLES", options.base: "XLSR-53", options.output: "OUTPUT"}
    names[options.teacher] = "TEACHER"
    return {path: name for path, name in names.items() if path is not None}


class Script:
    """The steps of one run; files in the output tell the latency step when the GPU is free."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.failed = options, list[str]()
        self._measured, self._trained = (options.output / f"{name}.ended" for name in ("throughput", "words"))
        for flag in (self._measured, self._trained):
            flag.unlink(missing_ok=True)
        self._latency: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Every step that is asked for."""
        steps = self.options.steps
        if "latency" in steps:
            self._latency = self._start("gpu_latency", *self._latency_words())
        if "answers" in steps and self.options.bundle is not None:
            self._attempt("answers", lambda: self._finish(self._start("gpu_answers", *self._answers_words()), 60))
        if "throughput" in steps:
            self._attempt(
                "throughput", lambda: self._finish(self._start("training_throughput", *self._loop_words()), 90)
            )
        self._measured.touch()
        for step, trials in TRIALS.items():
            if step in steps:
                self._train([trial for trial in trials(self.options) if self._is_wanted(trial)])
            if step == "words":
                self._trained.touch()
                self._attempt("latency", lambda: self._finish(self._latency, 300))

    def _is_wanted(self, trial: Trial) -> bool:
        return self.options.trainings is None or trial.name in self.options.trainings

    def _train(self, trials: Sequence[Trial]) -> None:
        with ThreadPoolExecutor(len(trials) or 1) as pool:
            for trial in trials:
                pool.submit(self._attempt, trial.name, partial(run_trial, trial, self.options))

    def _attempt(self, name: str, work: Callable[[], None]) -> None:
        started_s = time.monotonic()
        try:
            work()
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            self.failed.append(name)
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        print(f"{name}: {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)

    def _start(self, module: str, *words: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", f"benchmarks.records.gpu.{module}", *map(str, words)])

    def _finish(self, process: subprocess.Popen[bytes] | None, limit_s: float) -> None:
        if process is None:
            return
        try:
            if code := process.wait(timeout=limit_s):
                raise subprocess.CalledProcessError(code, process.args)
        finally:
            process.kill()

    def _answers_words(self) -> tuple[str | Path, ...]:
        options = self.options
        clips = options.words if options.words.is_dir() else options.words.parent
        words = (options.bundle, clips, "--result", options.result / "answers.json")
        return (*words, "--device", "cpu") if options.rehearse else words

    def _loop_words(self) -> tuple[str | Path, ...]:
        words = ("--result", self.options.result / "throughput.json", "--rounds")
        small = ("1", "--shape", "small", "--warm-up", "1", "--updates", "2")
        return (*words, *small) if self.options.rehearse else (*words, "2", "--updates", "40")

    def _latency_words(self) -> tuple[str | Path, ...]:
        options = self.options
        words = ("--output", options.output, "--result", options.result / "latency.json")
        flags = ("--gpu-after", self._measured, "--measure-after", self._trained)
        small = ("--device", "cpu", "--shape", "rehearsal", "--rounds", "1", "--largest-batch", "1")
        return (*words, *flags, *(small if options.rehearse else ()))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", type=Path, metavar="WORDS")
    parser.add_argument("--bundle", type=Path, metavar="BUNDLE", help="for the step answers")
    parser.add_argument("--syllables", type=Path, metavar="SYLLABLES", help="for the step syllables")
    parser.add_argument("--base", type=Path, metavar="CHECKPOINT", help="local copy of XLSR-53 to fine-tune")
    parser.add_argument("--teacher", type=Path, metavar="CHECKPOINT", help="a trained model for WORDS to learn from")
    parser.add_argument("--steps", type=lambda text: tuple(text.split(",")), default=STEPS, metavar="A,B,...")
    parser.add_argument(
        "--trainings", type=lambda text: tuple(text.split(",")), metavar="A,B,...", help="by name (default: all)"
    )
    parser.add_argument("--minutes", type=float, default=5.0, metavar="M", help="for each training (default: 5)")
    parser.add_argument("--no-cuda-graphs", dest="cuda_graphs", action="store_false", help="train kernel by kernel")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints and graphs go")
    parser.add_argument("--result", type=Path, required=True, metavar="DIR", help="where the records go")
    parser.add_argument("--rehearse", action="store_true", help="tiny models and a few updates, on any machine")
    options = parser.parse_args(arguments)
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    names = [trial.name for step, trials in TRIALS.items() if step in options.steps for trial in trials(options)]
    if unknown := set(options.trainings or ()) - set(names):
        parser.error(f"no training {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every step, and say at the end which failed."""
    options = parse(arguments)
    if not options.rehearse and not torch.cuda.is_available():
        raise SystemExit(str(UsageError("no CUDA GPU here; run it where there is one, or add --rehearse")))
    options.output.mkdir(parents=True, exist_ok=True)
    script = Script(options)
    script.run()
    if script.failed:
        raise SystemExit(f"failed: {', '.join(script.failed)}")


if __name__ == "__main__":
    main()
