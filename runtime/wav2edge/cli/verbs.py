"""The verbs of the command line: what one is, where each is defined, and which extra installs its dependencies.

Modules are named and not imported: one verb is loaded per run, and PyTorch is never needed for those of the runtime.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from wav2edge.errors import MissingDependencyError


@dataclass(frozen=True, kw_only=True)
class Command:
    """One verb. ``run`` returns the exit code; a ``Wav2EdgeError`` it raises becomes one line and that error's code."""

    name: str
    summary: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
    examples: str = ""


def tell(message: str) -> None:
    """Write one line to standard error, whatever line breaks a file name has."""
    if sys.stderr is not None:  # closed; print would write to standard output instead
        print(f"wav2edge: {' '.join(message.splitlines())}", file=sys.stderr)


@dataclass(frozen=True)
class Verb:
    """``module`` defines ``COMMAND``; ``extra`` is None for the runtime's own verbs."""

    module: str
    extra: str | None = None


VERBS = {
    "demo": Verb("wav2edge_export.demo.demo_command", "demo"),
    "train": Verb("wav2edge_train.train_command", "train"),
    "distill": Verb("wav2edge_train.distillation.distill_command", "train"),
    "evaluate": Verb("wav2edge.cli.commands.evaluate"),
    "export": Verb("wav2edge_export.export_command", "export"),
    "import": Verb("wav2edge_export.interchange.import_command", "export"),
    "verify": Verb("wav2edge.cli.commands.verify"),
    "inspect": Verb("wav2edge.cli.commands.inspect"),
    "doctor": Verb("wav2edge.cli.commands.doctor"),
    "run": Verb("wav2edge.cli.commands.run"),
    "stream": Verb("wav2edge.cli.live.stream_command"),
    "align": Verb("wav2edge.cli.commands.align"),
    "bench": Verb("wav2edge.cli.commands.bench"),
    "tune": Verb("wav2edge.cli.commands.tune"),
    "serve": Verb("wav2edge.cli.commands.serve_command", "serve"),
    "compare": Verb("wav2edge_compare.compare_command", "compare"),
}
"""Every verb, in the order of the help: from speech to a bundle to its use."""


def load_command(name: str) -> Command:
    """The command of a verb.

    Raises:
        MissingDependencyError: a package that it imports is not installed.
    """
    try:
        command: Command = import_module(VERBS[name].module).COMMAND
    except ModuleNotFoundError as error:
        raise missing_extra(name, error) from None
    return command


def missing_extra(name: str, error: ModuleNotFoundError) -> MissingDependencyError | ModuleNotFoundError:
    """The error that names the extra to install; the same error if the missing module is one of this project."""
    extra = VERBS[name].extra
    if extra is None or (error.name or "").startswith("wav2edge"):
        return error
    return MissingDependencyError(
        f"`wav2edge {name}` needs {error.name or error}, which is not installed; run: pip install 'wav2edge[{extra}]'"
    )
