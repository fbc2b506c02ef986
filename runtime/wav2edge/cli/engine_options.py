"""Options that several verbs share."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.folder import CHECKPOINT_CONFIG, GRAPHS, Bundle, is_hub_name
from wav2edge.bundle.manifest import MANIFEST, Variant
from wav2edge.cli.verbs import tell
from wav2edge.errors import UsageError
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


def is_checkpoint(source: str, revision: str | None) -> bool:
    """Whether a folder, or what has a name on the Hub, is a PyTorch checkpoint and not a bundle."""
    if is_hub_name(source):
        from wav2edge.bundle.hub import holds_bundle  # here: most are folders

        return not holds_bundle(source, revision)
    folder = Path(source)
    of_bundles = (MANIFEST, GRAPHS)  # one whose manifest was lost has graphs
    return (folder / CHECKPOINT_CONFIG).is_file() and not any((folder / name).exists() for name in of_bundles)


def add_engine_options(parser: ArgumentParser, *, profile: bool = False) -> None:
    """``--variant``, ``--language``, ``--device``, ``--threads``, ``--gpu-memory`` and, where wanted, ``--profile``."""
    parser.add_argument(
        "--variant", metavar="NAME", help="which graph of the bundle: int8, fp32, ... (default: its own; on a GPU fp16)"
    )
    parser.add_argument(
        "--language", metavar="CODE", help="of a bundle in several languages, such as swh (default: its first)"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads per clip (default: physical cores)")
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
        help="prefix beam search over N prefixes (default: the bundle's decoder, or the best path)",
    )
    parser.add_argument(
        "--hotword",
        action="append",
        default=[],
        metavar="PHRASE=WEIGHT",
        help="make a phrase likelier by this natural-log weight, such as 'fu dan=3'; may be repeated; searches a beam",
    )
    parser.add_argument("--lm", type=Path, metavar="FILE", help="n-gram model of words in ARPA form; searches a beam")
    parser.add_argument("--lm-weight", type=float, metavar="W", help="weight of --lm (default: 0.5)")
    parser.add_argument("--word-bonus", type=float, metavar="B", help="natural-log score of each word (default: 0)")
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
    if options.longest_segment is None and options.vad is None:
        return None
    from wav2edge.audio.segmentation import ENERGY, Segmentation  # here: most runs need none of it

    longest_s = comfortable_s if options.longest_segment is None else options.longest_segment
    return Segmentation(longest_s=longest_s, vad=options.vad or ENERGY)


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
        memory_gb=options.gpu_memory,
    )
    engine.reject_below = getattr(options, "reject", 0.0)
    return engine


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
        UsageError: the options do not go together, or have a value they cannot have.
        DataError: a file cannot be read.
    """
    weights = {"lm_weight": options.lm_weight, "word_bonus": options.word_bonus}
    given = {name: value for name, value in weights.items() if value is not None}
    searches = options.beam is not None or options.hotword or options.lm is not None or given
    if options.greedy:
        if searches or options.phrases is not None:
            raise UsageError("--greedy needs no --phrases, and no --beam, --hotword, --lm and their weights")
        from wav2edge.decoding.hypothesis import Greedy

        return Greedy()
    if options.phrases is not None:
        if searches:
            raise UsageError("--phrases needs no beam search; leave out --beam, --hotword, --lm and their weights")
        from wav2edge.decoding.grammar import Grammar  # here: most runs need none of it

        return Grammar(_lines(options.phrases), least_fit=options.least_fit or 0.0)
    if options.least_fit is not None:
        raise UsageError("--least-fit needs --phrases FILE")
    if not searches:
        return None
    from wav2edge.decoding.beam import Beam

    hotwords = dict(map(_hotword, options.hotword))
    return Beam(hotwords=hotwords, lm=options.lm, **given, **({"width": options.beam} if options.beam else {}))


def _hotword(text: str) -> tuple[str, float]:
    phrase, _, weight = text.rpartition("=")
    try:
        return phrase, float(weight)
    except ValueError:
        raise UsageError(f"--hotword {text!r}: give PHRASE=WEIGHT, such as 'fu dan=3'") from None


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}; give a text file, UTF-8") from None


def tell_int8_saturation(variants: Iterable[Variant], device: str = "cpu") -> None:
    """One line on standard error for each graph with int8 MatMuls that saturate on this processor."""
    for variant in variants:
        if message := int8_saturation_warning(variant, device):
            tell(message)
