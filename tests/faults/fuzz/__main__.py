"""Damaged WAV files and altered bundles: each is answered rightly or refused in one line, and nothing crashes.

    python -m tests.faults.fuzz --models models --seed 16 --result benchmarks/results/fuzz.json

``make fuzz`` runs this. It ends with exit code 1 where a case crashes, takes longer than 10 s, ends in a traceback, or
gets an answer that it must not get; the record then holds the case. Run it with ``--only`` and ``--number`` to see one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.fuzz.bundle_mutants import alter
from tests.faults.fuzz.judged_cases import ANSWERED, FAULTS, REFUSED, WRONG, Case, Outcome, run_cases
from tests.faults.fuzz.wav_mutants import CUT, good_files, wav_mutant
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.output.documents import write_json
from wav2edge.output.progress import track

BUNDLES = ("words", "words-stream")
CLIP = "clips/fu-dan-3.flac"
AT_ONCE = 50
"""Mutants on the disk at a time."""
OPTIONS = ("--threads", "1")


def judge_wav(answers: Sequence[Mapping[str, Any]], *, is_cut: bool) -> str:
    """A file is answered with JSON or refused in one line; one that ends early is never answered."""
    (found,) = answers
    if found["code"] == 1:
        return REFUSED if _is_one_line(found["err"]) else WRONG
    if found["code"] != 0 or is_cut:
        return WRONG
    return ANSWERED if isinstance(json.loads(found["out"]).get("text"), str) else WRONG


def judge_bundle(answers: Sequence[Mapping[str, Any]], *, changed: str, used: frozenset[str], expected: str) -> str:
    """An altered bundle fails ``verify``; ``run`` answers where the altered file has no part in it, and as ever."""
    run, verify = answers
    if verify["code"] != 3:
        return WRONG
    if run["code"] == 3:
        return REFUSED if _is_one_line(run["err"]) and not run["out"] else WRONG
    return ANSWERED if run["code"] == 0 and changed not in used and run["out"] == expected else WRONG


def _is_one_line(text: str) -> bool:
    return text.startswith("wav2edge: ") and text.count("\n") == 1


def wav_cases(models: Path, folder: Path, numbers: Iterable[int], seed: int) -> list[Case]:
    """Mutants of WAV files, written into a folder."""
    files, cases = good_files(load_clip(models / CLIP).samples[:8_000]), []
    for number in numbers:
        change, content = wav_mutant(files, seed=seed, number=number)
        path = folder / f"{number}.wav"
        path.write_bytes(content)
        commands = [["run", str(models / BUNDLES[0]), str(path), "--format", "json", *OPTIONS]]
        is_cut = change == CUT
        cases.append(Case(number=number, change=change, commands=commands, judge=_with(judge_wav, is_cut=is_cut)))
    return cases


def bundle_cases(models: Path, folder: Path, numbers: Iterable[int], seed: int) -> list[Case]:
    """Mutants of the bundles that come with the repository, written into a folder."""
    expected, cases = {name: _answer_of(models, name) for name in BUNDLES}, []
    for number in numbers:
        name, other = BUNDLES[number // 4 % 2 :] + BUNDLES[: number // 4 % 2]
        copy = Path(shutil.copytree(models / name, folder / str(number)))
        change, changed = alter(copy, models / other, seed=seed, number=number)
        commands = [["run", str(copy), str(models / CLIP), *OPTIONS], ["verify", str(copy), *OPTIONS]]
        facts = {"changed": changed, "used": frozenset({MANIFEST, expected[name][1]}), "expected": expected[name][0]}
        what = f"{changed}: {change}"
        cases.append(Case(number=number, change=what, commands=commands, judge=_with(judge_bundle, **facts)))
    return cases


def _with(judge: Any, **facts: Any) -> Any:
    return lambda answers: judge(answers, **facts)


def _answer_of(models: Path, name: str) -> tuple[str, str]:
    """What the intact bundle prints for the clip, and the graph that answers."""
    from tests.faults.fuzz.answering_child import answer
    from wav2edge.bundle.folder import Bundle

    found = answer(["run", str(models / name), str(models / CLIP), *OPTIONS])
    return found["out"], Bundle.open(models / name).variant().file


KINDS = {"wav": wav_cases, "bundles": bundle_cases}


def run_kind(models: Path, kind: str, numbers: Sequence[int], seed: int) -> list[Outcome]:
    """The outcomes of all mutants of one kind; their files are removed as they are done."""
    outcomes: list[Outcome] = []
    starts = range(0, len(numbers), AT_ONCE)
    for start in track(starts, f"fuzzing {kind}", len(starts)):
        with tempfile.TemporaryDirectory() as name:
            cases = KINDS[kind](models, Path(name), numbers[start : start + AT_ONCE], seed)
            outcomes.extend(run_cases(cases))
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts by verdict, in all and for each change, and every fault in full."""
    changes = sorted({each.case.change.rpartition(": ")[2] for each in outcomes})
    return {
        "mutants": len(outcomes),
        "verdicts": {name: sum(each.verdict == name for each in outcomes) for name in (REFUSED, ANSWERED, *FAULTS)},
        "changes": {
            name: dict(Counter(each.verdict for each in outcomes if each.case.change.rpartition(": ")[2] == name))
            for name in changes
        },
        "faults": [
            {"number": each.case.number, "change": each.case.change, "verdict": each.verdict, "detail": each.detail}
            for each in outcomes
            if each.verdict in FAULTS
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, write the record, and return 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="the repository's folder models/")
    parser.add_argument("--seed", type=int, default=16, metavar="N")
    parser.add_argument("--wav", type=int, default=2_000, metavar="N", help="mutants of WAV files (default: 2000)")
    parser.add_argument("--bundles", type=int, default=500, metavar="N", help="mutants of bundles (default: 500)")
    parser.add_argument("--only", choices=KINDS, help="with --number: the kind of the one mutant to run")
    parser.add_argument("--number", type=int, metavar="N", help="print what comes of this mutant")
    parser.add_argument("--result", type=Path, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    numbers = {"wav": range(options.wav), "bundles": range(options.bundles)}
    if options.number is not None:
        numbers = {options.only or "wav": range(options.number, options.number + 1)}
    found = {kind: run_kind(options.models, kind, list(each), options.seed) for kind, each in numbers.items()}
    record: dict[str, Any] = {
        "what": "mutants of WAV files and of bundles, each in a process that may crash",
        "command": "python -m tests.faults.fuzz --models models"
        f" --seed {options.seed} --wav {options.wav} --bundles {options.bundles}",
        **{kind: summary(outcomes) for kind, outcomes in found.items()},
        "environment": environment(),
    }
    if options.result is not None:
        write_json(options.result, record)
    for kind, outcomes in found.items():
        print(f"{kind}: {json.dumps(record[kind]['verdicts'])}", file=sys.stderr)
        for each in outcomes:
            if each.verdict in FAULTS or options.number is not None:
                print(f"{kind} {each.case.number}, {each.case.change}: {each.verdict} {each.detail}", file=sys.stderr)
    return int(any(each.verdict in FAULTS for outcomes in found.values() for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
