"""What there is to choose from: the variants that the certificates allow, and the settings that make a difference."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, inf
from typing import Any

from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.bundle.manifest import Variant
from wav2edge.errors import UsageError
from wav2edge.inference.many_clips import WORKERS
from wav2edge.inference.sessions.cpu import cpu_quota, int8_saturation_warning
from wav2edge.inference.sessions.device import physical_cores
from wav2edge.inference.sessions.profiles.run_profile import RunSettings

ALL = "all"
"""Stands for every variant that is certified."""
BATCHES = (4, 16)
"""Clips at once that are tried with a graph that takes a mask."""


def allowed_variants(bundle: Bundle, asked: Sequence[str] = ()) -> tuple[list[Variant], dict[str, str]]:
    """The variants that may be chosen, the one that ``load`` chooses first; and by name why others may not.

    Without being asked, only a variant whose measured figures are all as good as those of the usual one may take its
    place: speed is not bought with exactness.

    Args:
        bundle: an opened bundle.
        asked: names of variants that may be chosen besides it, whatever it is; ``all`` for every certified one.

    Raises:
        UsageError: a variant that was asked for may not be chosen.
        BundleError: there is none of this name.
    """
    usual, everything = bundle.variant(), ALL in asked
    certificates = bundle.read_json(CERTIFICATE)["variants"] if CERTIFICATE in bundle.manifest.files else {}
    named = {bundle.variant(name).name for name in asked if name != ALL}
    allowed, left_out = [usual], {}
    for variant in bundle.manifest.variants.values():
        considered = variant.language == usual.language and (everything or not asked)
        if variant.name == usual.name or not (considered or variant.name in named):
            continue
        reason = _objection(variant, usual, certificates)
        if reason is None and not asked:
            reason = _less_exact(certificates, variant.name, usual.name)
        if reason is None:
            allowed.append(variant)
        elif variant.name in named:
            raise UsageError(f"{bundle.folder}: {variant.name} may not be chosen, it is {reason}")
        else:
            left_out[variant.name] = reason
    return allowed, left_out


def _objection(variant: Variant, usual: Variant, certificates: Mapping[str, Any]) -> str | None:
    """Why a variant that is not the usual one may not be chosen at all."""
    if variant.language != usual.language:
        return "for another language"
    if variant.operators == "gpu":
        return "made for GPUs"
    if not certificates.get(variant.name, {}).get("passed", False):
        return "not certified"
    if int8_saturation_warning(variant):
        return "made for processors with VNNI, and saturates on this one"
    return None


def _less_exact(certificates: Mapping[str, Any], name: str, usual: str) -> str | None:
    """Whether the certificate has a figure that is worse than that of the usual variant."""
    figures, yardstick = (certificates.get(each, {}).get("measured", {}) for each in (name, usual))
    if yardstick and all(figures.get(figure, inf) <= value for figure, value in yardstick.items()):
        return None
    return f"less exact than {usual} by its certificate; --variants {ALL} lets it be chosen"


def usual_settings(bundle: Bundle, aim: str) -> RunSettings:
    """What ``load`` and ``Engine.map`` do by themselves."""
    workers = WORKERS if aim == "throughput" else None
    return RunSettings(variant=bundle.variant().name, threads=physical_cores(), workers=workers)


def processors() -> int:
    """Logical cores that this process may run on, a container's quota respected."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else min(allowed, ceil(quota))


def thread_counts(cores: int, logical: int) -> list[int]:
    """1, 2, 4, ..., the cores, and where cores run two threads each those."""
    powers = (1 << bits for bits in range(cores.bit_length()))
    return sorted({1, cores, max(cores, logical), *(each for each in powers if each < cores)})


def settings_to_try(
    variants: Iterable[Variant], usual: RunSettings, *, cores: int, logical: int
) -> tuple[RunSettings, ...]:
    """All combinations that can make a difference, the usual one first, and then the more alike the earlier.

    One thread has no other that could spin for it, so that this is no choice. Workers are as many as have a core for
    each of their threads, and at least the usual number.
    """
    many = usual.workers is not None
    found = {usual}
    for variant in variants:
        for threads in thread_counts(cores, logical):
            for spinning in (False, True)[: min(threads, 2)]:
                for arena in (True, False):
                    alone = RunSettings(variant=variant.name, threads=threads, spinning=spinning, arena=arena)
                    found |= set(_at_once(alone, variant, cores, logical)) if many else {alone}
    return tuple(sorted(found, key=lambda each: (each.distance(usual), _order(each, usual))))


def _at_once(alone: RunSettings, variant: Variant, cores: int, logical: int) -> Iterator[RunSettings]:
    """The same settings for many clips at a time: with several workers, or in batches."""
    options = vars(alone)
    for workers in {max(WORKERS, each // alone.threads) for each in (cores, logical)}:
        yield RunSettings(**{**options, "workers": workers})
    if variant.batched and alone.threads >= cores:
        yield from (RunSettings(**{**options, "workers": WORKERS, "batch_size": batch}) for batch in BATCHES)


def _order(settings: RunSettings, usual: RunSettings) -> tuple[Any, ...]:
    """Among settings that are as far from the usual ones, those first that mostly bring more: other threads."""
    others = [getattr(settings, name) != getattr(usual, name) for name in ("variant", "arena", "spinning")]
    return (*others, -settings.threads, str(settings))
