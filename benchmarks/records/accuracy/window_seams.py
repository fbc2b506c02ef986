r"""Speech without pauses: overlapping windows against the whole.

    python -m benchmarks.records.accuracy.window_seams BUNDLE DATA --output build/window-seams \
        --result benchmarks/results/window-seams.json

At XLSR-53's shape, with random weights, a whole of 25 s fits: the logits of windows are compared with its. BUNDLE was
trained on clips of two seconds, so that a whole recording is what it cannot answer: there, test clips of DATA joined
without pauses are answered in windows, as a whole, and one by one, and the word error rates are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.audio.segmentation import Segmentation, Span
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import read_dataset, select_split
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.rates import count_word_errors
from wav2edge.inference.engine import Engine
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import load_checkpoint

FloatArray = npt.NDArray[np.floating]
COMMAND = "python -m benchmarks.records.accuracy.window_seams BUNDLE DATA --output build/window-seams"
COMMAND += " --result benchmarks/results/window-seams.json"
WHOLE_S = 25.0
WINDOWS_S = ((5.0, 1.25), (10.0, 2.5), (10.0, 4.0), (20.0, 4.0))
"""Length and overlap; the overlap is at most a quarter of the length where a recording is segmented."""
JOINED_S = 60.0


def spans(samples: npt.NDArray[np.float32], length_s: float, overlap_s: float, hop: int) -> list[Span]:
    """Overlapping windows over all of a recording, whole frames apart: ``[samples] float32`` at 16 kHz."""
    length, overlap = (round(seconds * SAMPLE_RATE_HZ) // hop * hop for seconds in (length_s, overlap_s))
    found, start = list[Span](), 0
    while not found or found[-1].end < len(samples):
        window = samples[start : start + length]
        found.append(Span(start=start, samples=window, overlap=overlap if found else 0))
        start += length - overlap
    return found


def relative_rms(values: FloatArray, wanted: FloatArray) -> float:
    """The root mean square of the difference, over that of what is wanted."""
    return float(np.sqrt(np.mean((values - wanted) ** 2) / np.mean(np.square(wanted))))


def seams(engine: Engine) -> list[dict[str, Any]]:
    """Windows against the whole, in logits; of what two windows share, each has half."""
    samples, head, hop = voiced(round(WHOLE_S * SAMPLE_RATE_HZ), seed=1), engine.heads.ctc, engine.geometry.hop
    assert head is not None
    whole = engine.outputs(samples)[head.output]
    found = []
    for length_s, overlap_s in WINDOWS_S:
        joined = np.zeros_like(whole)
        for span in spans(samples, length_s, overlap_s, hop):
            first, left = span.start // hop, span.overlap // hop // 2
            rows = engine.outputs(span.samples)[head.output]
            joined[first + left : first + len(rows)] = rows[left : len(whole) - first]
        error, same = relative_rms(joined, whole), float(np.mean(joined.argmax(-1) == whole.argmax(-1)))
        windows = {"window_s": length_s, "overlap_s": overlap_s}
        found.append({**windows, "relative_rms": error, "same_best_token": same})
    return found


def word_errors(engine: Engine, data: Path) -> dict[str, Any]:
    """WER of test clips joined without pauses: in windows, as a whole, two by two, and one by one.

    The model was trained on single words: what it loses on two is not the windows' fault.
    """
    rows = select_split(read_dataset(data), "test")
    clips = [load_clip(row.path).samples for row in rows]
    texts = [row.transcription or "" for row in rows]
    counts = dict.fromkeys(("windows", "whole", "two by two", "one by one"), 0)
    longest_s = engine.comfortable_s
    first = 0
    while first < len(clips):
        last = first + 1
        while last < len(clips) and sum(map(len, clips[first : last + 1])) <= JOINED_S * SAMPLE_RATE_HZ:
            last += 1
        joined, wanted = np.concatenate(clips[first:last]), " ".join(texts[first:last])
        engine.segmentation = Segmentation(longest_s=longest_s, min_silence_s=JOINED_S)
        answers = {
            "windows": engine(joined, rate_hz=SAMPLE_RATE_HZ, segments=True).text,
            "whole": engine(joined, rate_hz=SAMPLE_RATE_HZ, segments=False).text,
            "two by two": _one_after_the_other(engine, _pairs(clips[first:last])),
            "one by one": _one_after_the_other(engine, clips[first:last]),
        }
        for name, text in answers.items():
            counts[name] += count_word_errors([wanted], [text or ""]).edits
        first = last
    words = len(" ".join(texts).split())
    return {"words": words, "wer": {name: count / words for name, count in counts.items()}}


def _pairs(clips: Sequence[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    return [np.concatenate(clips[place : place + 2]) for place in range(0, len(clips), 2)]


def _one_after_the_other(engine: Engine, clips: Sequence[npt.NDArray[np.float32]]) -> str:
    return " ".join(engine(clip, rate_hz=SAMPLE_RATE_HZ, segments=False).text or "" for clip in clips)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--shape", default="xlsr-53", help="xlsr-53 or base (default: xlsr-53)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the random graph goes")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    checkpoint, graph = options.output / "checkpoint", options.output / "fp32.onnx"
    if not checkpoint.is_dir():
        write_random_checkpoint(checkpoint, options.shape)
    loaded = load_checkpoint(str(checkpoint))
    if not graph.is_file():
        export_graph(loaded, graph, operators="fused")
    large = Engine.from_graph(graph, heads=loaded.heads, geometry=loaded.geometry)
    record = {
        "what": "overlapping windows against the whole, at XLSR-53's shape with random weights; WER of a trained model",
        "command": COMMAND,
        "shape": options.shape,
        "whole_s": WHOLE_S,
        "windows": seams(large),
        "trained": word_errors(wav2edge.load(options.bundle), options.data),
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
