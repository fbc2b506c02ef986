"""TensorBoard is optional: it is asked for before the first step, not when the first figure is written."""

from __future__ import annotations

from importlib.util import find_spec

from wav2edge.errors import MissingDependencyError


def require_tensorboard() -> None:
    """Nothing where it is installed.

    Raises:
        MissingDependencyError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise MissingDependencyError(
            "`--tensorboard` needs tensorboard, which is not installed; run: pip install 'wav2edge[tensorboard]'"
        )
