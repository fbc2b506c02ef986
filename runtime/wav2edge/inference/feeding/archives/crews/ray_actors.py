"""A crew of actors on a Ray cluster, or on a Ray that is started here for the length of a run."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from wav2edge.bundle.folder import CERTIFICATE, GPUS, GRAPHS, ORIGINAL, ORIGINAL_OUTPUTS, Bundle
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.feeding.archives import storage
from wav2edge.inference.feeding.archives.crews.dispatch import Died, Event, Ready
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe, ShardReport, ShardWorker
from wav2edge.inference.feeding.archives.shards import Shard

HERE = "ray"
"""As an address: the cluster of the environment, of this machine, or else one that is started here."""


def connect(address: str) -> bool:
    """Connect to a cluster, unless the program has; returns whether it is for the caller to disconnect.

    Args:
        address: ``ray``, or ``ray://HOST:PORT``.

    Raises:
        DeviceError: there is no cluster at the address.
        MissingDependencyError: Ray is not installed.
    """
    ray = storage.optional("ray")
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a Ray that is started here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is in its error
            where = {"include_dashboard": False} if address == HERE else {"address": address}
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DeviceError(
            f"{address}: no Ray cluster answers ({reason}); check the address, and that RAY_AUTH_MODE and the token are"
            " those of the cluster"
        ) from None
    return True


def needs(recipe: EngineRecipe) -> dict[str, int]:
    """What Ray sets aside for a worker."""
    return {"num_cpus": recipe.threads, "num_gpus": int(recipe.device in GPUS)}


def places(recipe: EngineRecipe) -> int:
    """How many workers a cluster has room for now; at least one."""
    resources = storage.optional("ray").cluster_resources()
    room = resources.get("GPU", 0) if recipe.device in GPUS else resources.get("CPU", 0) // recipe.threads
    return max(1, int(room))


class RayActors:
    """Actors of a cluster; one that never finds room is never ready, and holds up nobody.

    Args:
        recipe: of their engines.
        output: folder of the results.
        address: of the cluster; see ``connect``.
        size: so many actors; where None, as many as there is room for.
    """

    def __init__(self, recipe: EngineRecipe, output: str, address: str, size: int | None = None) -> None:
        self._ray, self._own = storage.optional("ray"), connect(address)
        self._recipe, self._output = recipe, output
        self.size = size or places(recipe)
        self._carried = self._ray.put(carried_files(recipe))
        self._actor = self._ray.remote(**needs(recipe))(ActorWorker)
        self._pending: dict[Any, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """End all actors, and the connection if it was made for them."""
        for actor in self._pending.values():
            with suppress(Exception):
                self.dismiss(actor)
        if self._own:
            self._ray.shutdown()

    def hire(self) -> Any:
        """Ask for an actor."""
        actor = self._actor.remote()
        self._pending[actor.open.remote(self._recipe, self._output, [self._carried])] = actor
        return actor

    def give(self, worker: Any, shard: Shard) -> None:
        """Send a shard."""
        self._pending[worker.answer.remote(shard)] = worker

    def dismiss(self, worker: Any) -> None:
        """End an actor."""
        self._ray.kill(worker)

    def wait(self) -> Sequence[tuple[Any, Event]]:
        """What came from actors, or that they are no more."""
        finished, _ = self._ray.wait(list(self._pending), num_returns=1)
        return [(self._pending.pop(each), self._event(each)) for each in finished]

    def _event(self, finished: Any) -> Event:
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(finished)
        except (
            errors.RayActorError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
        ) as error:
            return Died(str(error).strip().splitlines()[0].rstrip("."))
        return event


class ActorWorker:
    """What an actor does; Ray makes an actor class of it."""

    def open(self, recipe: EngineRecipe, output: str, carried: Sequence[Any]) -> Ready | Wav2EdgeError:
        """Make the engine.

        Args:
            recipe: of the engine.
            output: folder of the results.
            carried: a reference to the files of the bundle, for a machine that has no such folder.
        """
        try:
            self._worker = ShardWorker(recipe, output, folder_here(recipe, carried))
        except Wav2EdgeError as error:
            return error
        return Ready()

    def answer(self, shard: Shard) -> ShardReport | OSError | UsageError:
        """Answer a shard."""
        return self._worker.answer(shard)


def carried_files(recipe: EngineRecipe) -> dict[str, bytes]:
    """The files of a bundle's folder that an engine of one variant may need; none of a bundle on the Hub."""
    bundle = Bundle.open(recipe.source, revision=recipe.options.get("revision"))
    if bundle.repository is not None:
        return {}  # every machine fetches it by itself
    chosen = bundle.manifest.variants[recipe.settings["variant"]].file
    names = [MANIFEST, chosen, *(name for name in bundle.manifest.files if _may_be_needed(name))]
    return {name: bundle.check_size(name).read_bytes() if name != MANIFEST else _manifest(bundle) for name in names}


def _manifest(bundle: Bundle) -> bytes:
    return (bundle.folder / MANIFEST).read_bytes()


def _may_be_needed(name: str) -> bool:
    return not name.startswith((f"{GRAPHS}/", CERTIFICATE, ORIGINAL, ORIGINAL_OUTPUTS))


def folder_here(recipe: EngineRecipe, carried: Sequence[Any]) -> str | None:
    """Where the bundle lies on this machine: None, at its source; else in a folder of its digest, made once."""
    folder = Path(recipe.source)
    if (folder / MANIFEST).is_file():
        return None
    files: Mapping[str, bytes] = storage.optional("ray").get(carried[0])
    if not files:
        return None
    place = Path(tempfile.gettempdir()) / f"wav2edge-{recipe.digest[:16]}"
    if not place.exists():
        own = Path(tempfile.mkdtemp(prefix=f"{place.name}-"))
        for name, content in files.items():
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            (own / name).write_bytes(content)
        with suppress(OSError):  # another worker was faster
            own.rename(place)
    return str(place)
