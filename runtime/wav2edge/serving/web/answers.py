"""Results in the shapes of OpenAI's API, and in those of ``wav2edge run`` and ``wav2edge align``."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from wav2edge.output.documents import json_ready, strict_json
from wav2edge.output.formats import FORMATS
from wav2edge.output.result import Result, Segment, Word
from wav2edge.output.writers import Outcome, segments_of

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
SUBTITLES = {"srt": "application/x-subrip; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}
GRANULARITIES = ("segment", "word")
"""What ``timestamp_granularities`` may ask for."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a transcription is to be written."""

    granularities: tuple[str, ...] = GRANULARITIES[:1]
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """An answer as it goes to the client."""

    content: bytes
    media_type: str


def json_answer(document: Mapping[str, Any]) -> Written:
    """A document as JSON."""
    return Written(content=strict_json(json_ready(document), indent=None).encode(), media_type=JSON)


def subtitles(name: str, result: Result, asked: Asked | None = None) -> Written:
    """A result as subtitles, in a format of ``wav2edge run``."""
    stream = io.StringIO()
    writer = FORMATS[name](stream, many=False)
    for segment in result.segments or ():
        writer.segment("", segment)
    writer.add(Outcome(name="", result=result))
    writer.close()
    return Written(content=stream.getvalue().encode(), media_type=SUBTITLES[name])


def _text(result: Result, asked: Asked) -> Written:
    return Written(content=f"{result.text or ''}\n".encode(), media_type=TEXT)


def _json(result: Result, asked: Asked) -> Written:
    return json_answer({"text": result.text or "", "usage": _usage(result)})


def _verbose_json(result: Result, asked: Asked) -> Written:
    document: dict[str, Any] = {
        "task": "transcribe",
        "language": asked.language or "unknown",
        "duration": round(result.duration_s, 4),
        "text": result.text or "",
    }
    if "segment" in asked.granularities:
        said = [each for each in segments_of(result) if each.text]
        document["segments"] = [_segment(number, each) for number, each in enumerate(said)]
    if "word" in asked.granularities:
        document["words"] = [_word(word) for word in result.words or ()]
    if result.scores is not None:
        document |= {"label": result.label, "scores": dict(result.scores)}
    return json_answer(document | {"usage": _usage(result), "warnings": list(result.warnings)})


TRANSCRIPTIONS: Mapping[str, Callable[[Result, Asked], Written]] = {
    "json": _json,
    "text": _text,
    "srt": partial(subtitles, "srt"),
    "verbose_json": _verbose_json,
    "vtt": partial(subtitles, "vtt"),
}
"""How a transcription is written, by the ``response_format`` of OpenAI's API."""


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """A segment with the fields of Whisper; what a CTC model does not have is empty or 0.

    ``avg_logprob`` is the logarithm of the mean confidence of the words; ``compression_ratio`` is that of Whisper's
    ``transcribe.py``: bytes of the text over those that zlib makes of them.
    """
    text = (segment.text or "").encode()
    return {
        "id": number,
        "seek": 0,
        "start": round(segment.start_s, 4),
        "end": round(segment.end_s, 4),
        "text": segment.text or "",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(math.log(max(segment.confidence, 1e-9)), 6),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0,
        "confidence": round(segment.confidence, 6),
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start_s, 4),
        "end": round(word.end_s, 4),
        "confidence": round(word.confidence, 6),
    }


def _usage(result: Result) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(result.duration_s)}
