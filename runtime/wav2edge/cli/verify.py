"""``wav2edge verify``: hashes, golden outputs and certificates of a bundle, on the device it runs on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from wav2edge.bundle import Bundle
from wav2edge.cli.command import Command
from wav2edge.cli.options import strict_json, tell_misfits
from wav2edge.device import DEVICES
from wav2edge.errors import BundleError
from wav2edge.verification import verify


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="folder that `wav2edge export` wrote")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of one answer (default: physical cores)")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def _run(options: Namespace) -> int:
    bundle = Bundle.open(options.bundle)
    checks = list(verify(bundle, device=options.device, threads=options.threads))
    if options.json:
        print(strict_json([vars(check) for check in checks]))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:{width}}  {check.detail}")
    tell_misfits(bundle.manifest.variants.values(), options.device)
    failed = [check.name for check in checks if not check.passed]
    if failed:
        raise BundleError(f"{options.bundle}: {len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
    return 0


COMMAND = Command(
    name="verify",
    summary="prove that a bundle is whole and answers here as it did where it was made",
    add_arguments=_add_arguments,
    run=_run,
    examples="  wav2edge verify bundle\n  wav2edge verify bundle --device cuda --json",
)
