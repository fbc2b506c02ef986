"""wav2edge: runs wav2vec2 bundles wherever ONNX Runtime runs.

>>> import wav2edge
>>> engine = wav2edge.load("bundle")
>>> engine("clip.wav").text
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wav2edge.errors import (
    AlignmentError,
    AudioError,
    BenchmarkError,
    BundleError,
    CheckpointError,
    DataError,
    DeviceError,
    MissingDependencyError,
    ParityError,
    TrainingError,
    UsageError,
    Wav2EdgeError,
)

if TYPE_CHECKING:
    from wav2edge.audio.segmentation import Segmentation
    from wav2edge.decoding.beam import Beam
    from wav2edge.decoding.grammar import Grammar
    from wav2edge.decoding.hypothesis import Greedy
    from wav2edge.decoding.language_model import LanguageModel
    from wav2edge.inference.engine import Engine
    from wav2edge.inference.feeding.archives.archive import read_archive, recognise_archive
    from wav2edge.inference.feeding.archives.shard_worker import ShardReport
    from wav2edge.inference.feeding.async_stream import AsyncStream
    from wav2edge.inference.feeding.live_queue import Gap, LiveQueue
    from wav2edge.inference.load import load
    from wav2edge.inference.streaming.endpoints import Endpointing
    from wav2edge.inference.streaming.events import Final, Partial
    from wav2edge.inference.streaming.stream import Stream
    from wav2edge.output.result import AlignedToken, AlignedWord, Alignment, FrameLabel, Result, Segment, Word

__version__ = "0.1.0"

__all__ = [
    "AlignedToken",
    "AlignedWord",
    "Alignment",
    "AlignmentError",
    "AsyncStream",
    "AudioError",
    "Beam",
    "BenchmarkError",
    "BundleError",
    "CheckpointError",
    "DataError",
    "DeviceError",
    "Endpointing",
    "Engine",
    "Final",
    "FrameLabel",
    "Gap",
    "Grammar",
    "Greedy",
    "LanguageModel",
    "LiveQueue",
    "MissingDependencyError",
    "ParityError",
    "Partial",
    "Result",
    "Segment",
    "Segmentation",
    "ShardReport",
    "Stream",
    "TrainingError",
    "UsageError",
    "Wav2EdgeError",
    "Word",
    "__version__",
    "load",
    "read_archive",
    "recognise_archive",
]

_RESULTS = ("AlignedToken", "AlignedWord", "Alignment", "FrameLabel", "Result", "Segment", "Word")
_LATER = {
    **dict.fromkeys(_RESULTS, "wav2edge.output.result"),
    "AsyncStream": "wav2edge.inference.feeding.async_stream",
    "Beam": "wav2edge.decoding.beam",
    "Endpointing": "wav2edge.inference.streaming.endpoints",
    "Engine": "wav2edge.inference.engine",
    "Final": "wav2edge.inference.streaming.events",
    "Gap": "wav2edge.inference.feeding.live_queue",
    "Grammar": "wav2edge.decoding.grammar",
    "Greedy": "wav2edge.decoding.hypothesis",
    "LanguageModel": "wav2edge.decoding.language_model",
    "LiveQueue": "wav2edge.inference.feeding.live_queue",
    "Partial": "wav2edge.inference.streaming.events",
    "Segmentation": "wav2edge.audio.segmentation",
    "ShardReport": "wav2edge.inference.feeding.archives.shard_worker",
    "Stream": "wav2edge.inference.streaming.stream",
    "load": "wav2edge.inference.load",
    "read_archive": "wav2edge.inference.feeding.archives.archive",
    "recognise_archive": "wav2edge.inference.feeding.archives.archive",
}
"""Imported when it is first asked for, numpy with it: the command line answers to an interrupt before that."""


def __getattr__(name: str) -> Any:
    if name == "ray":
        return import_module("wav2edge.ray")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
