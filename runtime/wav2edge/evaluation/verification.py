"""Does a bundle still answer, here, as it did where it was made: hashes, golden outputs, certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle
from wav2edge.errors import BundleError
from wav2edge.evaluation.parity.budget import Budget, is_over
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.repetition import Repetition
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import json_ready


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; ``figures`` are JSON-ready, where there is more to it than a line can say."""

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
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Check]:
    """Look at every listed file, at every variant's certificate, and at its golden outputs on this device.

    Args:
        bundle: what is looked at.
        device: where the graphs run.
        threads: of one answer; the physical cores without a number.
        repetition: what of the certificates is repeated with each variant.
        advance: called after each listed file, and after each answer of the repetition.
    """
    hashes = list(_hash_checks(bundle, advance))
    yield from hashes
    if not all(check.passed for check in hashes):
        return  # what a damaged graph answers proves nothing
    certificates = bundle.read_json(CERTIFICATE)["variants"]
    for name in bundle.manifest.variants:
        yield _certificate_check(name, certificates.get(name))
        engine = Engine.from_bundle(bundle, variant=name, device=device, threads=threads, verify=False)
        yield golden_check(bundle, engine, name)
        if repetition is not None and name in certificates:
            yield from _repeat(repetition, bundle, engine, name, certificates[name], advance)


def golden_check(bundle: Bundle, engine: Engine, precision: str) -> Check:
    """Run the golden input through an engine and compare with what its variant gave where it was made.

    The difference is the largest one over all outputs, relative to the largest expected magnitude.
    """
    golden = bundle.read_json(GOLDEN)
    expected = golden["variants"].get(precision)
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


def _hash_checks(bundle: Bundle, advance: Callable[[], None]) -> Iterator[Check]:
    for name in bundle.manifest.files:
        try:
            bundle.check_hash(name)
        except BundleError as error:
            yield Check(name=name, passed=False, detail=str(error))
        else:
            yield Check(name=name, passed=True, detail="SHA-256 as the manifest says")
        advance()
    for name in bundle.unlisted_files():
        yield Check(name=name, passed=False, detail="not in the manifest; take it out, or export the bundle again")


def _certificate_check(name: str, certificate: dict[str, Any] | None) -> Check:
    if certificate is None:
        return Check(name=f"certificate {name}", passed=False, detail="none; export the bundle again")
    return Check(name=f"certificate {name}", passed=bool(certificate["passed"]), detail=certificate["summary"])


def _repeat(
    repetition: Repetition,
    bundle: Bundle,
    engine: Engine,
    precision: str,
    there: Mapping[str, Any],
    advance: Callable[[], None],
) -> Iterator[Check]:
    """What the repeated certificate of one variant says, and each of its figures beside the recorded one."""
    here = repetition.certify(engine, precision, _budget(bundle, there), advance=advance)
    if here.grid:
        yield Check(
            name=f"{precision} signals",
            passed=True,
            detail=f"{len(here.grid)} answered on {engine.device}",
            figures={name: json_ready(asdict(difference)) for name, difference in here.grid.items()},
        )
    if here.clips is not None:
        yield Check(
            name=f"{precision} clips",
            passed=here.clips.clips > 0,
            detail=f"{here.clips.summary} ({here.clips.left_out} could not be read,"
            f" {repetition.unknown} more are not known to the certificate)",
            figures=json_ready(asdict(here.clips)),
        )
    yield from _figures(here, there)


def _budget(bundle: Bundle, certificate: Mapping[str, Any]) -> Budget:
    try:
        return Budget(**certificate["budget"])
    except (KeyError, TypeError):
        raise BundleError(
            f"{bundle.folder}: its certificate has no budget that this wav2edge can read;"
            " upgrade: pip install -U wav2edge, or export the bundle again"
        ) from None


def _figures(here: Certificate, there: Mapping[str, Any]) -> Iterator[Check]:
    recorded = _recorded(there, here.grid)
    for name, value in here.measured().items():
        limit = here.allowed().get(name)
        figures = {
            "here": value,
            "here_interval": here.intervals().get(name),
            "there": recorded.get(name),
            "there_interval": there.get("intervals", {}).get(name),
            "allowed": limit,
        }
        yield Check(
            name=f"{here.precision} {name.replace('_', ' ')}",
            passed=limit is None or not is_over(value, limit),
            detail=f"{_shown(figures, 'here')} here, {_shown(figures, 'there')} there,"
            f" {'not judged' if limit is None else f'{limit:.3g} allowed'}",
            figures=json_ready(figures),
        )


def _recorded(certificate: Mapping[str, Any], signals: Iterable[str]) -> dict[str, float]:
    """The certificate's figures, those of the signals over the same signals as here."""
    grid = [case for name in signals if (case := certificate["grid"].get(name)) and case["absolute"] is not None]
    errors = {f"{kind}_error": max(case[kind] for case in grid) for kind in ("absolute", "relative") if grid}
    return {**certificate["measured"], **errors}


def _shown(figures: Mapping[str, Any], place: str) -> str:
    value, interval = figures[place], figures[f"{place}_interval"]
    bounds = "" if interval is None else f" [{' to '.join(f'{end:.4f}' for end in interval)}]"
    return "not measured" if value is None else f"{value:.4g}{bounds}"
