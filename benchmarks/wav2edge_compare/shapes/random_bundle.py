"""A bundle to compare where no checkpoint is at hand: a well-known shape with seeded random weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from wav2edge.errors import Wav2EdgeError
from wav2edge_compare.shapes.random_checkpoint import check_shape, write_random_checkpoint

PRECISIONS = "int8,fp32"


def prepare_shape(shape: str, *, checkpoint: Path, bundle: Path, say: Callable[[str], None]) -> None:
    """Write the checkpoint of a shape, unless it is there, and export it anew.

    The export runs in a process of its own, which takes its memory along; its talk goes to standard error.

    Raises:
        UsageError: there is no such shape.
        Wav2EdgeError: the export failed.
    """
    check_shape(shape)
    if not checkpoint.exists():
        say(f"writing {checkpoint}: {shape} with random weights")
        stage = checkpoint.with_name(f"{checkpoint.name}.tmp")
        shutil.rmtree(stage, ignore_errors=True)
        write_random_checkpoint(stage, shape)
        stage.rename(checkpoint)
    words = ["export", str(checkpoint), "--output", str(bundle), "--precision", PRECISIONS]
    finished = subprocess.run([sys.executable, "-m", "wav2edge", *words], stdout=subprocess.DEVNULL, check=False)
    if finished.returncode > 1:  # 1: a variant was refused, and said so; the other is there
        raise Wav2EdgeError(f"{checkpoint}: cannot be exported; see the line above")
