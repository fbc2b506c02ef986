"""Recognise a file, or three seconds of the microphone.

    python examples/transcribe.py models/words models/clips/fu-dan-3.flac
    python examples/transcribe.py models/words

The microphone needs one more package: pip install sounddevice
"""

from __future__ import annotations

import sys

import wav2edge

SECONDS, RATE_HZ = 3, 16_000


def describe(result: wav2edge.Result) -> str:
    """Transcript, class and confidence in one line; what the model has no head for is left out."""
    parts = [part for part in (result.text, result.label) if part is not None]
    return f"{'  '.join(parts)}  ({result.confidence:.2f})"


def record(engine: wav2edge.Engine) -> wav2edge.Result:
    """Record from the default microphone and recognise it."""
    import sounddevice

    print(f"speak now, {SECONDS} seconds", file=sys.stderr)
    samples = sounddevice.rec(SECONDS * RATE_HZ, samplerate=RATE_HZ, channels=1, dtype="float32", blocking=True)
    return engine(samples, rate_hz=RATE_HZ)


if __name__ == "__main__":
    bundle, *files = sys.argv[1:] or sys.exit("usage: python examples/transcribe.py BUNDLE [CLIP ...]")
    engine = wav2edge.load(bundle)
    for result in map(engine, files) if files else [record(engine)]:
        print(describe(result))
        for warning in result.warnings:
            print(f"warning: {warning}", file=sys.stderr)
