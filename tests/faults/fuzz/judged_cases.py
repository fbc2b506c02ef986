"""Runs cases in child processes, each of which may crash or hang, and judges what came of every case."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHILD = (sys.executable, "-m", "tests.faults.fuzz.answering_child")
LIMIT_S = 10.0
START_S = 60.0
"""Most time that a process may take to be ready for its first case."""
BATCH = 50

Verdict = str
CRASH, HANG, TRACEBACK, WRONG, REFUSED, ANSWERED = "crash", "hang", "traceback", "wrong answer", "refused", "answered"
FAULTS = (CRASH, HANG, TRACEBACK, WRONG)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Command lines about one mutant.

    ``judge`` says of their answers, each as ``answering_child.answer`` gives it, whether they are right.
    """

    number: int
    change: str
    commands: Sequence[Sequence[str]]
    judge: Callable[[Sequence[Mapping[str, Any]]], Verdict]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a case; ``detail`` is there for faults."""

    case: Case
    verdict: Verdict
    detail: Any = field(default=None)


def run_cases(
    cases: Sequence[Case], *, child: Sequence[str] = CHILD, limit_s: float = LIMIT_S, folder: Path | None = None
) -> Iterator[Outcome]:
    """Run cases in batches, each in a process; one that a case ends is started again for those behind it.

    Args:
        cases: what is run.
        child: the command of the process; see ``answering_child``.
        limit_s: longer than that is a hang.
        folder: where it runs.
    """
    waiting = list(cases)
    while waiting:
        done = list(_run_batch(waiting[:BATCH], child, limit_s, folder))
        yield from done
        waiting = waiting[len(done) :]


def _run_batch(cases: Sequence[Case], child: Sequence[str], limit_s: float, folder: Path | None) -> Iterator[Outcome]:
    """The outcomes of cases up to the one that ends the process, if one does."""
    process = subprocess.Popen(
        child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(process.stdout, lines))
    reader.start()
    try:
        for place, case in enumerate(cases):
            try:
                process.stdin.write(json.dumps({"number": case.number, "commands": case.commands}) + "\n")
                process.stdin.flush()
                begun = lines.get(timeout=limit_s if place else START_S)
                said = lines.get(timeout=limit_s) if begun is not None else None
            except queue.Empty:
                yield Outcome(case=case, verdict=HANG, detail=f"longer than {limit_s:g} s")
                return
            except BrokenPipeError:
                said = None
            if said is None:
                yield Outcome(case=case, verdict=CRASH, detail=_end_of(process))
                return
            yield _judged(case, json.loads(said)["answers"])
    finally:
        process.kill()
        process.communicate()
        reader.join()


def _pass_on(output: Any, lines: queue.Queue[str | None]) -> None:
    """Every line of the process, and None at its end."""
    for line in output:
        lines.put(line)
    lines.put(None)


def _end_of(process: subprocess.Popen[str]) -> str:
    code = process.wait(LIMIT_S)
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _judged(case: Case, answers: Sequence[Mapping[str, Any]]) -> Outcome:
    strange = [each for each in answers if "traceback" in each or _is_unexpected(each["err"])]
    verdict = TRACEBACK if strange else case.judge(answers)
    return Outcome(case=case, verdict=verdict, detail=answers if verdict in FAULTS else None)


def _is_unexpected(messages: str) -> bool:
    """Whether the command line met what nobody foresaw: it says so in place of a traceback."""
    return "Traceback" in messages or "wav2edge: unexpected " in messages
