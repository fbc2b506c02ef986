"""What an export is asked for, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wav2edge.errors import UsageError
from wav2edge.inference.cpu import NATIVE, TARGETS
from wav2edge_export.export_choices import PREFERENCES
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_export.rewrite import RULES, Operators


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of one export.

    ``precisions`` name recipes; the first one becomes the bundle's default. ``operators`` is ``fused`` (attention as
    one operator of ONNX Runtime) or ``standard`` (plain ONNX, for execution providers that lack it). ``target`` is the
    kind of processor that 8-bit products are made for, or ``native`` for the one this runs on. ``prefer`` says which
    of the mixtures within its budget ``auto`` takes. ``batched`` graphs take a mask beside the samples. ``data`` is a
    data set whose ``split`` the certificate is judged on, ``max_clips`` of it at most.
    """

    checkpoint: str
    output: Path
    precisions: tuple[str, ...] = ("int8",)
    operators: Operators = "fused"
    target: str = NATIVE
    prefer: str = next(iter(PREFERENCES))
    batched: bool = False
    data: Path | None = None
    split: str | None = None
    max_clips: int | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.precisions if name not in RECIPES]
        if unknown or not self.precisions or len(set(self.precisions)) != len(self.precisions):
            raise UsageError(f"precisions are {', '.join(RECIPES)}, each once; not {','.join(self.precisions)!r}")
        mixing = [name for name in self.precisions if not RECIPES[name].attempts_for(batched=self.batched)]
        if mixing:
            apart = ", ".join(name for name, recipe in RECIPES.items() if recipe.attempts_for(batched=True))
            raise UsageError(
                f"{', '.join(mixing)} scales the activations of a whole batch together, so that a clip's answer would"
                f" depend on its neighbours; with --batched, precisions are {apart}"
            )
        if self.operators not in RULES:
            raise UsageError(f"operators are {' or '.join(RULES)}; not {self.operators!r}")
        if self.target not in (*TARGETS, NATIVE):
            raise UsageError(f"targets are {', '.join((*TARGETS, NATIVE))}; not {self.target!r}")
        if self.prefer not in PREFERENCES:
            raise UsageError(f"auto may prefer {' or '.join(PREFERENCES)}; not {self.prefer!r}")
        if self.max_clips is not None and self.max_clips < 1:
            raise UsageError("at least one clip is needed to judge on; leave --max-clips out to use all")
