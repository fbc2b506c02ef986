"""Runs the commands that a user would type, and records them with their times."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.rates import share_interval
from wav2edge.output.documents import write_json


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command that was run, and its duration."""

    command: str
    seconds: float


class CommandRecorder:
    """Runs ``wav2edge`` commands; ``names`` maps paths to the names they have in the record."""

    def __init__(self, names: Mapping[Path, str] | None = None) -> None:
        self._names = {str(path): name for path, name in (names or {}).items()}
        self.steps: list[Step] = []

    def run(self, *words: str | Path, accepted: Sequence[int] = (0,), limit_s: float | None = None) -> str:
        """Run one command and return its standard output; its standard error is that of this process.

        Raises:
            CalledProcessError: its exit code is not one of the ``accepted``.
            TimeoutExpired: it took longer than ``limit_s``, and was killed.
        """
        shown = self.command(*words)
        print(f"$ {shown}", file=sys.stderr, flush=True)
        started_s = time.monotonic()
        command = [sys.executable, "-m", "wav2edge", *map(str, words)]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=limit_s)
        if finished.returncode not in accepted:
            finished.check_returncode()
        self.steps.append(Step(command=shown, seconds=round(time.monotonic() - started_s, 1)))
        return finished.stdout

    def train_once(self, *words: str | Path, checkpoint: Path, limit_s: float | None = None) -> str:
        """Train a checkpoint unless it is complete; an interrupted training is resumed.

        Args:
            *words: the command, from its verb on, without ``--output``.
            checkpoint: where the checkpoint goes; complete is one with a report.
            limit_s: most seconds that it may take.

        Returns:
            The command of a training from the start, as the record shows it.
        """
        command = (*words, "--output", checkpoint)
        if not (checkpoint / "report.json").is_file():
            resume = ("--resume",) if (checkpoint / "checkpoints").is_dir() else ()
            self.run(*command, *resume, limit_s=limit_s)
        return self.command(*command)

    def command(self, *words: str | Path) -> str:
        """A command as the record shows it, without this machine's paths."""
        return shlex.join(["wav2edge", *(self._shown(str(word)) for word in words)])

    def _shown(self, word: str) -> str:
        for path, name in self._longest_first():
            if word == path or word.startswith(f"{path}/"):
                return name + word.removeprefix(path)
        return word

    def anonymous(self, text: str) -> str:
        """A text with this machine's paths replaced by their names."""
        for path, name in self._longest_first():
            text = text.replace(path, name)
        return text

    def _longest_first(self) -> list[tuple[str, str]]:
        return sorted(self._names.items(), key=lambda item: -len(item[0]))

    def report(self, *words: str | Path) -> dict[str, Any]:
        """Run one command that prints one JSON object."""
        document: dict[str, Any] = json.loads(self.run(*words))
        return document

    def write(self, path: Path, record: Mapping[str, Any]) -> None:
        """Write a record together with the commands and the machine that made it."""
        document = {**record, "steps": [asdict(step) for step in self.steps], "environment": environment()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)


def with_interval(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report with the 95 % interval of its accuracy."""
    correct = round(report["accuracy"] * report["clips"])
    return {**report, "accuracy_interval": list(share_interval(correct, report["clips"]))}


def bundle_facts(bundle: Path) -> dict[str, Any]:
    """Parameters, complexity, sizes and certificates of a bundle."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    sizes = {name: manifest["files"][each["file"]]["size_bytes"] for name, each in manifest["variants"].items()}
    return {
        "parameters": manifest["parameters"],
        "macs_per_s": manifest["macs_per_s"],
        "size_bytes": sizes,
        "int8_size_over_fp32": round(sizes["int8"] / sizes["fp32"], 4),
        "certificates": {
            name: {"summary": each["summary"], "measured": each["measured"], "kept_in_float": each["kept_in_float"]}
            for name, each in bundle_certificates(bundle).items()
        },
    }


def bundle_certificates(bundle: Path) -> dict[str, Any]:
    """What was certified of each variant of a bundle."""
    variants: dict[str, Any] = json.loads((bundle / "certificate.json").read_text(encoding="utf-8"))["variants"]
    return variants
