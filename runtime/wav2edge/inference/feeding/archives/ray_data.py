"""``wav2edge.ray``: a Ray Dataset of recordings becomes one of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Unpack

from wav2edge.audio.inputs import AUDIO_SUFFIXES
from wav2edge.errors import DataError, UsageError
from wav2edge.inference.feeding.archives import storage
from wav2edge.inference.feeding.archives.archive import RAY, recognise_archive
from wav2edge.inference.feeding.archives.archived_clips import ArchivedClip, archived_clip
from wav2edge.inference.feeding.archives.shard_results import PLACE, as_row, schema
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe, Recognising

RESULT, BUNDLE = "result", "bundle"
"""Columns that ``map_dataset`` adds: fields of the result or the error, and the digest of the bundle."""
WHOLE, PATH = ("audio", "bytes"), "path"
"""Columns with sound, as datasets and ``read_binary_files`` have them, and with the place of sound."""
ROWS_AT_ONCE = 16


def map_dataset(
    dataset: Any,
    bundle: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    workers: int | None = None,
    resume: bool = False,
    **recognising: Unpack[Recognising],
) -> Any:
    """Recognise recordings on the Ray cluster that the program is connected to, or on a Ray that is started here.

    A Ray Dataset keeps its columns, but for the sound, and gets two: ``result``, a struct of the fields of
    ``Result.to_dict`` and ``error``, and ``bundle``, the digest of the bundle's manifest. Like every operation of Ray
    Data it is done when its rows are asked for, and what dies with an actor is done again by Ray.

    The names of an archive are recognised at once by ``recognise_archive``, into a file for each shard, so that a run
    that was ended is resumed.

    Args:
        dataset: a ``ray.data.Dataset`` with a column ``audio`` (sound, or Hugging Face's ``{bytes, path}``), ``bytes``,
            ``path``, or like ``read_webdataset`` one for each kind of sound, such as ``flac``; or the inputs of
            ``recognise_archive``.
        bundle: as ``wav2edge.load`` takes it.
        output: with names, the folder for the results, or an address of one.
        workers: actors, each with an engine; where None, as many as there is room for.
        resume: with names, leave out the shards that an earlier run has completed.
        recognising: as of ``recognise_archive``.

    Returns:
        a ``ray.data.Dataset``; of names one of the Parquet files in ``output``.

    Raises:
        UsageError: names without ``output``, or a Dataset with one: it has no shards to be resumed by.
        BundleError: the bundle cannot be opened.
        DataError: shards could not be answered.
        MissingDependencyError: Ray is not installed.
    """
    data = storage.optional("ray.data")
    from wav2edge.inference.feeding.archives.crews import ray_actors  # here: what is below works without Ray

    ray_actors.connect(RAY)
    if isinstance(dataset, data.Dataset):
        if output is not None:
            raise UsageError("a Dataset has no shards to resume by; leave output out, and call .write_parquet(output)")
        recipe = EngineRecipe.of(bundle, **recognising)
        most = ray_actors.places(recipe)
        sizes = {"min_size": 1, "max_size": most} if workers is None else {"size": workers}
        return dataset.map_batches(
            DatasetWorker,
            fn_constructor_args=(recipe, [storage.optional("ray").put(ray_actors.carried_files(recipe))]),
            compute=data.ActorPoolStrategy(**sizes),
            batch_size=ROWS_AT_ONCE,
            batch_format="pyarrow",
            **ray_actors.needs(recipe),
        )
    if output is None:
        raise UsageError("names of an archive need output, the folder for their results; or give a Ray Dataset")
    names: str | PathLike[str] | Iterable[str] = dataset
    reports = recognise_archive(names, bundle, output, cluster=RAY, workers=workers, resume=resume, **recognising)
    failed = [report.error for report in reports if report.error is not None]
    if failed:
        raise DataError(f"{len(failed)} shards are not answered, {failed[0]}; resume when that is mended")
    return data.read_parquet(str(output))


class DatasetWorker:
    """What an actor of Ray Data does to each batch.

    Args:
        recipe: of its engine.
        carried: a reference to the files of the bundle; see ``ray_actors``.
    """

    def __init__(self, recipe: EngineRecipe, carried: Sequence[Any]) -> None:
        from wav2edge.inference.feeding.archives.crews.ray_actors import folder_here

        self._recipe, self._engine = recipe, recipe.open_engine(folder_here(recipe, carried))

    def __call__(self, batch: Any) -> Any:
        """The batch ``pyarrow.Table`` without its sound, and with its results."""
        arrow = storage.optional("pyarrow")
        sounds = sound_columns(batch.column_names)
        rows = [
            {key: value for key, value in as_row(outcome, source=None, row=0, path="").items() if key not in PLACE}
            for _, outcome in self._recipe.answered(self._engine, _clips(batch, sounds))
        ]
        fields = arrow.struct([field for field in schema() if field.name not in PLACE])
        kept = batch.drop_columns([name for name in sounds if name != PATH])
        digest = arrow.array([self._recipe.digest] * len(rows), arrow.string())
        return kept.append_column(RESULT, arrow.array(rows, fields)).append_column(BUNDLE, digest)


def sound_columns(names: Iterable[str]) -> list[str]:
    """The columns with sound: one that is a recording, or those of the members of tars, or else the one of paths.

    Raises:
        DataError: there is none.
    """
    present = list(names)
    of_tars = [name for name in present if f".{name.rpartition('.')[2].lower()}" in AUDIO_SUFFIXES]
    found = [name for name in WHOLE if name in present][:1] or of_tars or [name for name in (PATH,) if name in present]
    if not found:
        raise DataError(f"no column audio, bytes or path among {', '.join(present)}; rename the one that it is")
    return found


def _clips(batch: Any, sounds: Sequence[str]) -> Iterator[ArchivedClip]:
    columns = [batch.column(name).to_pylist() for name in sounds]
    paths = batch.column(PATH).to_pylist() if PATH in batch.column_names else [None] * len(batch)
    for row, (path, *values) in enumerate(zip(paths, *columns, strict=True)):
        value = next((value for value in values if value is not None), None)
        given = value if isinstance(value, Mapping) or path is None else {"bytes": value, "path": path}
        yield archived_clip(path if sounds == [PATH] else given, row, "dataset")
