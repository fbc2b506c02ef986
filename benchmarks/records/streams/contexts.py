"""What a chunk, the left context, a look-ahead and distillation bring: checkpoints that hear clips in chunks.

    python -m benchmarks.records.streams.contexts DATA whole=CHECKPOINT streaming=CHECKPOINT distilled=CHECKPOINT \
        --result benchmarks/results/streams-contexts.json

DATA is a data set; its test clips are heard one by one by the PyTorch checkpoints, whole, and in chunks where they were
trained for that.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.evaluator import evaluate
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.chunked_encoder import Chunking

CHUNK_FRAMES, LEFT_FRAMES, LOOK_AHEAD_FRAMES, USUAL_LEFT = (8, 16), (16, 32, 64, 128), (4, 6, 8, 16), 64
FRAME_MS = 20


def chunkings(delay: int) -> Iterator[Chunking]:
    """Every chunk with every left context, and with every look-ahead of up to one chunk at the usual left context."""
    for frames in CHUNK_FRAMES:
        for left in LEFT_FRAMES:
            yield Chunking(frames=frames, left=left, delay=delay)
        for ahead in LOOK_AHEAD_FRAMES:
            if ahead <= frames:
                yield Chunking(frames=frames, left=USUAL_LEFT, look_ahead=ahead, delay=delay)


def rates(checkpoint: Checkpoint, rows: Sequence[Utterance], chunking: Chunking | None) -> dict[str, float]:
    """WER and accuracy."""
    report = evaluate(Original(checkpoint, chunking), rows).report
    found = {}
    if report.word_errors is not None:
        found["wer"] = round(report.word_errors.rate, 4)
    if report.classification is not None:
        found["accuracy"] = round(report.classification.accuracy, 4)
    return found


def measure(checkpoint: Checkpoint, rows: Sequence[Utterance]) -> dict[str, Any]:
    """A checkpoint on whole clips and in chunks."""
    streaming = getattr(checkpoint.model.config, "streaming", None)
    found = [
        {
            "chunk_ms": FRAME_MS * chunking.frames,
            "left_ms": FRAME_MS * chunking.left,
            "look_ahead_ms": FRAME_MS * chunking.look_ahead,
            **rates(checkpoint, rows, chunking),
        }
        for chunking in (chunkings(streaming["delay_frames"]) if streaming else ())
    ]
    return {"whole": rates(checkpoint, rows, None), "chunks": found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate every checkpoint, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("checkpoints", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--split", default="test", metavar="NAME")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    rows = select_split(read_dataset(options.data), options.split)
    named = [each.split("=", 1) for each in options.checkpoints]
    record = {
        "what": f"PyTorch checkpoints on {len(rows)} clips of the split {options.split}, whole and in chunks",
        "command": "python -m benchmarks.records.streams.contexts DATA "
        + " ".join(f"{name}=CHECKPOINT" for name, _ in named)
        + " --result RESULT",
        "checkpoints": {name: measure(load_checkpoint(path), rows) for name, path in named},
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
