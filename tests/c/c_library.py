"""The C library through ctypes: its structures, and its answers as the dictionaries that the Python package gives."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable, Mapping
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_size_t,
    c_void_p,
)
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("AudioError", "UsageError", "BundleError", "DeviceError")
FORMATS = {"u1": 0, "i2": 1, "i4": 3, "f4": 4, "f8": 5}
Clock = CFUNCTYPE(c_double, c_void_p)
CheckFunction = CFUNCTYPE(None, c_void_p, c_char_p, c_bool, c_char_p)


class Error(Structure):
    _fields_ = (("kind", c_int), ("code", c_int), ("message", c_char * 1024))


class Pcm(Structure):
    _fields_ = (
        ("samples", c_void_p),
        ("frames", c_size_t),
        ("channels", c_int),
        ("format", c_int),
        ("rate_hz", c_int),
    )


class Word(Structure):
    _fields_ = (("text", c_char_p), ("start_s", c_double), ("end_s", c_double), ("confidence", c_double))


class Score(Structure):
    _fields_ = (("label", c_char_p), ("probability", c_double))


class FrameLabel(Structure):
    _fields_ = (("label", c_char_p), ("start_s", c_double), ("end_s", c_double), ("confidence", c_double))


class Answer(Structure):
    _fields_ = (
        ("text", c_char_p),
        ("label", c_char_p),
        ("words", POINTER(Word)),
        ("word_count", c_size_t),
        ("scores", POINTER(Score)),
        ("score_count", c_size_t),
        ("frame_labels", POINTER(FrameLabel)),
        ("frame_label_count", c_size_t),
        ("embedding", POINTER(c_float)),
        ("embedding_size", c_size_t),
        ("start_s", c_double),
        ("end_s", c_double),
        ("confidence", c_double),
        ("rejected", c_bool),
    )


class Result(Structure):
    _fields_ = (
        ("answer", Answer),
        ("duration_s", c_double),
        ("segments", POINTER(Answer)),
        ("segment_count", c_size_t),
        ("warnings", POINTER(c_char_p)),
        ("warning_count", c_size_t),
    )


class Options(Structure):
    _fields_ = (
        ("ort_library", c_char_p),
        ("variant", c_char_p),
        ("language", c_char_p),
        ("decoder", c_char_p),
        ("threads", c_int),
        ("spinning", c_bool),
        ("verify", c_bool),
        ("reject_below", c_double),
        ("longest_segment_s", c_double),
    )


class SelfTest(Structure):
    _fields_ = (
        ("passed", c_bool),
        ("variant", c_char_p),
        ("difference", c_double),
        ("tolerance", c_double),
        ("text", c_char_p),
        ("label", c_char_p),
    )


class StreamOptions(Structure):
    _fields_ = (
        ("rate_hz", c_int),
        ("kind", c_char_p),
        ("chunk_ms", c_int),
        ("start_s", c_double),
        ("padding_s", c_double),
        ("silence_s", c_double),
        ("blank_s", c_double),
        ("longest_s", c_double),
        ("vad", c_char_p),
        ("clock_s", Clock),
        ("clock_context", c_void_p),
    )


class Event(Structure):
    _fields_ = (
        ("type", c_int),
        ("answer", Answer),
        ("stable_words", c_size_t),
        ("reason", c_char_p),
        ("latency_s", c_double),
    )


class Events(Structure):
    _fields_ = (("items", POINTER(Event)), ("count", c_size_t))


class CError(Exception):
    """An error of the C library: the name of its class in Python, its exit code, and its words."""

    def __init__(self, error: Error) -> None:
        self.kind, self.code, self.message = KINDS[error.kind], error.code, error.message.decode()
        super().__init__(f"{self.kind}: {self.message}")


class CLibrary:
    """The shared library.

    Args:
        path: of libwav2edge.
        runtime: of ONNX Runtime.
    """

    def __init__(self, path: Path, runtime: Path) -> None:
        self.api, self.runtime = ctypes.CDLL(str(path)), runtime
        for name, result, arguments in (
            ("default_options", Options, ()),
            ("open", c_void_p, (c_char_p, POINTER(Options), POINTER(Error))),
            ("run", POINTER(Result), (c_void_p, c_void_p, c_size_t, c_int, POINTER(Error))),
            ("run_pcm", POINTER(Result), (c_void_p, POINTER(Pcm), POINTER(Error))),
            ("run_file", POINTER(Result), (c_void_p, c_char_p, POINTER(Error))),
            ("run_self_test", POINTER(SelfTest), (c_void_p, POINTER(Error))),
            ("variant", c_char_p, (c_void_p,)),
            ("runtime_version", c_char_p, (c_void_p,)),
            ("close", None, (c_void_p,)),
            ("verify", c_bool, (c_char_p, POINTER(Options), CheckFunction, c_void_p, POINTER(Error))),
            ("default_stream_options", StreamOptions, ()),
            ("stream_open", c_void_p, (c_void_p, POINTER(StreamOptions), POINTER(Error))),
            ("stream_feed", c_bool, (c_void_p, c_void_p, c_size_t, POINTER(Events), POINTER(Error))),
            ("stream_feed_pcm", c_bool, (c_void_p, POINTER(Pcm), POINTER(Events), POINTER(Error))),
            ("stream_gap", c_bool, (c_void_p, c_double, POINTER(Events), POINTER(Error))),
            ("stream_finish", c_bool, (c_void_p, POINTER(Events), POINTER(Error))),
            ("stream_clock_s", c_double, (c_void_p,)),
            ("stream_speaking", c_bool, (c_void_p,)),
            ("stream_level_dbfs", c_double, (c_void_p,)),
            ("stream_compute_s", c_double, (c_void_p,)),
            ("stream_close", None, (c_void_p,)),
        ):
            function = getattr(self.api, f"w2e_{name}")
            function.restype, function.argtypes = result, list(arguments)

    def options(self, **changed: Any) -> Options:
        """Options with some of them changed; texts are str."""
        found = self.api.w2e_default_options()
        found.ort_library = str(self.runtime).encode()
        found.threads = 1
        return _changed(found, changed)

    def load(self, folder: str | Path, **options: Any) -> CEngine:
        """An engine; see ``w2e_options``."""
        return CEngine(self, folder, self.options(**options))

    def verify(self, folder: str | Path) -> list[tuple[str, bool, str]]:
        """Name, outcome and detail of every check of a bundle."""
        found: list[tuple[str, bool, str]] = []

        def take(_: object, name: bytes, passed: bool, detail: bytes) -> None:
            found.append((name.decode(), passed, detail.decode()))

        error = Error()
        function = CheckFunction(take)
        if not self.api.w2e_verify(str(folder).encode(), byref(self.options()), function, None, byref(error)):
            raise CError(error)
        return found


class CEngine:
    """An engine; a context manager."""

    def __init__(self, library: CLibrary, folder: str | Path, options: Options) -> None:
        self.api, error = library.api, Error()
        self.handle = self.api.w2e_open(str(folder).encode(), byref(options), byref(error))
        if not self.handle:
            raise CError(error)

    def __enter__(self) -> CEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.w2e_close(self.handle)

    def run(self, samples: np.ndarray, rate_hz: int = 16_000) -> dict[str, Any]:
        """The result of samples, as ``Result.to_dict`` gives it, but not rounded."""
        error, pcm = Error(), pcm_of(samples, rate_hz)
        result = self.api.w2e_run_pcm(self.handle, byref(pcm), byref(error))
        if not result:
            raise CError(error)
        return result_to_dict(result.contents)

    def run_file(self, path: str | Path) -> dict[str, Any]:
        """The same of a file."""
        error = Error()
        result = self.api.w2e_run_file(self.handle, str(path).encode(), byref(error))
        if not result:
            raise CError(error)
        return result_to_dict(result.contents)

    def self_test(self) -> SelfTest:
        """The golden self-test."""
        error = Error()
        found = self.api.w2e_run_self_test(self.handle, byref(error))
        if not found:
            raise CError(error)
        return found.contents

    def stream(self, *, clock: Callable[[], float] | None = None, **options: Any) -> CStream:
        """A stream; see ``w2e_stream_options``. ``clock`` gives seconds."""
        return CStream(self, clock, options)


class CStream:
    """A stream; a context manager."""

    def __init__(self, engine: CEngine, clock: Callable[[], float] | None, options: Mapping[str, Any]) -> None:
        self.api, error = engine.api, Error()
        chosen = _changed(self.api.w2e_default_stream_options(), options)
        self.clock = Clock(lambda _: clock()) if clock is not None else None
        if self.clock is not None:
            chosen.clock_s = self.clock
        self.handle = self.api.w2e_stream_open(engine.handle, byref(chosen), byref(error))
        if not self.handle:
            raise CError(error)

    def __enter__(self) -> CStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.w2e_stream_close(self.handle)

    @property
    def clock_s(self) -> float:
        """Seconds of sound so far."""
        return float(self.api.w2e_stream_clock_s(self.handle))

    def feed(self, samples: np.ndarray, rate_hz: int = 0) -> list[dict[str, Any]]:
        """Events as ``to_dict`` of Python's gives them, but not rounded."""
        pcm = pcm_of(samples, rate_hz)
        return self._call(self.api.w2e_stream_feed_pcm, byref(pcm))

    def gap(self, lost_s: float) -> list[dict[str, Any]]:
        """Sound was lost."""
        return self._call(self.api.w2e_stream_gap, lost_s)

    def finish(self) -> list[dict[str, Any]]:
        """The last events."""
        return self._call(self.api.w2e_stream_finish)

    def _call(self, function: Callable[..., bool], *arguments: Any) -> list[dict[str, Any]]:
        events, error = Events(), Error()
        if not function(self.handle, *arguments, byref(events), byref(error)):
            raise CError(error)
        return [_event_to_dict(events.items[place]) for place in range(events.count)]


def pcm_of(samples: np.ndarray, rate_hz: int) -> Pcm:
    """Samples ``[samples]`` or ``[samples, channels]``, which must outlive the structure."""
    samples = np.ascontiguousarray(samples)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    pcm = Pcm(samples.ctypes.data, len(samples), channels, FORMATS[samples.dtype.str[1:]], rate_hz)
    pcm.keeps = samples
    return pcm


def _changed(options: Any, changed: Mapping[str, Any]) -> Any:
    for name, value in changed.items():
        setattr(options, name, value.encode() if isinstance(value, str) else value)
    return options


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _answer_to_dict(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"confidence": answer.confidence}
    if answer.rejected:
        found["rejected"] = True
    if answer.text is not None:
        found["text"] = _text(answer.text)
    if answer.words:
        found["words"] = [
            {"text": _text(word.text), "start_s": word.start_s, "end_s": word.end_s, "confidence": word.confidence}
            for word in answer.words[: answer.word_count]
        ]
    if answer.scores:
        found["label"] = _text(answer.label)
        scores: Iterable[Score] = answer.scores[: answer.score_count]
        found["scores"] = {_text(score.label): score.probability for score in scores}
    if answer.frame_labels:
        found["frame_labels"] = [
            {"label": _text(each.label), "start_s": each.start_s, "end_s": each.end_s, "confidence": each.confidence}
            for each in answer.frame_labels[: answer.frame_label_count]
        ]
    if answer.embedding:
        found["embedding"] = answer.embedding[: answer.embedding_size]
    return found


def _timed(answer: Answer) -> dict[str, Any]:
    return {"start_s": answer.start_s, "end_s": answer.end_s, **_answer_to_dict(answer)}


def result_to_dict(result: Result) -> dict[str, Any]:
    """A result as Python's ``to_dict`` gives it."""
    found = {"duration_s": result.duration_s, **_answer_to_dict(result.answer)}
    if result.segments:
        found["segments"] = [_timed(answer) for answer in result.segments[: result.segment_count]]
    found["warnings"] = [_text(warning) for warning in result.warnings[: result.warning_count]]
    return found


def _event_to_dict(event: Event) -> dict[str, Any]:
    if event.type == 0:
        own: dict[str, Any] = {"stable_words": event.stable_words}
    else:
        own = {"reason": _text(event.reason)}
    kind = "final" if event.type else "partial"
    return {"type": kind, **_timed(event.answer), **own, "latency_s": event.latency_s}


def differences(found: Any, expected: Any, tolerance: float, where: str = "") -> list[str]:
    """Where two documents differ: numbers by more than the tolerance, everything else at all."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(found) != list(expected):
            return [f"{where}: keys {list(found)} for {list(expected)}"]
        return [
            line for key in expected for line in differences(found[key], expected[key], tolerance, f"{where}.{key}")
        ]
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        if len(found) != len(expected):
            return [f"{where}: {len(found)} items for {len(expected)}"]
        pairs = ((a, b, f"{where}[{place}]") for place, (a, b) in enumerate(zip(found, expected, strict=True)))
        return [line for a, b, place in pairs for line in differences(a, b, tolerance, place)]
    if isinstance(expected, float) and isinstance(found, float):
        return (
            [] if math.isclose(found, expected, rel_tol=0, abs_tol=tolerance) else [f"{where}: {found} for {expected}"]
        )
    return [] if found == expected else [f"{where}: {found!r} for {expected!r}"]
