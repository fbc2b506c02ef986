"""True word times: the demo's model trained with and without the times at which words begin, and the times of a bundle.

    python -m benchmarks.records.accuracy.word_starts DATA --output build/word-starts \
        --result benchmarks/results/word-starts-demo.json
    python -m benchmarks.records.accuracy.word_starts DATA --split spoken --bundle models/words \
        --result benchmarks/results/word-starts-shipped.json

DATA is a corpus whose rows hold ``word_starts_s``, such as that of ``wav2edge demo``. Without a bundle, both models are
trained; a trial with a complete checkpoint under the output is only evaluated again. With one, its word starts are
compared with the truth, on clips by themselves and joined with pauses to a recording, as they are recognised and as
they are aligned with the right text.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from benchmarks.records.accuracy.joined_recordings import join
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split

TRIALS = {"bound to word starts": (), "plain CTC": ("--no-follow-word-starts",)}
JOINED_S = 240.0
FloatSamples = npt.NDArray[np.float32]


def train(options: argparse.Namespace) -> None:
    """Train both models, evaluate, and write the record."""
    recorder = CommandRecorder({options.data: "DATA", options.output: "OUTPUT"})
    found = {}
    for name, chosen in TRIALS.items():
        checkpoint = options.output / name.replace(" ", "-")
        command = recorder.train_once("train", options.data, "--preset", "tiny", *chosen, checkpoint=checkpoint)
        report = recorder.report("evaluate", checkpoint, options.data, "--split", options.split, "--json")
        found[name] = {"training": command, options.split: report}
    recorder.write(
        options.result, {"what": "preset tiny on the demo's corpus, voices unseen in training", "trials": found}
    )


def times_of(engine: wav2edge.Engine, rows: Sequence[Utterance]) -> dict[str, Any]:
    """Errors of the word starts of a bundle, recognised and aligned, on clips alone and joined."""
    clips = [load_clip(row.path).samples for row in rows]
    joined, places = join(clips, JOINED_S, snr_db=None, exponent=0.0)
    said = [(rows[row], first / SAMPLE_RATE_HZ) for first, _, row in places]
    text = " ".join(str(row.transcription) for row, _ in said)
    truth = [begins_s + start_s for row, begins_s in said for start_s in row.word_starts_s or ()]
    aligned = [word.start_s for word in engine.align(joined, text, rate_hz=SAMPLE_RATE_HZ).words]
    return {
        "recognised, alone": summary(recognised_alone(engine, rows, clips)),
        "aligned, alone": summary(aligned_alone(engine, rows, clips)),
        "recognised, joined": summary(recognised_joined(engine, joined, said)),
        "aligned, joined": summary(np.subtract(aligned, truth)),
    }


def recognised_alone(
    engine: wav2edge.Engine, rows: Sequence[Utterance], clips: Sequence[FloatSamples]
) -> Iterator[float]:
    """Of the clips that are transcribed as they were said; others have no words to compare."""
    for row, clip in zip(rows, clips, strict=True):
        result = engine(clip, rate_hz=SAMPLE_RATE_HZ)
        if result.words is not None and result.text == row.transcription:
            yield from np.subtract([word.start_s for word in result.words], row.word_starts_s or ())


def aligned_alone(engine: wav2edge.Engine, rows: Sequence[Utterance], clips: Sequence[FloatSamples]) -> Iterator[float]:
    """Of all clips."""
    for row, clip in zip(rows, clips, strict=True):
        found = engine.align(clip, str(row.transcription), rate_hz=SAMPLE_RATE_HZ)
        yield from np.subtract([word.start_s for word in found.words], row.word_starts_s or ())


def recognised_joined(
    engine: wav2edge.Engine, joined: FloatSamples, said: Sequence[tuple[Utterance, float]]
) -> Iterator[float]:
    """Of the utterances of a recording that are transcribed as they were said."""
    words = engine(joined, rate_hz=SAMPLE_RATE_HZ, segments=True).words or ()
    ends_s = [*(begins_s for _, begins_s in said[1:]), float("inf")]
    for (row, begins_s), ends in zip(said, ends_s, strict=True):
        own = [word for word in words if begins_s <= (word.start_s + word.end_s) / 2 < ends]
        if " ".join(word.text for word in own) == row.transcription:
            yield from np.subtract([word.start_s - begins_s for word in own], row.word_starts_s or ())


def summary(errors_s: Iterable[float]) -> dict[str, Any]:
    """The median and the 95th percentile of absolute errors."""
    sizes = np.abs(list(errors_s))
    return {"words": len(sizes), "median_s": float(np.median(sizes)), "p95_s": float(np.percentile(sizes, 95))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or measure a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--split", default="validation", metavar="NAME", help="which rows (default: validation)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, metavar="DIR", help="train; folder for the checkpoints")
    where.add_argument("--bundle", type=Path, metavar="BUNDLE", help="measure the word starts of a bundle")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    if options.bundle is None:
        train(options)
        return
    rows = [row for row in select_split(read_dataset(options.data), options.split) if row.word_starts_s is not None]
    command = f"python -m benchmarks.records.accuracy.word_starts DATA --split {options.split} --bundle BUNDLE"
    record = {
        "what": "word starts of a bundle against those of the synthesiser",
        "command": f"{command} --result {options.result}",
        "clips": len(rows),
        "times": times_of(wav2edge.load(options.bundle), rows),
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
