"""Finds the verb, runs it, and turns what goes wrong into one line on standard error and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata

from wav2edge.cli import bench, evaluate, inspect, run, verify
from wav2edge.cli.command import Command
from wav2edge.cli.options import tell
from wav2edge.errors import MissingDependencyError, Wav2EdgeError
from wav2edge.version import __version__

BUILTIN = {
    command.name: command for command in (run.COMMAND, evaluate.COMMAND, verify.COMMAND, inspect.COMMAND, bench.COMMAND)
}
PLUGINS = "wav2edge.commands"
ORDER = ("demo", "train", "distill", "evaluate", "export", "verify", "inspect", "run", "bench")
EXTRAS = {"distill": "train"}
"""Which extra a verb comes with, where that has another name."""

EXIT_CODES = """\
exit codes: 0 all answered, 1 some inputs failed (the rest answered), 2 wrong usage,
            3 the bundle or the device cannot be used, 130 interrupted"""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; ``sys.argv`` without arguments. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are no text
    debug = "--debug" in words
    try:
        command, options = _parse(words)
        code = _run(command, options)
        sys.stdout.flush()
        return code
    except Wav2EdgeError as error:
        return _fail(error, str(error), error.exit_code, debug)
    except KeyboardInterrupt as error:
        return _fail(error, "interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        # Whoever read our answers has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(error, f"{error.filename or 'input or output'}: {error.strerror or error}", 1, debug)
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {_one_line(error)}; run again with --debug and report it"
        return _fail(error, message, 1, debug)


def _run(command: Command, options: argparse.Namespace) -> int:
    """Run a verb; the other packages import what is heavy only now, and it may be missing."""
    try:
        return command.run(options)
    except ModuleNotFoundError as error:
        if command.name in BUILTIN or (error.name or "").startswith("wav2edge"):
            raise
        raise missing_extra(command.name, error) from error


def _parse(words: list[str]) -> tuple[Command, argparse.Namespace]:
    verb = next((word for word in words if not word.startswith("-")), None)
    commands = dict(BUILTIN) if verb in BUILTIN else {**BUILTIN, **_plugins(verb)}
    parser = argparse.ArgumentParser(
        prog="wav2edge",
        description="Fine-tune wav2vec2, export it to a proved ONNX bundle, and answer with it on the edge.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wav2edge {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for command in sorted(commands.values(), key=_place):
        verb_parser = verbs.add_parser(
            command.name,
            help=command.summary,
            description=command.summary,
            epilog=f"examples:\n{command.examples}\n\n{EXIT_CODES}" if command.examples else EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb_parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
        command.add_arguments(verb_parser)
    options = parser.parse_args(words)
    return commands[options.verb], options


def _place(command: Command) -> tuple[int, str]:
    """Our own verbs in the order of the story, anyone else's after them."""
    return (ORDER.index(command.name) if command.name in ORDER else len(ORDER), command.name)


def _plugins(verb: str | None) -> dict[str, Command]:
    """The verbs of the other packages: the one that is asked for, which must load, or else all that do load."""
    entries = {entry.name: entry for entry in metadata.entry_points(group=PLUGINS)}
    found: dict[str, Command] = {}
    for name in [verb] if verb in entries else entries:
        try:
            found[name] = entries[name].load()
        except ImportError as error:
            if verb == name:
                raise missing_extra(name, error) from None
    return found


def missing_extra(verb: str, error: ImportError) -> MissingDependencyError:
    """One sentence for a verb whose packages are not installed."""
    return MissingDependencyError(
        f"`wav2edge {verb}` needs {error.name or error}, which is not installed;"
        f" run: pip install 'wav2edge[{EXTRAS.get(verb, verb)}]'"
    )


def _fail(error: BaseException, message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    tell(message)
    return code


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
