"""Verification of a bundle on this device: digests, golden outputs, and certificates that can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import BundleError
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.differences import Budget, exceeds
from wav2edge.evaluation.parity.repetition import Repetition
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import json_ready

if TYPE_CHECKING:
    from wav2edge.inference.streaming.chunked_clips import ChunkedClips


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check and its outcome; ``figures`` are JSON-ready details that do not fit into a line."""

    name: str
    passed: bool
    detail: str
    figures: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON-ready values."""
        return {name: value for name, value in vars(self).items() if value is not None}


def verify(
    bundle: Bundle,
    *,
    device: str = "cpu",
    threads: int | None = None,
    repetition: Repetition | None = None,
    stream_repetitions: Mapping[int, Repetition] | None = None,
    language_repetitions: Mapping[str, Repetition] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Check]:
    """Check every listed file, every variant's certificate, and its golden outputs on this device.

    Args:
        bundle: what is checked. Its manifest was compared with its own digest when it was read.
        device: where the graphs run.
        threads: threads per call; the physical cores where None.
        repetition: the part of the certificates that is repeated with each variant.
        stream_repetitions: the same for streams, by their chunk in milliseconds.
        language_repetitions: the same for languages that are not the bundle's first.
        advance: called after each listed file, and after each signal and clip of the repetition.
    """
    yield _manifest_check(bundle)
    digests = list(_digest_checks(bundle, advance))
    yield from digests
    if not all(check.passed for check in digests):
        return  # the outputs of a damaged graph mean nothing
    certificates = bundle.read_json(CERTIFICATE)
    golden = bundle.read_json(GOLDEN)
    for name, variant in bundle.manifest.variants.items():
        certificate = certificates["variants"].get(name)
        yield _certificate_check(name, certificate)
        engine = Engine.from_bundle(bundle, variant=name, device=device, threads=threads, verify=False)
        engine.decoder = None  # certificate and golden file are those of the best path
        yield check_golden_outputs(golden, engine, name, golden["variants"].get(name))
        repeated = repetition if variant.heads is None else (language_repetitions or {}).get(str(variant.language))
        if repeated is not None and certificate is not None:
            yield from _repeat(repeated, bundle, engine, name, certificate, advance)
    if bundle.manifest.stream is not None and device in ("cpu", "auto"):
        for precision, chunk_ms, chunked in _streams(bundle, threads):
            name = f"{precision} stream of {chunk_ms} ms"
            certificate, expected = (
                document.get("streams", {}).get(precision, {}).get(str(chunk_ms)) for document in (certificates, golden)
            )
            yield _certificate_check(name, certificate)
            yield check_golden_outputs(golden, chunked, name, expected)
            repeated = (stream_repetitions or {}).get(chunk_ms)
            if repeated is not None and certificate is not None:
                yield from _repeat(repeated, bundle, chunked, name, certificate, advance)


def _streams(bundle: Bundle, threads: int | None) -> Iterator[tuple[str, int, ChunkedClips]]:
    """Precision, chunk in milliseconds, and what hears clips in such chunks."""
    from wav2edge.inference.streaming.chunked_clips import ChunkedClips  # here: most bundles have no streams
    from wav2edge.inference.streaming.opening import StreamGraphs, chunk_lengths_ms

    for precision in bundle.manifest.stream.files if bundle.manifest.stream else ():
        graphs = StreamGraphs(bundle, precision=precision, verify=False, placement={"threads": threads})
        for chunk_ms in chunk_lengths_ms(bundle.manifest):
            yield precision, chunk_ms, ChunkedClips(graphs.session(chunk_ms))


def check_golden_outputs(
    golden: Mapping[str, Any], engine: Engine | ChunkedClips, precision: str, expected: Mapping[str, Any] | None
) -> Check:
    """Run the golden input through an engine and compare with the outputs that its graph gave at the export.

    The difference is the largest one over all outputs, relative to the largest expected magnitude.

    Args:
        golden: the golden file.
        engine: runs the graph.
        precision: its name in messages.
        expected: its entry in the golden file; None where there is none.
    """
    if expected is None:
        return Check(name=f"golden {precision}", passed=False, detail="none; export the bundle again")
    samples = np.asarray(golden["pcm_int16"], np.float32) / np.float32(32768)
    found = engine.outputs(samples)
    error = max(_relative_error(found[name], np.asarray(values)) for name, values in expected["outputs"].items())
    tolerance = float(expected["tolerance"])
    return Check(
        name=f"golden {precision}",
        passed=bool(error <= tolerance),
        detail=f"outputs within {error:.2e} of the recorded ones on {engine.device} (tolerance {tolerance:g})",
    )


def _relative_error(found: Any, expected: Any) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _manifest_check(bundle: Bundle) -> Check:
    sealed = bundle.manifest.is_sealed
    unknown = "format version 1, without a digest of its own: what it says cannot be checked; export the bundle again"
    return Check(name=MANIFEST, passed=sealed, detail="SHA-256 matches its last line" if sealed else unknown)


def _digest_checks(bundle: Bundle, advance: Callable[[], None]) -> Iterator[Check]:
    for name in bundle.manifest.files:
        try:
            bundle.check_hash(name)
        except BundleError as error:
            yield Check(name=name, passed=False, detail=str(error))
        else:
            yield Check(name=name, passed=True, detail="SHA-256 matches the manifest")
        advance()
    for name in bundle.unlisted_files():
        yield Check(name=name, passed=False, detail="not in the manifest; remove it, or export the bundle again")


def _certificate_check(name: str, certificate: dict[str, Any] | None) -> Check:
    if certificate is None:
        return Check(name=f"certificate {name}", passed=False, detail="none; export the bundle again")
    return Check(name=f"certificate {name}", passed=bool(certificate["passed"]), detail=certificate["summary"])


def _repeat(
    repetition: Repetition,
    bundle: Bundle,
    engine: Engine | ChunkedClips,
    precision: str,
    recorded: Mapping[str, Any],
    advance: Callable[[], None],
) -> Iterator[Check]:
    """The repeated certificate of one variant, and each of its figures next to the recorded one."""
    repeated = repetition.certify(engine, precision, _budget(bundle, recorded), advance=advance)
    if repeated.signals:
        yield Check(
            name=f"{precision} signals",
            passed=True,
            detail=f"{len(repeated.signals)} repeated on {engine.device}",
            figures={name: json_ready(asdict(difference)) for name, difference in repeated.signals.items()},
        )
    if repeated.clips is not None:
        yield Check(
            name=f"{precision} clips",
            passed=repeated.clips.clips > 0,
            detail=f"{repeated.clips.summary} ({repeated.clips.unreadable} could not be read,"
            f" {repetition.unknown} more are not in the certificate)",
            figures=json_ready(asdict(repeated.clips)),
        )
    yield from _figures(repeated, recorded)


def _budget(bundle: Bundle, certificate: Mapping[str, Any]) -> Budget:
    try:
        return Budget(**certificate["budget"])
    except (KeyError, TypeError):
        raise BundleError(
            f"{bundle.folder}: its certificate has no budget that this wav2edge can read;"
            " upgrade: pip install -U wav2edge, or export the bundle again"
        ) from None


def _figures(repeated: Certificate, recorded: Mapping[str, Any]) -> Iterator[Check]:
    certified = _certified(recorded, repeated.signals)
    for name, value in repeated.measured().items():
        limit = repeated.allowed().get(name)
        figures = {
            "measured": value,
            "measured_interval": repeated.intervals().get(name),
            "certified": certified.get(name),
            "certified_interval": recorded.get("intervals", {}).get(name),
            "allowed": limit,
        }
        yield Check(
            name=f"{repeated.precision} {name.replace('_', ' ')}",
            passed=limit is None or not exceeds(value, limit),
            detail=f"{_shown(figures, 'measured')} measured, {_shown(figures, 'certified')} in the certificate,"
            f" {'no limit' if limit is None else f'{limit:.3g} allowed'}",
            figures=json_ready(figures),
        )


def _certified(certificate: Mapping[str, Any], signals: Iterable[str]) -> dict[str, float]:
    """The certificate's figures; the errors over the signals that were repeated."""
    recorded = [each for name in signals if (each := certificate["signals"].get(name))]
    finite = [each for each in recorded if each["absolute_error"] is not None]
    errors = {name: max(each[name] for each in finite) for name in ("absolute_error", "relative_error") if finite}
    return {**certificate["measured"], **errors}


def _shown(figures: Mapping[str, Any], name: str) -> str:
    value, interval = figures[name], figures[f"{name}_interval"]
    bounds = "" if interval is None else f" [{' to '.join(f'{end:.4f}' for end in interval)}]"
    return "none" if value is None else f"{value:.4g}{bounds}"
