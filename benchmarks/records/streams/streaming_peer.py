"""A peer for the compute of a stream: sherpa-onnx's recogniser over a streaming conformer with seeded random weights.

    pip install sherpa-onnx
    python -m benchmarks.records.streams.streaming_peer --output build/peer --result RESULT

Random weights show what a chunk costs, never accuracy. sherpa-onnx's own, as published, are the filter banks, streams,
caches handed from chunk to chunk, greedy search, and the ONNX Runtime in its wheel, not the installed one. The encoder
is written here, from the papers, behind the interface that sherpa-onnx gives WeNet's streaming conformers
(https://github.com/k2-fsa/sherpa-onnx, scripts/wenet; conformer: Gulati et al., arXiv:2005.08100; chunks and caches:
Zhang et al., arXiv:2012.05481), and is cheaper than WeNet's in three places, so that the peer is not slow for our sake:

- the front end has fewer channels than the encoder is wide, as in later recognisers;
- keys have learnt positions relative to the end of the chunk: WeNet projects sinusoids again in every layer and chunk;
- point-wise convolutions are matrix products, which the 8-bit models of sherpa-onnx quantize, and convolutions are not.

A frame of this encoder is 40 ms long, twice wav2vec 2.0's: a chunk has half the frames. It waits for 50 ms more sound.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.bundle.manifest import installed_versions
from wav2edge.errors import MissingDependencyError, UsageError

COMMAND = "python -m benchmarks.records.streams.streaming_peer --output build/peer --result RESULT"
CHUNKS_MS, THREADS = (160, 320), 2
LEFT_FRAMES, MOST_FRAMES = 64, 128
"""Frames before a chunk that it attends to, 2.56 s, the most that our streams are trained with; and both together."""
MELS, STRIDE, FRAME_MS, RIGHT_CONTEXT, KERNEL, VOCABULARY = 80, 4, 40, 6, 15, 32
BLANK_BIAS = 2.0
"""Makes most frames blank, as in speech: a text that grew with every frame would be extra work."""
OPSET, SEED, INPUTS = 17, 0, ("x", "attn_cache", "conv_cache", "attn_mask")
COUNTERS = ("offset", "required_cache_size")
"""Inputs of WeNet's encoder that this one does not need; sherpa-onnx feeds six inputs, these after the first."""
OUTPUTS = ("log_probs", "next_att_cache", "next_conv_cache")


@dataclass(frozen=True, kw_only=True)
class PeerSize:
    """Shape of the encoder: blocks, their width, heads, inner width of the two feed-forwards, front-end channels."""

    blocks: int
    width: int
    heads: int
    inner: int
    channels: int


SIZES = {
    "large": PeerSize(blocks=12, width=1024, heads=16, inner=4480, channels=256),
    "small": PeerSize(blocks=5, width=96, heads=4, inner=384, channels=32),
}
"""With the parameters of XLSR-53's shape, 315 million, and with those of a small model, 1.2 million."""


@dataclass(frozen=True, kw_only=True)
class PeerFiles:
    """What sherpa-onnx opens: ``graphs`` by precision, and the tokens."""

    graphs: Mapping[str, Path]
    tokens: Path
    parameters: int


class _Attention(nn.Module):
    """Self-attention of a chunk over the cached keys and values and its own."""

    def __init__(self, size: PeerSize) -> None:
        super().__init__()
        self.heads, self.head_width = size.heads, size.width // size.heads
        self.query, self.key, self.value, self.out = (nn.Linear(size.width, size.width) for _ in range(4))
        self.positions = nn.Parameter(0.1 * torch.randn(size.heads, self.head_width, MOST_FRAMES))

    def forward(self, hidden: Tensor, cache: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden ``[1, frames, width]``, cache ``[1, heads, left, 2 * head width]``, mask ``[1, 1, left + frames]``."""
        query, key, value = (self._heads(part(hidden)) for part in (self.query, self.key, self.value))
        cached = torch.cat([cache, torch.cat([key, value], dim=-1)], dim=2)
        keys, values = cached.split(self.head_width, dim=-1)
        table = keys.transpose(2, 3) + self.positions[:, :, MOST_FRAMES - keys.shape[2] :]
        scores = (query @ table) * self.head_width**-0.5
        weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1)
        heard = (weights @ values).transpose(1, 2).reshape(1, -1, self.heads * self.head_width)
        return self.out(heard), cached[:, :, hidden.shape[1] :]

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.reshape(1, -1, self.heads, self.head_width).transpose(1, 2)


class _Convolution(nn.Module):
    """A causal depth-wise convolution between two point-wise ones; the cache holds the frames before the chunk."""

    def __init__(self, size: PeerSize) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(size.width, 2 * size.width), nn.Linear(size.width, size.width)
        self.depthwise = nn.Conv1d(size.width, size.width, KERNEL, groups=size.width)
        self.norm = nn.LayerNorm(size.width)

    def forward(self, hidden: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden ``[1, frames, width]`` and cache ``[1, width, kernel - 1]``."""
        gated = functional.glu(self.into(hidden), dim=-1).transpose(1, 2)
        cached = torch.cat([cache, gated], dim=2)
        mixed = self.norm(self.depthwise(cached).transpose(1, 2))
        return self.out(functional.silu(mixed)), cached[:, :, 1 - KERNEL :]


class _Block(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward."""

    def __init__(self, size: PeerSize) -> None:
        super().__init__()
        self.first, self.last = _feed_forward(size), _feed_forward(size)
        self.attention, self.convolution = _Attention(size), _Convolution(size)
        self.before_attention, self.before_convolution, self.norm = (nn.LayerNorm(size.width) for _ in range(3))

    def forward(self, hidden: Tensor, keys: Tensor, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden ``[1, frames, width]`` and the two caches, each with what comes next in its place."""
        hidden = hidden + 0.5 * self.first(hidden)
        attended, keys = self.attention(self.before_attention(hidden), keys, mask)
        hidden = hidden + attended
        convolved, frames = self.convolution(self.before_convolution(hidden), frames)
        hidden = hidden + convolved
        return self.norm(hidden + 0.5 * self.last(hidden)), keys, frames


def _feed_forward(size: PeerSize) -> nn.Sequential:
    widen, narrow = nn.Linear(size.width, size.inner), nn.Linear(size.inner, size.width)
    return nn.Sequential(nn.LayerNorm(size.width), widen, nn.SiLU(), narrow)


class StreamingConformer(nn.Module):
    """Filter banks of a chunk in, log-probabilities out, with the caches that sherpa-onnx hands on."""

    def __init__(self, size: PeerSize) -> None:
        super().__init__()
        kept = ((MELS - 1) // 2 - 1) // 2
        first, second = nn.Conv2d(1, size.channels, 3, stride=2), nn.Conv2d(size.channels, size.channels, 3, stride=2)
        self.front = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        self.project = nn.Linear(size.channels * kept, size.width)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.blocks))
        self.head = nn.Linear(size.width, VOCABULARY)
        self.head.bias.data[0] += BLANK_BIAS

    def forward(self, x: Tensor, keys: Tensor, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Filter banks ``[1, time, mels]`` to log-probabilities ``[1, frames, vocabulary]``, and the next caches.

        Keys are ``[blocks, heads, left, 2 * head width]``, frames ``[blocks, 1, width, kernel - 1]``, and the mask
        ``[1, 1, left + frames]`` is false before the stream.
        """
        hidden = self.project(self.front(x[:, None]).transpose(1, 2).reshape(1, -1, self.project.in_features))
        heard, convolved = [], []
        for block, block_keys, block_frames in zip(self.blocks, keys.split(1), frames.unbind(), strict=True):
            hidden, next_keys, next_frames = block(hidden, block_keys, block_frames, mask)
            heard.append(next_keys)
            convolved.append(next_frames)
        return self.head(hidden).log_softmax(dim=-1), torch.cat(heard), torch.stack(convolved)


def build_peer(folder: Path, size: PeerSize) -> PeerFiles:
    """Write the graph in fp32, in int8 as sherpa-onnx's own script quantizes, and the tokens; sets PyTorch's seed."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder.mkdir(parents=True, exist_ok=True)
    graphs = {precision: folder / f"model.{precision}.onnx" for precision in ("fp32", "int8")}
    torch.manual_seed(SEED)
    model = StreamingConformer(size).eval()
    _export(model, size, graphs["fp32"])
    _describe(size, graphs["fp32"])
    quantize_dynamic(graphs["fp32"], graphs["int8"], op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
    tokens = folder / "tokens.txt"
    names = ["<blank>", *(f"t{number}" for number in range(1, VOCABULARY))]
    tokens.write_text("".join(f"{name} {number}\n" for number, name in enumerate(names)), encoding="utf-8")
    return PeerFiles(graphs=graphs, tokens=tokens, parameters=sum(each.numel() for each in model.parameters()))


def _export(model: StreamingConformer, size: PeerSize, path: Path) -> None:
    frames = 8
    inputs = (
        torch.randn(1, (frames - 1) * STRIDE + RIGHT_CONTEXT + 1, MELS),
        torch.zeros(size.blocks, size.heads, LEFT_FRAMES, size.width // size.heads * 2),
        torch.zeros(size.blocks, 1, size.width, KERNEL - 1),
        torch.ones(1, 1, LEFT_FRAMES + frames, dtype=torch.bool),
    )
    axes = {"x": {1: "time"}, "attn_cache": {2: "left"}, "attn_mask": {2: "keys"}, "log_probs": {1: "frames"}}
    names: dict[str, Any] = {"input_names": INPUTS, "output_names": OUTPUTS, "dynamic_axes": axes}
    torch.onnx.export(model, inputs, str(path), opset_version=OPSET, dynamo=False, **names)


def _describe(size: PeerSize, path: Path) -> None:
    """Give a graph the inputs that sherpa-onnx feeds and the properties that it reads."""
    import onnx

    shape = {"head": size.heads, "num_blocks": size.blocks, "output_size": size.width, "vocab_size": VOCABULARY}
    fixed = {"cnn_module_kernel": KERNEL, "right_context": RIGHT_CONTEXT, "subsampling_factor": STRIDE}
    properties = {"model_type": "wenet_ctc", **shape, **fixed}
    document = onnx.load(path)
    for place, name in enumerate(COUNTERS, start=1):
        document.graph.input.insert(place, onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [1]))
    onnx.helper.set_model_props(document, {name: str(value) for name, value in properties.items()})
    onnx.save(document, path)


def open_peer(files: PeerFiles, chunk_ms: int, threads: int, *, precision: str = "int8") -> Any:
    """sherpa-onnx's ``OnlineRecognizer`` on the CPU, for chunks of so many ms, with ``fp32`` or ``int8`` weights.

    Raises:
        MissingDependencyError: sherpa-onnx is not installed.
        UsageError: a chunk is not a whole number of frames, or they do not divide the left context.
    """
    if find_spec("sherpa_onnx") is None:
        raise MissingDependencyError("sherpa-onnx is not installed; run: pip install sherpa-onnx")
    frames, rest_ms = divmod(chunk_ms, FRAME_MS)
    if frames < 1 or rest_ms or LEFT_FRAMES % frames:
        raise UsageError(f"a chunk of {chunk_ms} ms: give {FRAME_MS} ms times 1, 2, 4, 8, 16, 32 or 64")
    return import_module("sherpa_onnx").OnlineRecognizer.from_wenet_ctc(
        tokens=str(files.tokens),
        model=str(files.graphs[precision]),
        chunk_size=frames,
        num_left_chunks=LEFT_FRAMES // frames,
        num_threads=threads,
    )


def chunk_times(
    files: PeerFiles, samples: npt.NDArray[np.float32], chunk_ms: int, threads: int, *, precision: str = "int8"
) -> list[float]:
    """Seconds that each chunk of ``[samples]`` at 16 kHz took, to the text so far; waiting ones are left out."""
    recognizer = open_peer(files, chunk_ms, threads, precision=precision)
    return feed_chunks(recognizer, recognizer.create_stream(), samples, chunk_ms)


def feed_chunks(recognizer: Any, stream: Any, samples: npt.NDArray[np.float32], chunk_ms: int) -> list[float]:
    """The same for a stream that is open."""
    hop = chunk_ms * SAMPLE_RATE_HZ // 1000
    seconds = []
    for start in range(0, len(samples) - hop + 1, hop):
        started_s = time.perf_counter()
        stream.accept_waveform(SAMPLE_RATE_HZ, samples[start : start + hop])
        ready = recognizer.is_ready(stream)
        while recognizer.is_ready(stream):
            recognizer.decode_stream(stream)
        recognizer.get_result(stream)
        if ready:
            seconds.append(time.perf_counter() - started_s)
    return seconds


def summary(seconds: Sequence[float], chunk_ms: int) -> dict[str, float]:
    """Percentiles of the chunks in ms, and seconds of work for each second of sound."""
    found = {f"p{share}_ms": round(1e3 * float(np.percentile(seconds, share)), 3) for share in (50, 95, 99)}
    return {"chunks": len(seconds), **found, "real_time_factor": round(1e3 * float(np.mean(seconds)) / chunk_ms, 5)}


def measure(files: PeerFiles, chunks: int) -> dict[str, Any]:
    """One stream of noise for each precision and length of chunk, one after another."""
    measured: dict[str, Any] = {"parameters": files.parameters}
    for precision, graph in files.graphs.items():
        measured[precision] = {"size_bytes": graph.stat().st_size}
        for chunk_ms in CHUNKS_MS:
            noise = np.random.default_rng(SEED).standard_normal(chunks * chunk_ms * 16, np.float32) * np.float32(0.1)
            seconds = chunk_times(files, noise, chunk_ms, THREADS, precision=precision)
            measured[precision][f"{chunk_ms} ms"] = summary(seconds, chunk_ms)
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Build and measure the peers, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the graphs: 1.6 GB")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--chunks", type=int, default=300, metavar="N", help="chunks of a stream (default: 300)")
    options = parser.parse_args(arguments)
    record = {
        "what": "sherpa-onnx over streaming conformers with random weights: time of a chunk, never accuracy",
        "command": f"{COMMAND} --chunks {options.chunks}",
        "threads": THREADS,
        "versions": installed_versions(("sherpa-onnx", "torch")),
        "shapes": {name: asdict(size) for name, size in SIZES.items()},
        **{name: measure(build_peer(options.output / name, size), options.chunks) for name, size in SIZES.items()},
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
