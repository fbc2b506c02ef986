"""What ``wav2edge serve`` bears: many clients, many streams, and being killed.

    python -m benchmarks.records.serving --models models --result benchmarks/results/serving.json

It runs on the bundles and clips that come with the repository. ``--only`` does some of the parts again, and keeps the
others of the record.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.serving import clip_load, killed_server, stream_load

COMMAND = "python -m benchmarks.records.serving --models models --result benchmarks/results/serving.json"
PARTS = ("clips", "streams", "kills")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="the repository's folder models/")
    parser.add_argument("--only", choices=PARTS, action="append", help="parts to do (default: all)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="length of the load (default: 60)")
    parser.add_argument("--clients", type=int, default=32, metavar="N", help="clients (default: 32)")
    parser.add_argument("--streams", type=int, default=16, metavar="N", help="streams (default: 16)")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = json.loads(options.result.read_text()) if options.result.is_file() else {}
    parts, models = options.only or PARTS, options.models
    sources = sorted((models / "clips").glob("*.flac"))
    record |= {"what": "a server under load: clips, streams, and kills", "command": COMMAND}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "clips" in parts:
            record["clips"] = clip_load.measure(
                models / "words", sources, folder, clients=options.clients, seconds=options.seconds
            )
        if "streams" in parts:
            record["streams"] = stream_load.measure(
                models / "words-stream",
                models / "stream.flac",
                folder,
                streams=options.streams,
                kinds=("cached", "two-pass", "windowed"),
            )
        if "kills" in parts:
            record["kills"] = killed_server.measure(
                models / "words", sources, folder, clients=8, times=3, seconds=options.seconds / 12
            )
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
