"""wav2edge: answers from wav2vec2 bundles, wherever ONNX Runtime runs.

>>> import wav2edge
>>> engine = wav2edge.load("bundle")
>>> engine("clip.wav").text
"""

from wav2edge.engine import Engine, load
from wav2edge.errors import (
    AudioError,
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
from wav2edge.result import Result, Word
from wav2edge.version import __version__

__all__ = [
    "AudioError",
    "BundleError",
    "CheckpointError",
    "DataError",
    "DeviceError",
    "Engine",
    "MissingDependencyError",
    "ParityError",
    "Result",
    "TrainingError",
    "UsageError",
    "Wav2EdgeError",
    "Word",
    "__version__",
    "load",
]
