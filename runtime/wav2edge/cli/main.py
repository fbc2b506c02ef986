"""Finds the verb, runs it, and turns errors into one line on standard error and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from wav2edge import __version__
from wav2edge.cli.verbs import EXIT_CODES, VERBS, Command, load_command, missing_extra, tell
from wav2edge.errors import MissingDependencyError, Wav2EdgeError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; ``sys.argv`` without arguments. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is None:
        tell("standard output is closed; send it to a file or a pipe, or to the null device")
        return 1
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are not text
    debug = "--debug" in words
    try:
        command, options = _parse(words)
        code = _run(command, options)
        sys.stdout.flush()
        return code
    except Wav2EdgeError as error:
        from wav2edge.cli.option_names import with_option_names  # here: most runs have no error

        return _fail(error, with_option_names(str(error), words), error.exit_code, debug)
    except KeyboardInterrupt as error:
        return _fail(error, "interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        # The reader of our results has gone. Python would report it once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(error, f"{error.filename or 'input or output'}: {error.strerror or error}", 1, debug)
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {_one_line(error)}; run again with --debug and report it"
        return _fail(error, message, 1, debug)


def _run(command: Command, options: argparse.Namespace) -> int:
    """Run a verb, which imports its heavy packages only now."""
    try:
        return command.run(options)
    except ModuleNotFoundError as error:
        raise missing_extra(command.name, error) from error


def _parse(words: list[str]) -> tuple[Command, argparse.Namespace]:
    parser = build_parser(_commands(words))
    options = parser.parse_args(words)
    return options.command, options


def build_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """The parser of ``wav2edge`` with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="wav2edge",
        description="Fine-tune wav2vec2, export it to a certified ONNX bundle, and run it on the edge.",
        epilog=_listed(EXIT_CODES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wav2edge {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for command in commands:
        codes = _listed(VERBS[command.name].exit_codes)
        verb_parser = verbs.add_parser(
            command.name,
            help=command.summary,
            description=command.summary,
            epilog=f"examples:\n{command.examples}\n\n{codes}" if command.examples else codes,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb_parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
        command.add_arguments(verb_parser)
        verb_parser.set_defaults(command=command)
    return parser


def _listed(exit_codes: Mapping[int, str]) -> str:
    return "\n".join(["exit codes:", *(f"  {code:<4} {meaning}" for code, meaning in exit_codes.items())])


def _commands(words: list[str]) -> Iterator[Command]:
    """The requested command; without one, for the help, all commands whose packages are installed."""
    asked = next((word for word in words if not word.startswith("-")), None)
    if asked in VERBS:
        yield load_command(asked)
        return
    for name in VERBS:
        with suppress(MissingDependencyError):
            yield load_command(name)


def _fail(error: BaseException, message: str, code: int, debug: bool) -> int:
    if any(isinstance(each, KeyboardInterrupt) for each in _causes(error)):
        message, code = "interrupted", INTERRUPTED
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    tell(message)
    return code


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of: an interrupted import of a compiled module, say, ends as an ImportError."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # one that is raised from itself is its own cause
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
