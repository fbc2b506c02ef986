"""What this processor does with 8-bit products, and which int8 graphs are made for it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from wav2edge.bundle.manifest import Variant

INT8_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Processor features that decide how fast 8-bit products are, as Linux names them."""
EXACT_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Those of x86 that add four products up in 32 bits. Without them two are added in 16 bits (``vpmaddubsw``)."""
X86_MACHINES = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of processor an int8 graph is made for: what its weights may be, and which processors those are."""

    weight_bits: int = 8
    signed: bool = True
    summary: str


TARGETS = {
    "vnni": Target(summary="8-bit weights, for processors with exact 8-bit products: x86 with VNNI or AMX, and Arm"),
    "avx2": Target(
        weight_bits=7, summary="7-bit weights, for x86 without VNNI, where two 8-bit products saturate their 16-bit sum"
    ),
    "exact": Target(signed=False, summary="unsigned 8-bit weights, exact everywhere and slower on x86 without VNNI"),
}
"""Target -> what it means. Two unsigned 8-bit activations times 7-bit weights fit 16 bits: 2 * 255 * 64 < 32,768.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "When to use reduce-range". On a Zen 3
(AVX2), against ``vnni`` with its saturation: products of 1,024 by 4,096 weights took 1.0 of the time with ``avx2`` and
1.3 with ``exact``, and the answers of a trained model of 1.2 M parameters diverged by 0.06 and 0.02 as much.
"""

NATIVE = "native"
"""Stands for the target that this processor is."""


def cpuinfo(*keys: str) -> str:
    """The first value that Linux gives for one of these keys; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys), "")


def int8_features() -> list[str]:
    """Those of ``INT8_FLAGS`` that this processor has; empty where the system does not list them."""
    flags = cpuinfo("flags", "Features").split()
    return [flag for flag in INT8_FLAGS if flag in flags]


def native_target() -> tuple[str, str]:
    """The target that this processor is, and what it was told by."""
    features = int8_features()
    if platform.machine().lower() not in X86_MACHINES:
        return "vnni", f"this processor is {platform.machine()}"
    if not features:
        return "avx2", "this system does not list the processor's features, and 7 bits are right on all"
    exact = sorted(EXACT_FLAGS & set(features))
    return ("vnni", f"this processor has {exact[0]}") if exact else ("avx2", "this processor has no VNNI")


def misfit(variant: Variant, device: str = "cpu") -> str | None:
    """One line where a graph has weights too wide for the products of this processor; None where it fits."""
    if device != "cpu" or variant.target != "vnni" or not int8_features() or native_target()[0] == "vnni":
        return None
    return (
        f"{variant.precision} was made for processors whose 8-bit products are exact, and this one has no VNNI:"
        " sums saturate and answers drift; export it with --target avx2 or exact"
    )
