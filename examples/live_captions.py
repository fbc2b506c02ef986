"""Captions for what comes in: 16-bit mono samples at 16 kHz on standard input, words on the terminal.

arecord -q -t raw -f S16_LE -r 16000 | python examples/live_captions.py models/words
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import wav2edge

BLOCK_BYTES = 640
"""20 ms."""


def captions(engine: wav2edge.Engine, blocks: Iterable[bytes]) -> Iterator[str]:
    """A caption whenever there is something new: words that stay, and behind a bar those that may still change."""
    with engine.stream() as stream:
        for block in blocks:
            yield from map(caption, stream.feed(block))
        yield from map(caption, stream.finish())


def caption(event: wav2edge.Partial | wav2edge.Final) -> str:
    """One line for an answer."""
    words = (event.text or "").split()
    if isinstance(event, wav2edge.Final):
        return f"{event.start_s:6.1f} s  {' '.join(words)}"
    stable = event.stable_words
    return f"          {' '.join(words[:stable])}|{' '.join(words[stable:])}"


def main() -> None:
    """Listen until standard input ends."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/live_captions.py BUNDLE < SAMPLES")
    engine = wav2edge.load(sys.argv[1])
    for line in captions(engine, iter(lambda: sys.stdin.buffer.read(BLOCK_BYTES), b"")):
        print(line, flush=True)


if __name__ == "__main__":
    main()
