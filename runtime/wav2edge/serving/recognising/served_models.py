"""The models of a server: engines by the names that requests call them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import UsageError
from wav2edge.inference.engine import Engine
from wav2edge.inference.streaming.opening import chunk_lengths_ms
from wav2edge.serving.refusals import Refusal

TASKS = {
    "ctc": ("transcriptions", "alignments", "stream"),
    "classification": ("classifications", "stream"),
    "frame_classification": ("classifications",),
    "embedding": ("embeddings",),
}
"""What a model with a head can be asked for, by the name of the head."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """An engine, the bundle it is of, and the name that requests call it by."""

    name: str
    engine: Engine
    bundle: Bundle
    created: int = field(init=False)
    """When its manifest was written, in seconds since 1970; looked up once, for the folder may vanish meanwhile."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "created", int((self.bundle.folder / MANIFEST).stat().st_mtime))

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can be asked for: the last parts of the addresses under ``/v1/audio``."""
        return tuple(dict.fromkeys(task for head in self.engine.heads.names for task in TASKS[head]))

    @property
    def language(self) -> str | None:
        """The language that it transcribes, as its bundle calls it; None where that is not known."""
        variant = self.bundle.manifest.variants.get(self.engine.precision or "")
        return None if variant is None else variant.language

    def require(self, task: str) -> None:
        """Refuse what the model cannot be asked for.

        Raises:
            Refusal: it has no head for that.
        """
        if task not in self.tasks:
            message = f"the model {self.name!r} has no {task}; it has: {', '.join(self.tasks)}"
            raise Refusal("bad_request", message, param="model")

    def to_dict(self) -> dict[str, Any]:
        """The model in OpenAI's shape, and behind it what it can do."""
        manifest = self.bundle.manifest
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "wav2edge",
            "bundle": manifest.name,
            "variant": self.engine.precision,
            "device": self.engine.device,
            "language": self.language,
            "tasks": list(self.tasks),
            "stream_chunks_ms": list(chunk_lengths_ms(manifest)) if self.engine.stream_graphs else [],
        }

    def warm_up(self) -> None:
        """Make the first calls, which are slow, and load the graph of streams."""
        self.engine.warm_up()
        if self.engine.stream_graphs is not None:
            self.engine.stream().finish()


def named_sources(words: Iterable[str]) -> dict[str, str]:
    """The bundles of ``NAME=BUNDLE`` or ``BUNDLE`` by their names; without one a folder's own, or that on the Hub.

    Raises:
        UsageError: two have one name.
    """
    found: dict[str, str] = {}
    for word in words:
        before, sign, behind = word.partition("=")
        name, source = (before, behind) if sign and not Path(word).exists() else ("", word)
        name = name or (Path(source).resolve().name if Path(source).exists() else source)
        if name in found:
            raise UsageError(f"two bundles are called {name!r}; give NAME=BUNDLE for one of them")
        if not source:
            raise UsageError(f"{word}: no bundle; give NAME=BUNDLE")
        found[name] = source
    return found


def pick(models: Mapping[str, ServedModel], name: str | None) -> ServedModel:
    """The model that a request names; without a name the only one.

    Raises:
        Refusal: there is no such model, or there are several and none is named.
    """
    known = f"here are: {', '.join(models)}"
    if name is None:
        if len(models) > 1:
            raise Refusal("bad_request", f"no model named; {known}", param="model")
        return next(iter(models.values()))
    if name not in models:
        raise Refusal("model_not_found", f"no model {name!r}; {known}", param="model")
    return models[name]
