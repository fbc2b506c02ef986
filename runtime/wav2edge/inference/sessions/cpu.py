"""Which int8 graphs this processor computes exactly."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from wav2edge.bundle.manifest import Variant

INT8_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Processor features that decide how fast int8 MatMuls are, as Linux names them."""
EXACT_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Those of x86 that sum four products in 32 bits. Without them two are summed in 16 bits (``vpmaddubsw``)."""
X86_MACHINES = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of processor to make int8 graphs for, and the weights that it multiplies exactly."""

    weight_bits: int = 8
    signed: bool = True
    summary: str


TARGETS = {
    "vnni": Target(summary="8-bit weights, for processors with exact int8 MatMuls: x86 with VNNI or AMX, and Arm"),
    "avx2": Target(
        weight_bits=7, summary="7-bit weights, for x86 without VNNI, where two 8-bit products saturate their 16-bit sum"
    ),
    "exact": Target(signed=False, summary="unsigned 8-bit weights, exact everywhere and slower on x86 without VNNI"),
}
"""Name -> target. Two products of unsigned 8-bit activations and 7-bit weights fit 16 bits: 2 * 255 * 64 < 32,768.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "When to use reduce-range". On a Zen 3
(AVX2), compared with ``vnni``, which saturates there: MatMuls with 1,024 by 4,096 weights took 1.0 of the time with
``avx2`` and 1.3 with ``exact``, and the logits of a trained model of 1.2 M parameters deviated 0.06 and 0.02 as much.
"""

NATIVE = "native"
"""Stands for the target of this processor."""


def cpuinfo(*keys: str) -> str:
    """The first value that Linux lists under one of these keys; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys), "")


def processor_name() -> str:
    """The model of this processor, or where the system does not tell its architecture."""
    return cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors that the container may use, of control groups of version 2 or 1; None where all of them.

    Args:
        root: of the file system, in which Linux describes itself.
    """
    groups = root / "sys/fs/cgroup"
    words = read_or_empty(groups / "cpu.max").split()
    words = words or [read_or_empty(groups / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    if len(words) != 2 or not all(word.isdecimal() for word in words) or not int(words[1]):
        return None
    return int(words[0]) / int(words[1])


def read_or_empty(path: Path) -> str:
    """What a file of the system says, without line breaks around it; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def int8_features() -> list[str]:
    """Those of ``INT8_FLAGS`` that this processor has; empty where the system does not list them."""
    flags = cpuinfo("flags", "Features").split()
    return [flag for flag in INT8_FLAGS if flag in flags]


def native_target() -> tuple[str, str]:
    """The target of this processor, and the reason."""
    features = int8_features()
    if platform.machine().lower() not in X86_MACHINES:
        return "vnni", f"this processor is {platform.machine()}"
    if not features:
        return "avx2", "this system does not list the processor's features, and 7 bits are exact on all"
    exact = sorted(EXACT_FLAGS & set(features))
    return ("vnni", f"this processor has {exact[0]}") if exact else ("avx2", "this processor has no VNNI")


def int8_saturation_warning(variant: Variant, device: str = "cpu") -> str | None:
    """One line if the weights of a graph are too wide for the int8 MatMuls of this processor, else None."""
    if device != "cpu" or variant.target != "vnni" or not int8_features() or native_target()[0] == "vnni":
        return None
    return (
        f"{variant.precision} was made for processors with exact int8 MatMuls, and this one has no VNNI:"
        " sums saturate and logits drift; export it with --target avx2 or exact"
    )
