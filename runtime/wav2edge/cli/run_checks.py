"""What ``wav2edge run`` refuses before it opens a bundle, and what it says of the inputs that failed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from wav2edge.audio.inputs import ARCHIVE_SUFFIXES, is_named_pipe
from wav2edge.errors import UsageError
from wav2edge.output.formats import FORMATS


def check_run(options: Namespace, formats: tuple[str, ...], many: bool) -> None:
    """Raise a UsageError for options that do not go together, or with the inputs.

    Args:
        options: of the verb, without ``--cluster``.
        formats: names of the formats that the results are written in.
        many: whether there may be several inputs.
    """
    if len(formats) > 1 and options.output_dir is None:
        raise UsageError(f"--format {options.format}: several formats need --output-dir")
    alone = [name for name in formats if not FORMATS[name].holds_many]
    if many and alone and options.output_dir is None:
        raise UsageError(f"--format {alone[0]}: a file holds one recording; for several give --output-dir")
    if options.resume and (options.output is None or formats != ("jsonl",)):
        raise UsageError("--resume needs --output FILE and --format jsonl: the lines of the run to resume")
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"--workers {options.workers}: at least 1 is needed")
    if archives := [name for name in options.audio if name.lower().endswith(ARCHIVE_SUFFIXES)]:
        raise UsageError(f"{archives[0]}: an archive; give --cluster local and --output-dir DIR to read it")
    if options.output is not None and options.output.is_dir():
        raise UsageError(f"--output {options.output}: a folder; give a file in it, or --output-dir")
    if options.output is not None:
        _check_folder("--output", options.output.parent)
    if options.output_dir is not None:
        _check_folder("--output-dir", Path(options.output_dir))
    _check_plot(options, many)


def _check_folder(option: str, folder: Path) -> None:
    """Raise a UsageError for a folder that cannot be made, because a file stands in its place."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{option}: {there} is a file; give another folder")


def _check_plot(options: Namespace, many: bool) -> None:
    if options.plot is None:
        return
    if many or options.audio == ["-"] or is_named_pipe(options.audio[0]):
        raise UsageError("--plot draws one recording, which it reads twice; give one file")
    if options.resume:
        raise UsageError("--plot draws what this run recognises, which --resume may leave out; give one of them")
    from wav2edge.output.plot import check_plot  # here: most runs draw nothing

    check_plot(options.plot)


def failures(what: str, failed: int, total: int) -> str:
    """What is said of several inputs when some of them failed."""
    if failed == total:
        return f"all {total} {what} failed"
    return f"{failed} of {total} {what} failed, the rest are answered"
