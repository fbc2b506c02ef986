"""Shards: what one worker answers at a time, what is resumed by, and what becomes one file of results."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from wav2edge.audio.inputs import ARCHIVE_SUFFIXES, AUDIO_SUFFIXES, Input, expand_inputs
from wav2edge.errors import AudioError, UsageError
from wav2edge.inference.feeding.archives import storage

CLIPS, PARQUET, TAR = "clips", "parquet", "tar"
KINDS = {suffix: PARQUET if suffix == ".parquet" else TAR for suffix in ARCHIVE_SUFFIXES}
"""What the name of an archive ends with -> what it is. Everything else is a clip."""
CLIPS_IN_A_SHARD = 500
"""Of five seconds each they are a minute's work of one core: what is lost with a worker."""
NOT_IN_A_NAME = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A Parquet file, a tar, or some clips.

    Attributes:
        name: what messages call it; of an archive its path or address.
        kind: one of ``clips``, ``parquet``, ``tar``.
        output: name of its file of results. It is the same in every run over the same inputs, and no two shards share
            one.
        size_bytes: of the archive; that of clips is not known.
        clips: of a shard of clips, each with its name, or the reason that it gives none.
    """

    name: str
    kind: str
    output: str
    size_bytes: int | None = None
    clips: tuple[Input, ...] = ()


def kind_of(name: str) -> str:
    """The kind of shard that a file belongs to, by its name."""
    lower = name.lower()
    return next((kind for suffix, kind in KINDS.items() if lower.endswith(suffix)), CLIPS)


def plan(names: Iterable[str], *, clips_in_a_shard: int = CLIPS_IN_A_SHARD, results: str | None = None) -> list[Shard]:
    """The shards of an archive, in order: each Parquet file and each tar is one, and clips are shared out.

    Args:
        names: files, folders, patterns, and addresses of files or folders in an object store.
        clips_in_a_shard: most clips of a shard.
        results: folder of the results; those that a folder of inputs holds are none of its Parquet files.

    Raises:
        AudioError: nothing goes by a name, or a folder or a pattern gives nothing.
        UsageError: a name cannot be the input of many processes, or stands there twice; or a shard would hold nothing.
    """
    if clips_in_a_shard < 1:
        raise UsageError(f"{clips_in_a_shard} clips in a shard; at least 1 is needed")
    inputs = [each for name in names for each in _expanded(name) if not _is_result(each.name, name, results)]
    archives = [each.name for each in inputs if each.error is None and kind_of(each.name) != CLIPS]
    if repeated := sorted({name for name in archives if archives.count(name) > 1}):
        raise UsageError(f"{repeated[0]}: stands among the inputs twice; leave one out")
    clips = [each for each in inputs if each.error is not None or kind_of(each.name) == CLIPS]
    return [*map(_archive, archives), *_shared_out(clips, clips_in_a_shard)]


def _expanded(name: str) -> list[Input]:
    """What a name stands for; archives in folders are found next to their clips."""
    if name == "-":
        raise UsageError("-: standard input cannot be shared out among processes; give files")
    if storage.is_address(name):
        inside = list(storage.files_below(name)) if storage.is_folder(name) else [name]
        wanted = (each for each in inside if each == name or _is_of_an_archive(each))
        return [Input(name=each) for each in wanted]
    inputs = list(expand_inputs([name]))
    archives = [Input(name=each) for each in _archives_below(name)]
    itself = inputs[0] if inputs[0].name == name else None
    if itself is None or archives:
        return [*archives, *(each for each in inputs if each is not itself)]
    # As a row with an error it would count as done, and never be asked for again.
    if itself.error is not None:
        raise itself.error
    if not os.path.lexists(name):
        raise AudioError(f"{name}: no such file; check the path")
    return inputs


def _archives_below(folder: str) -> Iterator[str]:
    if os.path.isdir(folder):
        yield from (each for each in storage.files_below(folder) if kind_of(each) != CLIPS)


def _is_result(file: str, named: str, results: str | None) -> bool:
    """Whether a file that a folder of inputs gave is a result."""
    if results is None or file == named or kind_of(file) != PARQUET:
        return False
    return storage.lies_below(file, results)


def _is_of_an_archive(name: str) -> bool:
    return kind_of(name) != CLIPS or PurePath(name).suffix.lower() in AUDIO_SUFFIXES


def _archive(name: str) -> Shard:
    stem = PurePath(name).name.partition(".")[0]
    return Shard(name=name, kind=kind_of(name), output=_output(stem, name), size_bytes=storage.size_bytes(name))


def _shared_out(clips: Sequence[Input], most: int) -> Iterator[Shard]:
    for start in range(0, len(clips), most):
        some = tuple(clips[start : start + most])
        names = [each.name for each in some]
        shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        yield Shard(name=shown, kind=CLIPS, output=_output(f"clips-{start // most:05d}", *names), clips=some)


def _output(stem: str, *names: str) -> str:
    """A name that says where results come from, with a digest of the names of all that they come from."""
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{NOT_IN_A_NAME.sub('_', stem)}-{digest[:10]}.parquet"
