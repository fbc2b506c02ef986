"""Does a bundle still answer, here, as it did where it was made: hashes, golden outputs, certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wav2edge.bundle import CERTIFICATE, GOLDEN, Bundle
from wav2edge.engine import Engine
from wav2edge.errors import BundleError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


def verify(bundle: Bundle, *, device: str = "cpu", threads: int | None = None) -> Iterator[Check]:
    """Look at every listed file, at every variant's certificate, and at its golden outputs on this device."""
    hashes = list(_hash_checks(bundle))
    yield from hashes
    if not all(check.passed for check in hashes):
        return  # what a damaged graph answers proves nothing
    certificates = bundle.read_json(CERTIFICATE)["variants"]
    for name in bundle.manifest.variants:
        yield _certificate_check(name, certificates.get(name))
        yield golden_check(Engine(bundle, device=device, threads=threads, variant=name, verify=False))


def golden_check(engine: Engine) -> Check:
    """Run the golden input through an engine and compare with what its variant gave where it was made.

    The difference is the largest one over all outputs, relative to the largest expected magnitude.
    """
    golden = engine.bundle.read_json(GOLDEN)
    expected = golden["variants"].get(engine.variant.precision)
    if expected is None:
        return Check(name=f"golden {engine.variant.precision}", passed=False, detail="none; export the bundle again")
    samples = np.asarray(golden["pcm_int16"], np.float32) / np.float32(32768)
    found = engine.outputs(samples)
    error = max(_relative_error(found[name], np.asarray(values)) for name, values in expected["outputs"].items())
    tolerance = float(expected["tolerance"])
    return Check(
        name=f"golden {engine.variant.precision}",
        passed=bool(error <= tolerance),
        detail=f"outputs within {error:.2e} of the recorded ones on {engine.device} (tolerance {tolerance:g})",
    )


def _relative_error(found: Any, expected: Any) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _hash_checks(bundle: Bundle) -> Iterator[Check]:
    for name in bundle.manifest.files:
        try:
            bundle.check_hash(name)
        except BundleError as error:
            yield Check(name=name, passed=False, detail=str(error))
        else:
            yield Check(name=name, passed=True, detail="SHA-256 as the manifest says")
    for name in bundle.unlisted_files():
        yield Check(name=name, passed=False, detail="not in the manifest; take it out, or export the bundle again")


def _certificate_check(name: str, certificate: dict[str, Any] | None) -> Check:
    if certificate is None:
        return Check(name=f"certificate {name}", passed=False, detail="none; export the bundle again")
    return Check(name=f"certificate {name}", passed=bool(certificate["passed"]), detail=certificate["summary"])
