"""Options that several verbs share."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.folder import CHECKPOINT_CONFIG, GPUS, GRAPHS, Bundle, is_hub_name
from wav2edge.bundle.manifest import MANIFEST, Variant
from wav2edge.cli.verbs import tell
from wav2edge.errors import AudioError, DataError, UsageError
from wav2edge.inference.engine import Engine
from wav2edge.inference.load import PROFILES, open_engine
from wav2edge.inference.sessions.cpu import int8_saturation_warning
from wav2edge.inference.sessions.device import DEVICES

if TYPE_CHECKING:
    from wav2edge.audio.segmentation import Segmentation
    from wav2edge.decoding.hypothesis import Decoder
    from wav2edge.inference.sessions.profiles.run_profile import RunProfile


def add_bundle_argument(parser: ArgumentParser, **options: Any) -> None:
    """``BUNDLE`` and, for one on the Hub, ``--revision``; ``options`` are those of the argument."""
    parser.add_argument(
        "bundle",
        metavar="BUNDLE",
        help="folder that `wav2edge export` wrote, or with the extra hub a name on the Hub, such as owner/name",
        **options,
    )
    parser.add_argument(
        "--revision", metavar="REV", help="commit, tag or branch of a bundle on the Hub (default: its main branch)"
    )


def open_bundle(options: Namespace) -> Bundle:
    """The bundle that ``add_bundle_argument`` asked for."""
    return Bundle.open(options.bundle, revision=options.revision)


def check_one_recording(name: str) -> None:
    """Raise an AudioError for a folder, where a verb takes one recording."""
    if os.path.isdir(name):
        raise AudioError(f"{name}: a folder; give one recording")


def is_checkpoint(source: str, revision: str | None) -> bool:
    """Whether a folder, or what has a name on the Hub, is a PyTorch checkpoint and not a bundle."""
    if is_hub_name(source):
        from wav2edge.bundle.hub import holds_bundle  # here: most are folders

        return not holds_bundle(source, revision)
    folder = Path(source)
    of_bundles = (MANIFEST, GRAPHS)  # one whose manifest was lost has graphs
    return (folder / CHECKPOINT_CONFIG).is_file() and not any((folder / name).exists() for name in of_bundles)


def add_engine_options(parser: ArgumentParser, *, profile: bool = False, threads: str = "physical cores") -> None:
    """``--variant``, ``--language``, ``--device``, ``--threads``, ``--gpu-memory`` and, where wanted, ``--profile``.

    Args:
        parser: of the verb.
        profile: whether it can use a profile.
        threads: how many it takes by default, in words.
    """
    parser.add_argument(
        "--variant", metavar="NAME", help="which graph of the bundle: int8, fp32, ... (default: its own; on a GPU fp16)"
    )
    parser.add_argument(
        "--language", metavar="CODE", help="of a bundle in several languages, such as swh (default: its first)"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help=f"threads per clip (default: {threads})")
    parser.add_argument(
        "--gpu-memory", type=float, metavar="GB", help="most memory to take with --device cuda (default: what there is)"
    )
    if profile:
        parser.add_argument(
            "--profile",
            choices=PROFILES,
            help="settings that `wav2edge tune` found best on this machine: the last ones, if there are any, or those"
            " for one aim; other options win over them (default: none)",
        )


def add_decoder_options(parser: ArgumentParser) -> None:
    """How logits become an answer: ``--greedy``, ``--phrases``, or ``--beam`` with its options; and ``--reject``."""
    parser.add_argument(
        "--greedy", action="store_true", help="take the best token of each frame where the bundle has its own decoder"
    )
    parser.add_argument(
        "--phrases", type=Path, metavar="FILE", help="recognise only these phrases, one per line (a closed grammar)"
    )
    parser.add_argument(
        "--least-fit",
        type=float,
        metavar="FIT",
        help="with --phrases: reject what none of them fits this well, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--beam",
        type=int,
        metavar="N",
        help="prefix beam search over N prefixes, from 1 to 10000; more than 1000 hardly ever find more (default: the"
        " bundle's decoder, or the best path)",
    )
    parser.add_argument(
        "--hotword",
        action="append",
        default=[],
        metavar="PHRASE=WEIGHT",
        help="make a phrase likelier by this natural-log weight, such as 'fu dan=3'; may be repeated; implies"
        " --beam 16",
    )
    parser.add_argument(
        "--lm", type=Path, metavar="FILE", help="n-gram language model of words in ARPA form; implies --beam 16"
    )
    parser.add_argument("--lm-weight", type=float, metavar="W", help="weight of --lm (default: 0.5)")
    parser.add_argument(
        "--word-bonus",
        type=float,
        metavar="B",
        help="word insertion bonus (natural log); implies --beam 16 (default: 0)",
    )
    parser.add_argument(
        "--reject",
        type=float,
        default=0.0,
        metavar="BELOW",
        help="reject answers, or segments of recordings, whose confidence is lower, from 0 to 1: their text is empty"
        " (default: 0)",
    )


def add_segment_options(parser: ArgumentParser) -> None:
    """How recordings are answered in segments: ``--no-segments``, ``--longest-segment`` and ``--vad``."""
    parser.add_argument(
        "--no-segments",
        dest="segments",
        action="store_const",
        const=False,
        help="answer recordings as a whole, however long they are",
    )
    parser.add_argument(
        "--longest-segment",
        type=float,
        metavar="S",
        help="answer what is longer in segments of up to so many seconds (default: the longest clip of the training,"
        " or 30)",
    )
    parser.add_argument(
        "--vad",
        metavar="NAME",
        help="what tells speech from noise: energy, silero for the installed package silero-vad, or the path of its"
        " silero_vad.onnx (default: energy)",
    )


def segmentation_from(options: Namespace, comfortable_s: float) -> Segmentation | None:
    """How the options cut recordings; None: as an engine does by itself.

    Args:
        options: those of ``add_segment_options``.
        comfortable_s: the longest segment where the options do not say.
    """
    given = [f"--{name.replace('_', '-')}" for name in ("longest_segment", "vad") if getattr(options, name) is not None]
    if not given:
        return None
    if options.segments is False:
        raise UsageError(f"{given[0]} is for segments; leave it out, or --no-segments")
    from wav2edge.audio.segmentation import ENERGY, Segmentation, detector_of  # here: most runs need none of it

    longest_s = comfortable_s if options.longest_segment is None else options.longest_segment
    segmentation = Segmentation(longest_s=longest_s, vad=options.vad or ENERGY)
    detector_of(segmentation.vad)  # now: what is missing would otherwise be the fault of every long clip
    return segmentation


def engine_from(options: Namespace, bundle: Bundle | None = None) -> Engine:
    """The engine that the shared options describe, of a bundle that is open, or is opened here."""
    bundle = bundle or open_bundle(options)
    engine = open_engine(
        bundle,
        variant=options.variant,
        language=options.language,
        decoder=decoder_from(options) if hasattr(options, "phrases") else None,
        profile=_profile(options, bundle),
        device=options.device,
        threads=options.threads,
        memory_gb=gpu_memory_from(options),
    )
    engine.reject_below = getattr(options, "reject", 0.0)
    return engine


def gpu_memory_from(options: Namespace) -> float | None:
    """``--gpu-memory``, in 10^9 bytes; a UsageError where it would limit nothing."""
    if options.gpu_memory is not None and options.device not in (*GPUS, "auto"):
        raise UsageError(f"--gpu-memory is for --device cuda; leave it out for {options.device}")
    memory_gb: float | None = options.gpu_memory
    return memory_gb


def _profile(options: Namespace, bundle: Bundle) -> RunProfile | None:
    """The profile that was asked for; one line where there is none."""
    if getattr(options, "profile", None) is None:
        return None
    from wav2edge.inference.sessions.profiles.profile_cache import find_profile  # here: most runs have none

    found, reason = find_profile(bundle, options.profile, device=options.device)
    if reason is not None:
        tell(reason)
    return found


def decoder_from(options: Namespace) -> Decoder | None:
    """The decoder that the options describe; None: that of the bundle.

    Raises:
        UsageError: the options do not go together, or have a value they cannot have, or name a file that is not there.
        DataError: a file holds something else.
    """
    numbers = {"width": options.beam, "lm_weight": options.lm_weight, "word_bonus": options.word_bonus}
    given = {name: value for name, value in numbers.items() if value is not None}
    searches = options.hotword or options.lm is not None or given
    if options.greedy:
        if searches or options.phrases is not None:
            raise UsageError("--greedy needs no --phrases, and no --beam, --hotword, --lm and their weights")
        from wav2edge.decoding.hypothesis import Greedy

        return Greedy()
    if options.phrases is not None:
        if searches:
            raise UsageError("--phrases needs no beam search; leave out --beam, --hotword, --lm and their weights")
        from wav2edge.decoding.grammar import Grammar  # here: most runs need none of it

        lines = map(str.strip, read_text("--phrases", options.phrases).splitlines())
        return Grammar(list(filter(None, lines)), least_fit=options.least_fit or 0.0)
    if options.least_fit is not None:
        raise UsageError("--least-fit needs --phrases FILE")
    if not searches:
        return None
    if options.lm is not None:
        check_readable("--lm", options.lm)
    elif options.lm_weight is not None:
        raise UsageError("--lm-weight needs --lm FILE")
    from wav2edge.decoding.beam import Beam

    return Beam(hotwords=dict(map(_hotword, options.hotword)), lm=options.lm, **given)


def _hotword(text: str) -> tuple[str, float]:
    phrase, _, weight = text.rpartition("=")
    try:
        return phrase, float(weight)
    except ValueError:
        raise UsageError(f"--hotword {text!r}: give PHRASE=WEIGHT, such as 'fu dan=3'") from None


def check_readable(option: str, path: Path) -> None:
    """Raise a UsageError for the file of an option that cannot be read; what is wrong inside of it is a DataError."""
    faults = {
        "no such file": not os.path.exists(path),
        "a folder, not a file": os.path.isdir(path),
        "it may not be read": not os.access(path, os.R_OK),
    }
    if fault := next((fault for fault, found in faults.items() if found), None):
        raise UsageError(f"{option} {path}: {fault}; check the path")


def read_text(option: str, path: Path) -> str:
    """The text file of an option.

    Raises:
        UsageError: it cannot be read.
        DataError: it is not text.
    """
    check_readable(option, path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save the text again as UTF-8") from None


def tell_int8_saturation(variants: Iterable[Variant], device: str = "cpu") -> None:
    """One line on standard error for each graph with int8 MatMuls that saturate on this processor."""
    for variant in variants:
        if message := int8_saturation_warning(variant, device):
            tell(message)
