"""wav2edge: runs wav2vec2 bundles wherever ONNX Runtime runs.

>>> import wav2edge
>>> engine = wav2edge.load("bundle")
>>> engine("clip.wav").text
"""

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
from wav2edge.inference.engine import Engine, load
from wav2edge.output.alignment_result import AlignedToken, AlignedWord, Alignment
from wav2edge.output.result import Result, Word

__version__ = "0.1.0"

__all__ = [
    "AlignedToken",
    "AlignedWord",
    "Alignment",
    "AlignmentError",
    "AudioError",
    "BenchmarkError",
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
