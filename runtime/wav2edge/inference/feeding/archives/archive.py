"""``wav2edge.recognise_archive`` and ``wav2edge.read_archive``: recordings by the million, and their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Unpack

from wav2edge.errors import UsageError
from wav2edge.inference.feeding.archives import shard_results, storage
from wav2edge.inference.feeding.archives.crews.dispatch import Crew, dispatch
from wav2edge.inference.feeding.archives.folder_lock import FolderLock
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe, Recognising, ShardReport
from wav2edge.inference.feeding.archives.shards import CLIPS_IN_A_SHARD, Shard, plan
from wav2edge.inference.sessions.device import physical_cores

LOCAL, RAY, RAY_ADDRESS = "local", "ray", "ray://"
"""Names of clusters: processes of this machine; Ray, found or started here; and the beginning of a Ray's address."""
FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Recordings to be recognised, shard by shard.

    Attributes:
        shards: all of them, in order.
        done: files of results that an earlier run has completed.
        recipe: of the engines.
        folder: of the results.
        lock: holds it until the reports are given.
    """

    shards: Sequence[Shard]
    done: Set[str]
    recipe: EngineRecipe
    folder: str
    lock: FolderLock

    @classmethod
    def open(
        cls,
        inputs: Iterable[str],
        bundle: str | PathLike[str],
        folder: str,
        *,
        resume: bool = False,
        clips_in_a_shard: int = CLIPS_IN_A_SHARD,
        **recognising: Unpack[Recognising],
    ) -> Archive:
        """Plan the shards, and see what is done; arguments and errors are those of ``recognise_archive``."""
        storage.optional("pyarrow")
        recipe = EngineRecipe.of(bundle, **recognising)
        shards = plan(inputs, clips_in_a_shard=clips_in_a_shard, results=folder)
        lock = hold_output(folder)
        try:
            done = prepare_output(folder, shards, recipe, resume=resume, held=lock.held)
        except BaseException:
            lock.release()
            raise
        return cls(shards=shards, done=done, recipe=recipe, folder=folder, lock=lock)

    def reports(self, cluster: str, workers: int | None, on_death: Callable[[str], None]) -> Iterator[ShardReport]:
        """Answer what is left; gives the report of each shard as it comes. See ``recognise_archive``."""
        left = [shard for shard in self.shards if shard.output not in self.done]
        try:
            if left:
                yield from dispatch(left, open_crew(cluster, self.recipe, self.folder, workers, len(left)), on_death)
        finally:
            shard_results.remove_parts(self.folder, self.recipe.run)
            self.lock.release()


def recognise_archive(
    inputs: str | PathLike[str] | Iterable[str | PathLike[str]],
    bundle: str | PathLike[str],
    output: str | PathLike[str],
    *,
    cluster: str = LOCAL,
    workers: int | None = None,
    resume: bool = False,
    clips_in_a_shard: int = CLIPS_IN_A_SHARD,
    on_shard: Callable[[ShardReport], None] | None = None,
    on_death: Callable[[str], None] | None = None,
    **recognising: Unpack[Recognising],
) -> list[ShardReport]:
    """Recognise an archive of recordings on many processes, shard by shard, into Parquet files.

    A shard is a Parquet file with a column ``audio`` (sound, or Hugging Face's ``{bytes, path}``) or ``path``, or a
    WebDataset tar, or some of the clips. Its results are one Parquet file with a row for each recording: the fields of
    ``Result.to_dict``, or the error. The file is there once the shard is complete. A worker that dies is replaced, and
    its shard done again. A script calls this under ``if __name__ == "__main__":``, for ``local`` starts interpreters
    that import it.

    Args:
        inputs: files, folders, patterns, and addresses such as ``s3://bucket/key``.
        bundle: as ``wav2edge.load`` takes it.
        output: folder for the results, or an address of one.
        cluster: ``local`` for processes of this machine, ``ray://HOST:PORT``, or ``ray`` for the cluster of the
            environment, or else one on this machine.
        workers: processes or actors, each with an engine; where None, as many as there are cores for them.
        resume: leave out the shards that an earlier run has completed with the same bundle and settings.
        clips_in_a_shard: most clips of a shard.
        on_shard: is given the report of each shard as it comes.
        on_death: is given a line when a worker dies.
        recognising: ``variant``, ``language``, ``revision``, ``decoder``, ``device``, ``threads`` (one where it is not
            said) and ``memory_gb`` of ``wav2edge.load``; ``segments`` and ``batch_size`` of ``Engine.map``;
            ``segmentation`` and ``reject_below`` of an engine.

    Returns:
        the reports of the shards that were done now.

    Raises:
        AudioError: nothing goes by the name of an input.
        UsageError: the folder holds results that are others or not to be resumed, is in use, or cannot be made.
        BundleError, DeviceError: an engine cannot be opened, or the cluster cannot be reached.
        MissingDependencyError: pyarrow or Ray is not installed.
        OSError: results cannot be written.
    """
    names = [inputs] if isinstance(inputs, (str, PathLike)) else inputs
    archive = Archive.open(
        [fspath(name) for name in names],
        bundle,
        fspath(output),
        resume=resume,
        clips_in_a_shard=clips_in_a_shard,
        **recognising,
    )
    reports = []
    for report in archive.reports(cluster, workers, on_death or _ignore):
        reports.append(report)
        (on_shard or _ignore)(report)
    return reports


def _ignore(_: object) -> None:
    pass


def read_archive(output: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """The results in a folder of ``recognise_archive`` as JSON-ready documents, file by file.

    Each is what ``wav2edge run --format jsonl`` writes of the recording, after ``source``, the archive that it lies in,
    and ``row``, its place there.

    Args:
        output: path or address of the folder.

    Raises:
        DataError: a file cannot be opened.
        MissingDependencyError: pyarrow is not installed.
    """
    folder = fspath(output)
    for name in _results_in(folder):
        yield from shard_results.documents(folder, name)


def hold_output(folder: str) -> FolderLock:
    """Make the folder of results where there is none, and hold it.

    Raises:
        UsageError: it cannot be made, or another run writes there.
    """
    system, path = storage.opened_place(folder)
    try:
        system.create_folder(path)
        return FolderLock(folder)
    except OSError as error:
        raise UsageError(
            f"{folder}: no folder for results ({storage.why(error)}); give another one as --output-dir (output=)"
        ) from None


def prepare_output(folder: str, shards: Sequence[Shard], recipe: EngineRecipe, *, resume: bool, held: bool) -> set[str]:
    """The files of results that an earlier run has completed.

    Args:
        folder: path or address.
        shards: of this run.
        recipe: of its engines.
        resume: whether there may be any.
        held: whether no other run can write there: all unfinished files are then of runs that died.

    Raises:
        UsageError: there are and may not be, or they are not of this run.
    """
    done = _results_in(folder)
    if done and not resume:
        raise UsageError(f"{folder}: holds results; resume them with --resume (resume=True), or give another folder")
    if held:
        shard_results.remove_parts(folder)
    planned = {shard.output: shard for shard in shards}
    if others := sorted({*done} - {*planned}):
        raise UsageError(
            f"{folder}/{others[0]}: not of a shard of these inputs; resume with the same inputs, or give another folder"
        )
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        metadata = pool.map(lambda name: shard_results.read_metadata(folder, name), done)
        for name, found in zip(done, metadata, strict=True):
            settings = {"bundle": recipe.digest, **recipe.settings_for(planned[name])}
            _check_made_alike(f"{folder}/{name}", found, settings)
    return set(done)


def open_crew(cluster: str, recipe: EngineRecipe, folder: str, workers: int | None, most: int) -> Crew:
    """The workers of a cluster; they start when the crew is dispatched.

    Args:
        cluster: ``local``, ``ray`` or an address.
        recipe: of their engines.
        folder: of results.
        workers: so many; where None, as many as there is room for.
        most: how many could be of use.

    Raises:
        UsageError: there is no such cluster, or fewer than one worker.
        DeviceError: it cannot be reached.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers; at least 1 is needed")
    if cluster == LOCAL:
        from wav2edge.inference.feeding.archives.crews.local_processes import LocalProcesses

        size = workers or max(1, physical_cores() // recipe.threads)
        return LocalProcesses(recipe, folder, min(size, most))
    if cluster == RAY or cluster.startswith(RAY_ADDRESS):
        from wav2edge.inference.feeding.archives.crews.ray_actors import RayActors

        return RayActors(recipe, folder, cluster, workers)
    raise UsageError(f"{cluster}: no cluster; give {LOCAL}, {RAY}, or the address of a Ray such as ray://HOST:10001")


def _results_in(folder: str) -> list[str]:
    """Files of results in a folder, by their names."""
    names = (name[len(folder.rstrip("/")) + 1 :] for name in storage.files_below(folder))
    return [name for name in names if name.endswith(".parquet")]


def _check_made_alike(place: str, found: dict[bytes, bytes], now: dict[str, Any]) -> None:
    """Raise a UsageError for results of another bundle, or of other settings."""
    earlier = {"bundle": found[shard_results.BUNDLE].decode(), **json.loads(found[shard_results.SETTINGS])}
    for name in sorted({*earlier, *now}):
        if earlier.get(name) != now.get(name):
            raise UsageError(
                f"{place}: {name} was {earlier.get(name)} and is {now.get(name)}; resume with what it was, or give"
                " another folder"
            )
