"""What an export is asked for, checked before anything is loaded; quick to import, so ``--help`` waits for nothing."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from wav2edge.bundle.folder import ON_GPUS
from wav2edge.errors import UsageError
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.inference.sessions.cpu import NATIVE, TARGETS
from wav2edge_export.quantization.recipes import RECIPES, Recipe

OPERATORS = {
    "fused": "attention as one operator of ONNX Runtime",
    "standard": "plain ONNX, for devices without that operator",
    "gpu": "fused for NVIDIA GPUs, for padded batches and CUDA graphs; fp16 and fp32",
}
"""What a graph may be made of; the rewrite rules are in ``wav2edge_export.rewrite``."""

FORMATS = {
    "onnx": "ONNX, which every build of ONNX Runtime reads",
    "ort": "also each CPU variant in ONNX Runtime's own format, as NAME-ort, with the operators that it needs: for"
    " minimal builds on phones",
}
"""What graphs are written in."""

ONNX_ASR = "onnx-asr"
LAYOUTS = {
    "bundle": "what wav2edge, Optimum and transformers.js load",
    ONNX_ASR: "what the package onnx-asr loads as wav2vec2-ctc, one clip at a time, or with --batched clips padded"
    " together; certified like a bundle",
}
"""What is written; how each comes out of a bundle is in ``wav2edge_export.interchange``."""

LEAST_LEFT_S, MOST_LEFT_S = 0.1, 30.0
"""Of left context, whose keys and values every layer keeps."""
LANGUAGE = re.compile(r"\w[\w.-]*")
"""What a language may be called: its name becomes part of those of files."""

PREFERENCES = {
    "fast": "the fastest; of those within 5 % of each other, the smallest",
    "small": "the fewest bytes",
}
"""Which of the mixtures within its budget ``auto`` takes; ranked in ``wav2edge_export.mixed_precision.frontier``."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of one export.

    Attributes:
        checkpoint: a local folder or a Hub name.
        output: the folder to write.
        precisions: names of recipes; the first becomes the bundle's default.
        operators: one of ``OPERATORS``.
        target: the kind of processor that int8 MatMuls are made for; ``native`` is the one this runs on.
        prefer: one of ``PREFERENCES``.
        logit_error: largest error of the logits of ``int8``, ``int4`` and ``fp16`` as a share of the largest logit;
            that of their budgets where None.
        graph_format: one of ``FORMATS``.
        batched: the graphs take an attention mask next to the samples, and so padded batches.
        data: the data set whose clips the variants are certified on; None for synthetic signals alone.
        split: the split of it; ``test``, else ``validation``, else all rows where None.
        max_clips: certify on the first of its clips.
        longest_clip_s: longest clip that the checkpoint was trained on, in seconds; from its config where None.
        decoder: JSON file that describes the decoder of the bundle; the best token of each frame where None.
        languages: of a checkpoint with an adapter per language, the default first; that of its weights where empty.
        stream_ms: chunks of cached streams in milliseconds, the default first; none where empty.
        left_context_s: sound before a chunk that it attends to.
        look_ahead_ms: sound after a chunk that it is computed with.

    Raises:
        UsageError: an option has a value it cannot have.
    """

    checkpoint: str
    output: Path
    precisions: tuple[str, ...] = ("int8",)
    operators: str = next(iter(OPERATORS))
    target: str = NATIVE
    prefer: str = next(iter(PREFERENCES))
    logit_error: float | None = None
    graph_format: str = next(iter(FORMATS))
    batched: bool = False
    data: Path | None = None
    split: str | None = None
    max_clips: int | None = None
    longest_clip_s: float | None = None
    decoder: Path | None = None
    languages: tuple[str, ...] = ()
    stream_ms: tuple[int, ...] = ()
    left_context_s: float = 1.28
    look_ahead_ms: int = 0

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("operators", self.operators, tuple(OPERATORS)),
            ("target", self.target, (*TARGETS, NATIVE)),
            ("prefer", self.prefer, tuple(PREFERENCES)),
            ("format", self.graph_format, tuple(FORMATS)),
        ):
            if value not in choices:
                raise UsageError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
        self._check_precisions()
        if self.prefer != next(iter(PREFERENCES)) and "auto" not in self.precisions:
            raise UsageError(f"prefer {self.prefer} is about the mixtures of auto; add auto to --precision")

        if self.max_clips is not None and self.max_clips < 1:
            raise UsageError(f"max_clips must be at least 1; got {self.max_clips}; leave it out to use all clips")

        if self.logit_error is not None and not self.logit_error > 0:
            raise UsageError(f"logit_error is {self.logit_error}; give a share of the largest logit, such as 0.05")

        if self.longest_clip_s is not None and not 0 < self.longest_clip_s < math.inf:
            raise UsageError(f"longest_clip_s is {self.longest_clip_s}; give seconds, more than 0")

        self._check_streams()
        self._check_languages()
        if self.graph_format == "ort" and not self.ort_precisions:
            raise UsageError(
                "ONNX Runtime's own format is for CPUs, and there is no variant for CPUs; leave out --format, or add"
                " int8 to --precision, without --operators gpu"
            )

    def budget_of(self, recipe: Recipe) -> Budget:
        """What a variant of a recipe must keep."""
        error = recipe.budget.relative_error
        if self.logit_error is None or error is None:
            return recipe.budget
        return replace(recipe.budget, relative_error=min(error, self.logit_error))

    @property
    def ort_precisions(self) -> tuple[str, ...]:
        """Those that are written in ONNX Runtime's own format too: those for CPUs, where that is asked for."""
        if self.graph_format != "ort" or self.operators == "gpu":
            return ()
        return tuple(name for name in self.precisions if RECIPES[name].method != "fp16")

    @property
    def quantizes_only(self) -> bool:
        """Whether no graph with all weights in floating point is left, so that these may be larger than a file."""
        return not self.stream_ms and all(RECIPES[name].method == "quantize" for name in self.precisions)

    @property
    def takes_mask(self) -> bool:
        """Whether the graphs take an attention mask; those for GPUs always do."""
        return self.batched or self.operators == "gpu"

    def _check_streams(self) -> None:
        if self.look_ahead_ms < 0:
            raise UsageError(f"a look-ahead of {self.look_ahead_ms} ms; give 0 or more")
        if min(self.stream_ms, default=1) < 1 or len(set(self.stream_ms)) != len(self.stream_ms):
            raise UsageError(f"chunks of {', '.join(map(str, self.stream_ms))} ms; give each once, above 0")
        if not LEAST_LEFT_S <= self.left_context_s <= MOST_LEFT_S:
            raise UsageError(f"a left context of {self.left_context_s} s; give {LEAST_LEFT_S:g} to {MOST_LEFT_S:g} s")
        if self.stream_ms and self.operators == "gpu":
            raise UsageError("cached streams run on the CPU; leave out --stream, or export without --operators gpu")

    def _check_languages(self) -> None:
        named = all(LANGUAGE.fullmatch(each) for each in self.languages)
        if not named or len(set(self.languages)) != len(self.languages):
            raise UsageError(f"languages {', '.join(map(repr, self.languages))}; give each once, such as swh,eng")
        alone = {"a decoder": self.decoder, "streams": self.stream_ms}
        if len(self.languages) > 1 and (given := [name for name, value in alone.items() if value]):
            raise UsageError(f"{' and '.join(given)} are for bundles in one language; export each language by itself")

    def _check_precisions(self) -> None:
        unknown = [name for name in self.precisions if name not in RECIPES]
        if unknown or not self.precisions or len(set(self.precisions)) != len(self.precisions):
            raise UsageError(
                f"precisions must be unique and among {', '.join(RECIPES)}; got {','.join(self.precisions)!r}"
            )
        for_cpus = [name for name in self.precisions if name not in ON_GPUS]
        if self.operators == "gpu" and for_cpus:
            raise UsageError(
                f"{', '.join(for_cpus)} is quantised for CPUs; with --operators gpu give fp16, fp32 or both"
            )
        mixing = [name for name in self.precisions if not RECIPES[name].attempts_for(batched=self.takes_mask)]
        if mixing:
            independent = ", ".join(name for name, recipe in RECIPES.items() if recipe.attempts_for(batched=True))
            raise UsageError(
                f"{', '.join(mixing)} scales the activations of a whole batch together, so that a clip's logits would"
                f" depend on its neighbours; with --batched, precisions must be among {independent}"
            )
