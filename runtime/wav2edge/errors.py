"""The one error tree: every error is also a builtin, and every message says what, where, and what to do."""

from __future__ import annotations


class Wav2EdgeError(Exception):
    """Base of every error this project raises on purpose.

    ``exit_code`` is what the command line returns when the error ends a command:
    1 an input failed, 2 wrong usage, 3 the bundle or the device cannot be used.
    """

    exit_code = 1


class UsageError(Wav2EdgeError, ValueError):
    """The caller asked for something that cannot be asked for."""

    exit_code = 2


class AudioError(Wav2EdgeError, ValueError):
    """A clip cannot be answered: unreadable, truncated, silent, or not finite."""


class DataError(Wav2EdgeError, ValueError):
    """A data set does not hold what was asked of it; the message names the row."""


class ParityError(Wav2EdgeError, ArithmeticError):
    """A graph does not answer like its original within the budget."""


class TrainingError(Wav2EdgeError, RuntimeError):
    """A training run cannot start or go on."""


class BenchmarkError(Wav2EdgeError, RuntimeError):
    """A system that is to be measured cannot be built, loaded or asked."""


class CheckpointError(Wav2EdgeError, ValueError):
    """A PyTorch checkpoint cannot be used."""

    exit_code = 3


class BundleError(Wav2EdgeError, ValueError):
    """A bundle is missing, damaged, newer than this version, or inconsistent."""

    exit_code = 3


class DeviceError(Wav2EdgeError, RuntimeError):
    """The device or its execution provider cannot be used, or the engine was carried over a fork."""

    exit_code = 3


class MissingDependencyError(Wav2EdgeError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""

    exit_code = 3
