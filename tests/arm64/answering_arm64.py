"""What a bundle answers, as JSON: run with the same words on this machine and in emulation, and compared."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wav2edge
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.folder import Bundle
from wav2edge.evaluation.verification import verify
from wav2edge.output.documents import strict_json

BLOCK = 1_600
"""Samples that a stream is given at a time."""


def answers(folder: Path, variant: str | None, clips: Sequence[str]) -> dict[str, Any]:
    """The outcome of every check of the bundle, and for every clip the answer and the outputs."""
    engine = wav2edge.load(folder, variant=variant, threads=1)
    found = {}
    for clip in clips:
        outputs = engine.outputs(load_clip(clip).samples)
        outputs_as_lists = {name: values.tolist() for name, values in outputs.items()}
        found[Path(clip).name] = {"answer": engine(clip).to_dict(), "outputs": outputs_as_lists}
    return {
        "machine": platform.machine(),
        "checks": [check.to_dict() for check in verify(Bundle.open(folder), threads=1)],
        "clips": found,
    }


def stream_answers(folder: Path, recording: str) -> dict[str, Any]:
    """What a stream says of a recording."""
    engine = wav2edge.load(folder, threads=1)
    samples = load_clip(recording).samples
    with engine.stream() as stream:
        events = [event for at in range(0, len(samples), BLOCK) for event in stream.feed(samples[at : at + BLOCK])]
        events += stream.finish()
    finals = [event.to_dict() for event in events if isinstance(event, wav2edge.Final)]
    return {"machine": platform.machine(), "finals": finals}


if __name__ == "__main__":
    kind, bundle, *words = sys.argv[1:]
    if kind == "stream":
        print(strict_json(stream_answers(Path(bundle), words[0])))
    else:
        print(strict_json(answers(Path(bundle), json.loads(words[0]), words[1:])))
