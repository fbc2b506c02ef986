"""The verbs of the command line: what one is, where each is defined, and which extra installs its dependencies.

Modules are named and not imported: one verb is loaded per run, and PyTorch is never needed for those of the runtime.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "an input or the output failed",
    2: "wrong usage",
    3: "the bundle or the device cannot be used",
    130: "interrupted",
}
"""What exit codes mean, where a verb does not say more."""
TRAINING = {1: "the data are refused, or the training failed", 3: "the checkpoint or the device cannot be used"}


@dataclass(frozen=True)
class Verb:
    """``module`` defines ``COMMAND``; ``extra`` is None for the runtime's own verbs; ``meanings`` are of exit codes."""

    module: str
    extra: str | None = None
    meanings: Mapping[int, str] = field(default_factory=dict)

    @property
    def exit_codes(self) -> dict[int, str]:
        """What each exit code means."""
        return {**EXIT_CODES, **self.meanings}


VERBS = {
    "demo": Verb("wav2edge_export.demo.demo_command", "demo", {1: "a step failed"}),
    "train": Verb("wav2edge_train.train_command", "train", TRAINING),
    "distill": Verb("wav2edge_train.distillation.distill_command", "train", TRAINING),
    "evaluate": Verb(
        "wav2edge.cli.commands.evaluate",
        meanings={1: "the data are refused, or some clips failed (the report is of the rest)"},
    ),
    "export": Verb(
        "wav2edge_export.export_command",
        "export",
        {1: "the data are refused, or a variant is over its budget", 3: "the checkpoint cannot be used"},
    ),
    "import": Verb(
        "wav2edge_export.interchange.import_command",
        "export",
        {1: "the data are refused, or it does not answer like its checkpoint", 3: "the file cannot be used"},
    ),
    "verify": Verb(
        "wav2edge.cli.commands.verify",
        meanings={0: "all checks passed", 1: "the data are refused", 3: "a check failed, or nothing can be checked"},
    ),
    "inspect": Verb("wav2edge.cli.commands.inspect"),
    "doctor": Verb(
        "wav2edge.cli.commands.doctor",
        meanings={0: "nothing found but notes", 1: "a fault was found", 3: "unusable: nothing runs"},
    ),
    "run": Verb(
        "wav2edge.cli.commands.run", meanings={0: "all answered", 1: "some inputs failed (the rest are answered)"}
    ),
    "stream": Verb("wav2edge.cli.live.stream_command"),
    "align": Verb("wav2edge.cli.commands.align", meanings={1: "the recording or the text cannot be used"}),
    "bench": Verb("wav2edge.cli.commands.bench", meanings={1: "a measurement failed"}),
    "tune": Verb("wav2edge.cli.commands.tune", meanings={1: "the profile cannot be kept or removed"}),
    "serve": Verb("wav2edge.cli.commands.serve_command", "serve", {0: "ended by SIGTERM"}),
    "compare": Verb("wav2edge_compare.compare_command", "compare", {1: "a system failed (the rest are measured)"}),
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
