"""Builds the peers' models once: each build in its own process, its result kept under the checkpoint's digest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from wav2edge.errors import BenchmarkError
from wav2edge_compare.measuring.processes import start
from wav2edge_compare.peers.checkpoint_facts import CheckpointFacts
from wav2edge_compare.peers.peer_builds import BUILDS, CHECKPOINT

BUILDER = "wav2edge_compare.peers.peer_builds"
KEY_FILE = "built.json"
"""In the folder of a finished build: the versions and the calibration clips it was made with."""


class BuildCache:
    """Makes builds and keeps them.

    Args:
        facts: the checkpoint that everything is made from.
        folder: where results are kept, under the checkpoint's digest.
        clips: calibration clips as ``.npy`` files.
        log: receives a line as each build begins.
    """

    def __init__(
        self, facts: CheckpointFacts, folder: Path, clips: Sequence[Path], *, log: Callable[[str], None]
    ) -> None:
        self._facts, self._clips, self._log = facts, clips, log
        self._folder = folder / facts.digest[:12]
        self._failures: dict[str, BenchmarkError] = {}

    def path(self, name: str) -> Path:
        """Folder of a build's result, or the checkpoint itself."""
        return self._facts.folder if name == CHECKPOINT else self._folder / name

    def build(self, name: str) -> Path:
        """The folder of a build, made after the builds it needs unless it is already there.

        Raises:
            BenchmarkError: it, or a build it needs, fails; a later call fails with the same reason and builds nothing.
        """
        if name in self._failures:
            raise self._failures[name]
        target = self.path(name)
        if name == CHECKPOINT:
            return target
        source = self.build(BUILDS[name].source)
        key = self._key(name)
        if _read_key(target) != key:
            self._log(f"building {name}")
            try:
                self._make(name, source, target, key)
            except BenchmarkError as failure:
                self._failures[name] = failure
                raise
        return target

    def _make(self, name: str, source: Path, target: Path, key: dict[str, Any]) -> None:
        stage = target.with_name(f"{name}.tmp")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        clips = [str(clip) for clip in self._clips] if BUILDS[name].calibrated else []
        request = {"build": name, "source": str(source), "target": str(stage), "clips": clips}
        process, _, _ = start(BUILDER, request, log=self._folder / f"{name}.log")
        process.close()
        (stage / KEY_FILE).write_text(json.dumps(key), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        stage.rename(target)

    def _key(self, name: str) -> dict[str, Any]:
        """Everything a result depends on: if it differs, the build is repeated."""
        build = BUILDS[name]
        key: dict[str, Any] = {package: metadata.version(package) for package in build.packages}
        if build.calibrated:
            key["clips"] = hashlib.sha256(b"".join(clip.read_bytes() for clip in self._clips)).hexdigest()
        if build.source != CHECKPOINT:
            key["source"] = self._key(build.source)
        return key


def _read_key(folder: Path) -> Any:
    try:
        return json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
