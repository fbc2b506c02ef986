"""What a chunk of a stream costs at XLSR-53's shape, random weights: cached streams, a window run again, and a peer.

    python -m benchmarks.records.streams.chunk_compute --output build/streams --result RESULT [--peer]

Systems take turns: a burst of chunks each, round after round, two threads. Weights are random and seeded: they show
time and logit error compared with the fp32 original that hears the same chunks, never accuracy. The peer is described
in ``benchmarks.records.streams.streaming_peer``: as many parameters, half as many frames in a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import Wav2Vec2Config

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.streams import streaming_peer
from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.sessions.graph_session import GraphSession
from wav2edge.inference.sessions.stream_session import StreamSession
from wav2edge.inference.streaming.cached import CachedUtterance
from wav2edge.inference.streaming.chunked_clips import ChunkedClips
from wav2edge_compare.shapes.random_checkpoint import SHAPES
from wav2edge_export.quantization.recipes import RECIPES, build_graph
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_export.rewrite.stream.stream_export import export_stream_graph
from wav2edge_train.checkpoint.loading import Checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.chunked_encoder import Chunking, streaming_fields
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions

COMMAND = "python -m benchmarks.records.streams.chunk_compute --output build/streams --result RESULT"
SHAPE, THREADS, WINDOW_S = "xlsr-53", 2, 3.0
CHUNKS_MS, LEFT_FRAMES, TARGET = (160, 80, 320), 64, "vnni"
PRECISIONS = ("int8", "int4")
ROUNDS, BURST, WARM_UP = 12, 17, 2
"""Of a burst, the first chunks find the weights of another system in the processor's cache, and do not count."""
PARITY_S = 4.0

Sound = npt.NDArray[np.float32]


@dataclass(kw_only=True)
class System:
    """Something that is timed: ``burst`` runs so many chunks, and gives the seconds that each took."""

    name: str
    chunk_ms: int
    burst: Callable[[int], list[float]]
    facts: dict[str, Any] = field(default_factory=dict)
    times_s: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Percentiles in ms, the real-time factor, and every sample."""
        median, p95, p99 = (1e3 * float(np.percentile(self.times_s, share)) for share in (50, 95, 99))
        return {
            "system": self.name,
            "chunk_ms": self.chunk_ms,
            **self.facts,
            "median_ms": round(median, 2),
            "p95_ms": round(p95, 2),
            "p99_ms": round(p99, 2),
            "real_time_factor": round(1e3 * float(np.mean(self.times_s)) / self.chunk_ms, 4),
            "samples_ms": [round(1e3 * each, 2) for each in self.times_s],
        }


def prepare(folder: Path) -> None:
    """Write the graphs of a stream and of whole clips, what the original gives in chunks, and the manifest's entry."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(**{**SHAPES[SHAPE], "vocab_size": 32, "pad_token_id": 31, "joint_heads": ["ctc"]})
    config.streaming = streaming_fields(config, TrainingOptions(), normalize=True)
    geometry = ConvGeometry.of(config.conv_kernel, config.conv_stride)
    model = Wav2Vec2ForJointCTC(config).eval()
    checkpoint = Checkpoint(
        name=SHAPE, folder=None, model=model, heads=heads(), geometry=geometry, normalize=True, uses_attention_mask=True
    )
    stream, whole = folder / "stream.fp32.onnx", folder / "whole.fp32.onnx"
    streams = export_stream_graph(checkpoint, stream, chunkings=tuple(map(chunking, CHUNKS_MS)), operators="fused")
    export_graph(checkpoint, whole, operators="fused")
    sound = voiced(round(PARITY_S * SAMPLE_RATE_HZ))
    originals: Any = {str(ms): Original(checkpoint, chunking(ms)).outputs(sound)["logits"] for ms in CHUNKS_MS}
    np.savez(folder / "original.npz", **originals)
    for precision in PRECISIONS:
        recipe = RECIPES[precision]
        build_graph(recipe, stream, folder / f"stream.{precision}.onnx", parts=recipe.attempts[0], target=TARGET)
    build_graph(RECIPES["int8"], whole, folder / "whole.int8.onnx", parts={}, target=TARGET)
    (folder / "streams.json").write_text(json.dumps(streams.to_dict()), encoding="utf-8")


def heads() -> Heads:
    """One CTC head."""
    return Heads(ctc=CtcHead(output="logits", vocabulary=tuple(map(chr, range(97, 129))), blank_id=31))


def chunking(chunk_ms: int) -> Chunking:
    """Chunks of a length."""
    return Chunking(frames=chunk_ms // 20, left=LEFT_FRAMES)


def cached(folder: Path, precision: str, chunk_ms: int, geometry: ConvGeometry) -> System:
    """A cached stream, with its logit error."""
    streams = CachedStreams.from_dict(json.loads((folder / "streams.json").read_text(encoding="utf-8")))
    graph, frames = folder / f"stream.{precision}.onnx", chunk_ms // 20
    model: dict[str, Any] = {"heads": heads(), "geometry": geometry}
    session = StreamSession(graph, streams, chunk_frames=frames, threads=THREADS, spinning=False, **model)
    expected = np.load(folder / "original.npz")[str(chunk_ms)]
    logits = ChunkedClips(session).outputs(voiced(round(PARITY_S * SAMPLE_RATE_HZ)))["logits"]
    error = float(np.abs(logits - expected).max() / np.abs(expected).max())
    memory = session.begin()
    utterance = CachedUtterance(session, memory, start=0)

    def burst(chunks: int) -> list[float]:
        times_s, begun_s = [], time.perf_counter()
        for _ in utterance.feed(voiced(chunks * frames * geometry.hop)):
            times_s.append(time.perf_counter() - begun_s)
            begun_s = time.perf_counter()
        return times_s

    facts = {"relative_logit_error": round(error, 5), "state_mb": round(memory.size_bytes / 1e6, 2)}
    return System(name=f"cached {precision}", chunk_ms=chunk_ms, burst=burst, facts=facts)


def window(folder: Path, geometry: ConvGeometry) -> System:
    """The last three seconds, recognised again for every chunk."""
    graph = folder / "whole.int8.onnx"
    session = GraphSession(graph, heads=heads(), geometry=geometry, threads=THREADS, spinning=False)
    sound = voiced(round(WINDOW_S * SAMPLE_RATE_HZ))

    def burst(chunks: int) -> list[float]:
        times_s = []
        for _ in range(chunks):
            begun_s = time.perf_counter()
            session.outputs([sound])
            times_s.append(time.perf_counter() - begun_s)
        return times_s

    return System(name=f"window of {WINDOW_S:g} s, int8, run again", chunk_ms=CHUNKS_MS[0], burst=burst)


def peers(folder: Path) -> list[System]:
    """sherpa-onnx with 8-bit weights."""
    files = streaming_peer.build_peer(folder / "peer", streaming_peer.SIZES["large"])

    def system(chunk_ms: int) -> System:
        recognizer = streaming_peer.open_peer(files, chunk_ms, THREADS)
        stream = recognizer.create_stream()

        def burst(chunks: int) -> list[float]:
            sound = voiced(chunks * chunk_ms * SAMPLE_RATE_HZ // 1000)
            return streaming_peer.feed_chunks(recognizer, stream, sound, chunk_ms)

        return System(name="sherpa-onnx, streaming conformer of 316 M, int8", chunk_ms=chunk_ms, burst=burst)

    return [system(chunk_ms) for chunk_ms in streaming_peer.CHUNKS_MS]


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, measure in turns, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the graphs: 3 GB")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--peer", action="store_true", help="measure sherpa-onnx, too")
    options = parser.parse_args(arguments)

    options.output.mkdir(parents=True, exist_ok=True)
    if not (options.output / "streams.json").exists():
        prepare(options.output)
    geometry = ConvGeometry.of((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
    systems = [cached(options.output, name, ms, geometry) for name in PRECISIONS for ms in CHUNKS_MS]
    systems += [window(options.output, geometry), *(peers(options.output) if options.peer else [])]
    for _ in range(ROUNDS):
        for system in systems:
            system.times_s += system.burst(BURST)[WARM_UP:]
    record = {
        "what": f"time of a chunk at the shape of {SHAPE}, random weights, {THREADS} threads, systems in turns",
        "command": COMMAND + (" --peer" if options.peer else ""),
        "systems": [system.to_dict() for system in systems],
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
