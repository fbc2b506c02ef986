"""``wav2edge tune``: the settings that a bundle runs best with on this machine, kept for ``--profile``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from wav2edge.bundle.folder import Bundle
from wav2edge.cli.engine_options import add_bundle_argument, open_bundle, tell_int8_saturation
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import UsageError
from wav2edge.evaluation.benchmark.tuning.choices import ALL
from wav2edge.evaluation.benchmark.tuning.tuning import CLIP_S, LIMIT_S, TuningPlan, TuningReport, tune
from wav2edge.inference.sessions.profiles.profile_cache import VARIABLE, KeptProfiles
from wav2edge.inference.sessions.profiles.run_profile import AIMS
from wav2edge.output.documents import json_for


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    aims = "; ".join(f"{name}: {meaning}" for name, meaning in AIMS.items())
    parser.add_argument("--for", dest="aim", choices=tuple(AIMS), default="latency", help=f"{aims} (default: latency)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help=f"length of the clips, on average (default: {CLIP_S:g})"
    )
    parser.add_argument(
        "--limit", type=float, default=LIMIT_S, metavar="S", help=f"most seconds to take (default: {LIMIT_S:g})"
    )
    parser.add_argument(
        "--variants",
        metavar="NAME[,NAME...]",
        help=f"let these be chosen, too, or with {ALL} every certified one (default: the bundle's own, and what is no"
        " less exact by its certificate)",
    )
    parser.add_argument("--json", action="store_true", help="print all that was tried as JSON")
    parser.add_argument("--forget", action="store_true", help="remove what was kept of this bundle, and tune nothing")


def _run(options: Namespace) -> int:
    plan = TuningPlan(
        aim=options.aim,
        clip_s=options.seconds,
        limit_s=options.limit,
        variants=tuple(filter(None, (options.variants or "").split(","))),
    )
    bundle = open_bundle(options)
    kept = KeptProfiles.of(bundle)
    if options.forget:
        return _forget(kept, options)
    if kept.fault is not None:
        tell(f"{kept.fault}, and is written anew")
    report = tune(bundle, plan)
    tell_int8_saturation([bundle.variant(report.profile.settings.variant)])
    if report.uneven:
        tell("times went up and down while measuring: other programs were running; tune again when they are not")
    where = _keep(report, bundle, options)
    facts: dict[str, Any] = {**report.to_dict(), "kept_in": where}
    print(json_for(sys.stdout, facts) if options.json else report.table())
    return 0 if where is not None else 1


def _keep(report: TuningReport, bundle: Bundle, options: Namespace) -> str | None:
    """Where it is kept now; None where it cannot be."""
    kept = KeptProfiles.of(bundle)  # again: another tuning may have ended meanwhile
    try:
        kept.keep(report.profile, bundle)
    except OSError as error:
        tell(f"{kept.path}: {error.strerror}, so the profile is not kept; set {VARIABLE} to a folder that is writable")
        return None
    tell(f"kept in {kept.path}; use it with --profile auto, or wav2edge.load({options.bundle!r}, profile='auto')")
    return str(kept.path)


def _forget(kept: KeptProfiles, options: Namespace) -> int:
    if options.json:
        raise UsageError("--forget prints nothing; leave out --json")
    try:
        tell(f"removed {kept.path}" if kept.forget() else f"nothing was kept of {options.bundle}")
    except OSError as error:
        tell(f"{kept.path}: {error.strerror}; remove it by hand, or set {VARIABLE} to another folder")
        return 1
    return 0


COMMAND = Command(
    name="tune",
    summary="find the settings that a bundle runs best with on this machine, within seconds",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge tune bundle
  wav2edge tune bundle --for throughput --seconds 3
  wav2edge tune bundle --for energy --variants int4,fp32 --json
  wav2edge tune bundle --forget
  wav2edge run bundle clip.wav --profile auto""",
)
