"""A process that answers one case after another with the command line, and says after each what came of it.

    python -m tests.faults.fuzz.answering_child < CASES

A case is a line of JSON: the words of one or several command lines. For each the process writes a line when it begins
and one when it ends, so that its parent knows which case it died of.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

from wav2edge.cli import main

MEMORY_BYTES = 8 << 30
"""A case that wants more fails in the process, and not with the machine."""


def answer(words: list[str]) -> dict[str, Any]:
    """Exit code, output and error of one command line; ``traceback`` where something came through it."""
    out, err = io.StringIO(), io.StringIO()
    found: dict[str, Any] = {"words": words}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            found["code"] = main(words)
        except SystemExit as leaving:
            found["code"] = leaving.code
        except BaseException:
            found |= {"code": None, "traceback": traceback.format_exc()}
    return found | {"out": out.getvalue(), "err": err.getvalue()}


@contextlib.contextmanager
def native_output() -> Iterator[Callable[[], str]]:
    """Gives what libraries print past Python, where it would stand among the answers and the messages."""
    with tempfile.TemporaryFile() as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())

        def printed() -> str:
            found = os.pread(file.fileno(), 1_000, 0)
            os.ftruncate(file.fileno(), 0)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return found.decode(errors="replace")

        yield printed


def serve(cases: IO[str], report: IO[str], printed: Callable[[], str]) -> None:
    """Answer every case."""
    for line in cases:
        case = json.loads(line)
        print(json.dumps({"begins": case["number"]}), file=report, flush=True)
        answers = [answer(words) for words in case["commands"]]
        if strange := printed():
            answers[-1]["traceback"] = f"printed past Python: {strange}"
        print(json.dumps({"ends": case["number"], "answers": answers}), file=report, flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as standard_output, native_output() as printed:
        serve(sys.stdin, standard_output, printed)
