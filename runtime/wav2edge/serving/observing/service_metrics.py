"""Metrics in the text format of Prometheus: what was asked, how long it took, what waits, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from wav2edge import __version__
from wav2edge.serving.recognising.served_models import ServedModel

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LENGTHS_S = (0, 1, 2, 5, 10, 30, 60, 300)
"""Where one class of clip lengths ends and the next begins, in seconds."""
LENGTHS = {end: f"{start}-{end}" for start, end in pairwise(LENGTHS_S)}
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


LOOKED_AT = {
    "queue_length": "Jobs that no decoder has begun.",
    "requests_taken": "Requests that upload, wait, or are recognised.",
    "requests_most": "Most requests that are taken at once; more are refused.",
    "decoders_busy": "Decoders that recognise.",
    "decoders": "Decoders.",
    "streams_open": "WebSocket streams that are open.",
    "streams_most": "Most WebSocket streams that are open at once; more are refused.",
}
"""What is looked at when it is asked for."""


def length_class(duration_s: float) -> str:
    """The class of a clip's length, such as ``2-5``; the last is ``300-``."""
    return next((name for end, name in LENGTHS.items() if duration_s <= end), f"{LENGTHS_S[-1]}-")


class ServiceMetrics:
    """Everything that is counted, in a registry of its own.

    Args:
        models: what is served.
        gauges: what is looked at when it is asked for, by their names in ``LOOKED_AT``.
    """

    def __init__(self, models: Iterable[ServedModel], gauges: dict[str, Callable[[], float]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._counter("requests", "Requests by route, model and status.", "route", "model", "status")
        self.refusals = self._counter("refusals", "Requests that got a reason instead of a result.", "reason")
        self.audio_s = self._counter("audio_seconds", "Seconds of sound that were recognised.", "model", "kind")
        self.compute_s = self._counter("compute_seconds", "Seconds that decoders took for them.", "model", "kind")
        self.lost_s = self._counter("stream_lost_seconds", "Seconds of sound that streams dropped.", "model")
        self.latency = self._histogram(
            "request_seconds", "From a request to its answer, by the length of the clip in seconds.", "model", "length"
        )
        self.waited = self._histogram("queue_seconds", "From an upload to a decoder.", "model")
        self.stream_latency = self._histogram(
            "stream_latency_seconds", "From the end of speech to its final answer.", "model"
        )
        self.factor = Histogram(
            "wav2edge_real_time_factor",
            "Seconds of computing for a second of sound, per clip.",
            ["model"],
            buckets=FACTORS,
            registry=self._registry,
        )
        for name, look in gauges.items():
            Gauge(f"wav2edge_{name}", LOOKED_AT[name], registry=self._registry).set_function(look)
        served = Info("wav2edge_model", "A model that is served.", ["model"], registry=self._registry)
        for model in models:
            served.labels(model.name).info(
                {"bundle": model.bundle.manifest.name, "variant": model.engine.precision or "", "version": __version__}
            )

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self._registry)

    def answered(self, model: str, *, total_s: float, waited_s: float, took_s: float, duration_s: float) -> None:
        """Count a clip that was recognised."""
        self.latency.labels(model, length_class(duration_s)).observe(total_s)
        self.waited.labels(model).observe(waited_s)
        self.audio_s.labels(model, "clip").inc(duration_s)
        self.compute_s.labels(model, "clip").inc(took_s)
        if duration_s:
            self.factor.labels(model).observe(took_s / duration_s)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"wav2edge_{name}", says, labels, registry=self._registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(f"wav2edge_{name}", says, labels, buckets=SECONDS, registry=self._registry)
