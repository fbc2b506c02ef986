"""``wav2edge run --cluster``: an archive of recordings, shard by shard, on many processes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from wav2edge.cli.engine_options import decoder_from, gpu_memory_from, open_bundle, segmentation_from
from wav2edge.cli.run_checks import failures
from wav2edge.cli.verbs import tell
from wav2edge.errors import UsageError
from wav2edge.inference.feeding.archives.archive import Archive
from wav2edge.inference.feeding.archives.shard_worker import ShardReport
from wav2edge.inference.feeding.archives.shards import CLIPS_IN_A_SHARD
from wav2edge.inference.recognizer import UNKNOWN_COMFORT_S
from wav2edge.output.progress import Progress

NOT_FOR_ARCHIVES = {
    "output": "--output: the results of an archive are many files; give --output-dir",
    "plot": "--plot draws one recording; leave out --cluster",
    "profile": "--profile is of one process and one machine; leave it out, or --cluster",
}
"""Option of a run in one process -> what is said of it."""


def run_archive(options: Namespace) -> int:
    """Answer the inputs; the exit code is 1 where some of them failed.

    Standard output has a line for each shard that is done: its file, recordings, those that failed, seconds of speech.
    """
    archive = _open(options)
    failed, started = _Failures(), len(archive.done)
    with Progress("recognising shards", len(archive.shards), done=started) as progress:

        def say(message: str) -> None:
            progress.clear()
            tell(message)

        for report in archive.reports(options.cluster, options.workers, on_death=say):
            for message in failed.add(report):
                say(message)
            progress.clear()
            if report.output is not None:
                counts = (report.recordings, report.failed, f"{report.speech_s:.1f}")
                print(f"{archive.folder}/{report.output}", *counts, sep="\t", flush=True)
            progress.advance()
    if failed.shards:
        tell(
            f"{failed.shards} of {len(archive.shards)} shards are not answered; mend them, and run again with --resume"
        )
    if failed.recordings:
        total = failed.recordings + failed.answered
        tell(f"{failures('recordings', failed.recordings, total)}; their rows have an error")
    return 1 if failed.shards or failed.recordings else 0


class _Failures:
    """Counts what failed."""

    def __init__(self) -> None:
        self.shards = self.recordings = self.answered = 0

    def add(self, report: ShardReport) -> Iterator[str]:
        """Count those of a shard; what is to be said of them."""
        self.shards += report.error is not None
        self.recordings += report.failed
        self.answered += report.recordings - report.failed
        if report.error is not None:
            yield report.error
        elif report.failed:
            counts = f"{report.failed} of {report.recordings} recordings failed"
            yield f"{report.name}: {counts}, the first: {report.example}"


def _open(options: Namespace) -> Archive:
    """The archive that the options describe."""
    for name, reason in NOT_FOR_ARCHIVES.items():
        if getattr(options, name) is not None:
            raise UsageError(reason)
    if options.cluster is None:
        raise UsageError("--shard needs --cluster: without it there are no shards")
    if options.format != "text":
        raise UsageError(f"--format {options.format}: the results of an archive are Parquet files; leave it out")
    if options.output_dir is None:
        raise UsageError("--cluster needs --output-dir: where the Parquet files go")
    manifest = open_bundle(options).manifest
    return Archive.open(
        options.audio,
        options.bundle,
        options.output_dir,
        resume=options.resume,
        clips_in_a_shard=CLIPS_IN_A_SHARD if options.shard is None else options.shard,
        variant=options.variant,
        language=options.language,
        revision=options.revision,
        decoder=decoder_from(options),
        device=options.device,
        threads=options.threads,
        memory_gb=gpu_memory_from(options),
        segmentation=segmentation_from(
            options, manifest.longest_clip_s or manifest.certified_up_to_s or UNKNOWN_COMFORT_S
        ),
        segments=options.segments,
        reject_below=options.reject,
        batch_size=options.batch or 1,
    )
