"""All errors of this project: each is also a builtin, and each message says what, where, and what to do."""

from __future__ import annotations


class Wav2EdgeError(Exception):
    """Base class for all exceptions that wav2edge raises.

    ``exit_code`` is the exit code of a command that the error ends:
    1 an input failed, 2 wrong usage, 3 the bundle or the device cannot be used.
    """

    exit_code = 1


class UsageError(Wav2EdgeError, ValueError):
    """An argument or option is invalid, or does not go with the others."""

    exit_code = 2


class AudioError(Wav2EdgeError, ValueError):
    """A clip cannot be recognised: it is unreadable, truncated, silent, or not finite."""


class AlignmentError(Wav2EdgeError, ValueError):
    """A text cannot be aligned with a clip: the vocabulary cannot spell it, or it does not fit into the clip."""


class DataError(Wav2EdgeError, ValueError):
    """A data set is missing, incomplete or inconsistent; the message names the row."""


class ParityError(Wav2EdgeError, ArithmeticError):
    """The outputs of a graph differ from those of its original by more than the budget."""


class TrainingError(Wav2EdgeError, RuntimeError):
    """A training run cannot start, resume or continue."""


class BenchmarkError(Wav2EdgeError, RuntimeError):
    """A system to be measured cannot be built, loaded or run."""


class CheckpointError(Wav2EdgeError, ValueError):
    """A PyTorch checkpoint cannot be used."""

    exit_code = 3


class BundleError(Wav2EdgeError, ValueError):
    """A bundle is missing, damaged, newer than this version, or inconsistent."""

    exit_code = 3


class DeviceError(Wav2EdgeError, RuntimeError):
    """The device or its execution provider cannot be used, or the engine was loaded before a fork."""

    exit_code = 3


class MissingDependencyError(Wav2EdgeError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""

    exit_code = 3
