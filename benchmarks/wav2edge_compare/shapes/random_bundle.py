"""A bundle to compare without a checkpoint: a well-known shape with seeded random weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from wav2edge.errors import Wav2EdgeError
from wav2edge_compare.shapes.random_checkpoint import check_shape, write_random_checkpoint

PRECISIONS = "int8,fp32"


def prepare_shape(shape: str, *, checkpoint: Path, bundle: Path, log: Callable[[str], None]) -> None:
    """Write the checkpoint of a shape unless it exists, and export it.

    The export runs in a process of its own, whose memory ends with it; its log goes to standard error.

    Raises:
        UsageError: the shape is unknown.
        Wav2EdgeError: the export failed.
    """
    check_shape(shape)
    if not checkpoint.exists():
        log(f"writing {checkpoint}: {shape} with random weights")
        stage = checkpoint.with_name(f"{checkpoint.name}.tmp")
        shutil.rmtree(stage, ignore_errors=True)
        write_random_checkpoint(stage, shape)
        stage.rename(checkpoint)
    words = ["export", str(checkpoint), "--output", str(bundle), "--precision", PRECISIONS]
    finished = subprocess.run([sys.executable, "-m", "wav2edge", *words], stdout=subprocess.DEVNULL, check=False)
    if finished.returncode > 1:  # 1: a variant was refused, with its reason; the other was written
        raise Wav2EdgeError(f"{checkpoint}: cannot be exported; see the message above")
