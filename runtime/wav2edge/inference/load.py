"""``wav2edge.load``: from a bundle to an engine."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Unpack

from wav2edge.bundle.folder import Bundle
from wav2edge.errors import UsageError
from wav2edge.inference.engine import Engine
from wav2edge.inference.sessions.device import Placement

if TYPE_CHECKING:
    from wav2edge.decoding.hypothesis import Decoder
    from wav2edge.inference.sessions.profiles.run_profile import RunProfile

PROFILES = ("auto", "latency", "throughput", "energy")
"""What can be asked for: the profile that was made last, or that for an aim."""


def load(
    bundle: str | PathLike[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    variant: str | None = None,
    spinning: bool | None = None,
    arena: bool | None = None,
    profile: str | None = None,
    memory_gb: float | None = None,
    decoder: Decoder | None = None,
    language: str | None = None,
    revision: str | None = None,
) -> Engine:
    """Open a bundle and make an engine of it.

    >>> engine = wav2edge.load("bundle")
    >>> engine("clip.wav").text

    Args:
        bundle: the folder that ``wav2edge export`` wrote, or where ``huggingface_hub`` is installed a name on the Hub,
            such as ``owner/name``, of which only the files of the chosen variant are fetched.
        device: ``cpu``, ``cuda``, ``tensorrt``, ``openvino``, ``coreml``, ``directml``, ``xnnpack``, ``qnn``, ``auto``.
        threads: threads per call; the physical cores where None.
        variant: a precision of the bundle, such as ``int8`` or ``fp32``; where None, the bundle's default, or on a GPU
            ``fp16`` or ``fp32``.
        spinning: let idle threads spin between calls; they sleep where None.
        arena: keep the memory of a call for the next one, as where None; off, an idle engine takes less of it.
        profile: what ``wav2edge tune`` found best for this bundle on this machine, for ``latency``, ``throughput`` or
            ``energy``; ``auto`` is the profile made last, or the defaults where there is none. It fills in what
            is None here, ``engine.workers`` and ``engine.batch_size``; ``engine.profile`` is its aim.
        memory_gb: most memory to take on a CUDA GPU, in 10^9 bytes; what there is where None.
        decoder: ``Beam``, ``Grammar`` or ``Greedy``; where None the bundle's own, else the best token of each frame.
        language: of a bundle in several languages, such as ``swh``; where None the bundle's first.
        revision: a branch, a tag or, best, a commit on the Hub; the main branch where None.

    Raises:
        BundleError: the bundle is missing, damaged, or newer than this version, or cannot be fetched.
        DeviceError: the device is not available here, or the variant is for other devices.
        UsageError: there is no profile for the aim that was named, or the decoder is none.
        MissingDependencyError: ONNX Runtime is not installed, or for a name on the Hub ``huggingface_hub`` is not.
    """
    placement: Placement = {"device": device, "threads": threads, "spinning": spinning, "arena": arena}
    opened, kept = Bundle.open(bundle, revision=revision), None
    if profile is not None:
        from wav2edge.inference.sessions.profiles.profile_cache import find_profile  # here: most programs have none

        kept, _ = find_profile(opened, profile, device=device)
    placement["memory_gb"] = memory_gb
    return open_engine(opened, variant=variant, language=language, decoder=decoder, profile=kept, **placement)


def open_engine(
    bundle: Bundle,
    *,
    variant: str | None = None,
    language: str | None = None,
    decoder: Decoder | None = None,
    profile: RunProfile | None = None,
    **placement: Unpack[Placement],
) -> Engine:
    """An engine of a bundle that is open; the arguments are those of ``load``, with the profile that was found."""
    if decoder is not None and not hasattr(decoder, "decode"):
        raise UsageError(f"decoder is {decoder!r}; give a Beam, Grammar or Greedy, such as decoder=wav2edge.Greedy()")
    if profile is not None:
        variant, placement = variant or profile.settings.variant, profile.settings.complete(placement)
    if language is not None:
        variant = bundle.variant(variant, device=placement.get("device", "cpu"), language=language).name
    engine = Engine.from_bundle(bundle, variant=variant, decoder=decoder, **placement)
    if profile is not None:
        engine.profile = profile.aim
        profile.settings.apply(engine)
    return engine
