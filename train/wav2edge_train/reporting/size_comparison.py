"""A smaller model compared with the one it comes from: size, latency, WER and accuracy in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, cast

import torch

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.report import Report
from wav2edge.output.tables import markdown_table
from wav2edge_train.data.clips import ClipDataset, Collator
from wav2edge_train.distillation.teacher import Teacher
from wav2edge_train.loop.distributed import threads_for
from wav2edge_train.loop.report_metrics import ReportMetrics
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.complexity import count_parameters
from wav2edge_train.model.joint_model import JointModel

LENGTHS_S = (1.0, 3.0)
FEWEST_ROUNDS, MOST_ROUNDS = 7, 101
LONGEST_S = 6.0
"""Timed runs per clip length: as many as fit in this time, within these bounds, after one warm-up round."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of one model.

    ``megabytes`` is the size of the weights in memory. ``whole_ms`` and ``transformer_ms`` are median latencies in
    PyTorch on the CPU, batch of one, by clip length in seconds: from waveform to logits, and of the transformer alone.
    """

    name: str
    parameters: int
    megabytes: float
    layers: int
    feed_forward_width: int
    whole_ms: Mapping[float, float]
    transformer_ms: Mapping[float, float]
    report: Report

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "megabytes": round(self.megabytes, 3),
            "layers": self.layers,
            "feed_forward_width": self.feed_forward_width,
            "whole_ms": {f"{length_s:g} s": round(value, 3) for length_s, value in self.whole_ms.items()},
            "transformer_ms": {f"{length_s:g} s": round(value, 3) for length_s, value in self.transformer_ms.items()},
            "report": self.report.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both models; ``large`` is the teacher, or the base before it was made smaller."""

    large: Measured
    small: Measured

    def ratios(self) -> dict[str, float]:
        """The size and latency of the smaller model divided by those of the larger one."""
        pairs = {
            "parameters": (self.large.parameters, self.small.parameters),
            **{f"latency {s:g} s": (self.large.whole_ms[s], self.small.whole_ms[s]) for s in LENGTHS_S},
            **{f"transformer {s:g} s": (self.large.transformer_ms[s], self.small.transformer_ms[s]) for s in LENGTHS_S},
        }
        return {name: round(small / large, 4) for name, (large, small) in pairs.items()}

    def to_dict(self) -> dict[str, Any]:
        """Both models and the ratios as JSON-ready values."""
        return {"large": self.large.to_dict(), "small": self.small.to_dict(), "ratios": self.ratios()}

    def table(self) -> str:
        """An aligned Markdown table."""
        rows = [
            _line(name, self, figure, written) for name, figure, written in _LINES if figure(self.small) is not None
        ]
        return markdown_table(("", self.large.name, self.small.name, "ratio"), rows)


def _line(
    name: str, comparison: Comparison, figure: Callable[[Measured], float | None], written: str
) -> tuple[str, str, str, str]:
    large, small = figure(comparison.large), figure(comparison.small)
    if large is None or small is None:
        return name, "", "", ""
    last = f"{small - large:+.4f}" if name in ("WER", "accuracy") else f"{small / large:.2f}"
    return name, written.format(large), written.format(small), last


def _accuracy(row: Measured) -> float | None:
    return None if row.report.classification is None else row.report.classification.accuracy


def _word_error_rate(row: Measured) -> float | None:
    return None if row.report.word_errors is None else row.report.word_errors.rate


_LINES: tuple[tuple[str, Callable[[Measured], float | None], str], ...] = (
    ("transformer layers", lambda row: row.layers, "{:d}"),
    ("feed-forward width", lambda row: row.feed_forward_width, "{:d}"),
    ("parameters", lambda row: row.parameters, "{:,d}"),
    ("weights, MB", lambda row: row.megabytes, "{:.2f}"),
    *((f"{s:g} s of speech, ms", lambda row, s=s: row.whole_ms[s], "{:.2f}") for s in LENGTHS_S),
    *((f"{s:g} s, transformer alone, ms", lambda row, s=s: row.transformer_ms[s], "{:.2f}") for s in LENGTHS_S),
    ("WER", _word_error_rate, "{:.4f}"),
    ("accuracy", _accuracy, "{:.4f}"),
)


def compare_with(
    large: Teacher, small: tuple[str, JointModel, Report], trainer: JointTrainer, metrics: ReportMetrics
) -> Comparison:
    """Compare the trained model with the one it comes from, on the validation clips of its trainer.

    Args:
        large: the teacher, or the base before training.
        small: name, model and report of the trained model.
        trainer: the trainer of the small model, for its clips and batch size.
        metrics: makes the report of the large model.
    """
    evaluator = JointTrainer(
        model=large.model,
        args=trainer.args,
        eval_dataset=trainer.eval_dataset,
        data_collator=cast(Collator, trainer.data_collator).of_teacher(),
    )
    prediction = evaluator.predict(cast(ClipDataset, trainer.eval_dataset), metric_key_prefix="final")
    report = metrics.make_report(prediction, loss=(prediction.metrics or {})["final_loss"])
    return compare((large.name, large.model, report), small)


def longest_comparison_s() -> float:
    """The time limit of ``compare``, for an estimate of a whole training."""
    return LONGEST_S * 2 * len(LENGTHS_S)


def compare(large: tuple[str, JointModel, Report], small: tuple[str, JointModel, Report]) -> Comparison:
    """Measure two models, each with its name and its report on the same clips.

    The models are moved to the CPU, which is what they are compared for.
    """
    models = [large[1].cpu().eval(), small[1].cpu().eval()]
    with threads_for(models[0]), torch.inference_mode():
        whole, transformer = {}, {}
        for length_s in LENGTHS_S:
            waveforms = torch.randn(1, int(length_s * SAMPLE_RATE_HZ), generator=torch.Generator().manual_seed(0))
            whole[length_s] = medians_ms([partial(model, waveforms) for model in models])
            transformer[length_s] = medians_ms([_transformer(model, waveforms) for model in models])
    rows = [
        Measured(
            name=name,
            parameters=count_parameters(model),
            megabytes=sum(weights.numel() * weights.element_size() for weights in model.parameters()) / 1e6,
            layers=model.config.num_hidden_layers,
            feed_forward_width=model.config.intermediate_size,
            whole_ms={length_s: found[place] for length_s, found in whole.items()},
            transformer_ms={length_s: found[place] for length_s, found in transformer.items()},
            report=report,
        )
        for place, (name, model, report) in enumerate((large, small))
    ]
    return Comparison(large=rows[0], small=rows[1])


def _transformer(model: JointModel, waveforms: torch.Tensor) -> Callable[[], object]:
    """A call of the transformer alone, with the input that it has for these waveforms."""
    encoder, calls = model.backbone.encoder, []

    def keep(module: torch.nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        calls.append(partial(encoder, *inputs, **options))

    hook = encoder.register_forward_pre_hook(keep, with_kwargs=True)
    model(waveforms)
    hook.remove()
    return calls[0]


def medians_ms(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median time of each call, in milliseconds; they alternate, so that a busy moment affects all alike."""
    times_ms: list[list[float]] = [[] for _ in calls]
    started_s = time.perf_counter()
    for round_number in range(MOST_ROUNDS + 1):
        if round_number > FEWEST_ROUNDS and time.perf_counter() - started_s > LONGEST_S:
            break
        for call, times in zip(calls, times_ms, strict=True):
            call_started_s = time.perf_counter()
            call()
            times.append((time.perf_counter() - call_started_s) * 1e3)
    return [median(times[1:]) for times in times_ms]
