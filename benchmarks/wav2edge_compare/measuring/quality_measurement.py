"""Quality: every system runs the evaluation clips, and its outputs are compared with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wav2edge.bundle.manifest import Manifest
from wav2edge.errors import BenchmarkError, DataError
from wav2edge_compare.comparison_results import SampleLog
from wav2edge_compare.measuring.clip_sets import EvaluationClip
from wav2edge_compare.measuring.measured_system import SystemUnderTest, mark_failed
from wav2edge_compare.measuring.output_quality import Outputs, evaluate


def measure_quality(
    systems: Sequence[SystemUnderTest],
    original: SystemUnderTest,
    clips: Sequence[EvaluationClip],
    manifest: Manifest,
    *,
    folder: Path,
    samples: SampleLog,
    advance: Callable[[], None],
) -> None:
    """Fill the rows with the quality of each system; a failing one keeps the reason and drops out.

    Args:
        systems: the systems to evaluate; ``original`` may be among them.
        original: PyTorch eager.
        clips: the evaluation set.
        manifest: heads and geometry of the model.
        folder: for clips, outputs and the processes' logs.
        samples: receives every measurement.
        advance: called after each clip of each system.

    Raises:
        BenchmarkError: PyTorch fails, so there is nothing to compare with.
    """
    originals = run_clips(original, clips, folder, samples, advance)
    for system in systems:
        try:
            outputs = originals if system is original else run_clips(system, clips, folder, samples, advance)
            quality = evaluate(
                clips,
                originals,
                outputs,
                heads=manifest.heads,
                geometry=manifest.geometry,
                log_probabilities=system.log_probabilities,
            )
        except (BenchmarkError, DataError) as failure:
            mark_failed(system.row, str(failure), samples)
        else:
            system.row.quality = quality
            samples.write("quality", system=system.row.name, **quality.to_dict())


def run_clips(
    system: SystemUnderTest,
    clips: Sequence[EvaluationClip],
    folder: Path,
    samples: SampleLog,
    advance: Callable[[], None],
) -> list[Outputs]:
    """Outputs of one system for every clip, in a process of its own.

    Raises:
        BenchmarkError: it cannot be loaded, or fails on a clip.
    """
    given, written = folder / "given.npy", folder / "outputs.npz"
    np.save(given, clips[0].samples)
    found: list[Outputs] = []
    with system.start(given, folder, samples) as process:
        for clip in clips:
            np.save(given, clip.samples)
            process.request(run=str(given), output=str(written))
            with np.load(written) as outputs:
                found.append(dict(outputs))
            advance()
    return found
