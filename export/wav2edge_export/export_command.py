"""``wav2edge export``: a checkpoint to a certified bundle."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.cli.verbs import Command
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.cpu import NATIVE, TARGETS
from wav2edge_export.export_options import FORMATS, LAYOUTS, ONNX_ASR, OPERATORS, PREFERENCES, ExportOptions
from wav2edge_export.quantization.recipes import RECIPES

if TYPE_CHECKING:
    from wav2edge_export.bundle.hub_upload import HubTarget
    from wav2edge_export.exporting import Export


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a transformers checkpoint: local folder or Hub name")
    parser.add_argument("--output", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    _add_graph_arguments(parser)
    parser.add_argument("--data", type=Path, metavar="DATA", help="data set to certify the variants on")
    parser.add_argument("--split", metavar="NAME", help="which rows of it (default: test, else validation, else all)")
    parser.add_argument("--max-clips", type=int, metavar="N", help="use the first N of them")
    parser.add_argument(
        "--longest-clip",
        type=float,
        metavar="S",
        help="longest clip that the checkpoint was trained on, in seconds: longer recordings are answered in segments"
        " (default: what `wav2edge train` has written into its config)",
    )
    parser.add_argument(
        "--decoder",
        type=Path,
        metavar="FILE",
        help='JSON file with the decoder that the bundle is to decode with by default, such as {"beam": {"width": 16,'
        ' "lm": "words.arpa"}} or {"grammar": {"phrases": ["yes", "no"]}} (default: the best token of each frame)',
    )
    parser.add_argument(
        "--language",
        metavar="CODE[,CODE...]",
        help="of a checkpoint with an adapter per language: which ones, the default first; with several, --data holds a"
        " data set per language, in a folder of its name (default: that of its weights)",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default=next(iter(LAYOUTS)),
        help="; ".join(f"{name}: {summary}" for name, summary in LAYOUTS.items()) + " (default: %(default)s)",
    )
    _add_hub_arguments(parser)
    _add_stream_arguments(parser)


def _add_graph_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        metavar="LIST",
        help="one or more with commas, the bundle's default first (default: int8; fp32 with --batched, fp16 with"
        " --operators gpu). " + "; ".join(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items()),
    )
    parser.add_argument(
        "--target",
        default=NATIVE,
        metavar="KIND",
        help=f"the processors that int8 MatMuls are made for (default: {NATIVE}, this one). "
        + "; ".join(f"{name}: {target.summary}" for name, target in TARGETS.items()),
    )
    parser.add_argument(
        "--prefer",
        default=next(iter(PREFERENCES)),
        metavar="KIND",
        help="which mixture within its budget auto takes (default: %(default)s). "
        + "; ".join(f"{name}: {summary}" for name, summary in PREFERENCES.items()).replace("%", "%%"),
    )
    parser.add_argument(
        "--logit-error",
        type=float,
        metavar="SHARE",
        help="largest error of the logits of int8, int4 and fp16, as a share of the largest logit: more of the model is"
        " left in floating point until it is kept (default: the budget of the precision)",
    )
    parser.add_argument(
        "--operators",
        default=next(iter(OPERATORS)),
        metavar="KIND",
        help="; ".join(f"{name}: {summary}" for name, summary in OPERATORS.items()),
    )
    parser.add_argument(
        "--format",
        default=next(iter(FORMATS)),
        metavar="KIND",
        help="; ".join(f"{name}: {summary}" for name, summary in FORMATS.items()),
    )
    parser.add_argument(
        "--batched",
        action="store_true",
        help="graphs that take padded batches and a mask, for GPUs: each clip gets the logits it would get alone, "
        "within float rounding",
    )


def _add_hub_arguments(parser: ArgumentParser) -> None:
    hub = parser.add_argument_group("the Hugging Face Hub, after `hf auth login`")
    hub.add_argument(
        "--push-to-hub",
        metavar="NAME",
        help="also upload the bundle with its card, in one commit, to this repository: owner/name; a repository that"
        " holds anything but a bundle is refused",
    )
    hub.add_argument("--revision", metavar="BRANCH", help="the branch to upload to (default: the main branch)")
    hub.add_argument(
        "--public", action="store_true", help="let everyone see a repository that is made for it (default: private)"
    )


def _add_stream_arguments(parser: ArgumentParser) -> None:
    streams = parser.add_argument_group("streams, of a checkpoint that was trained with --streaming")
    streams.add_argument(
        "--stream",
        metavar="MS",
        help="also write graphs of streams that compute nothing twice, for chunks of so many milliseconds, one or more"
        " with commas, the default first: 160,320",
    )
    streams.add_argument(
        "--left-context",
        type=float,
        metavar="S",
        help="sound before a chunk that it attends to, in seconds (default: 1.28)",
    )
    streams.add_argument(
        "--look-ahead",
        type=int,
        metavar="MS",
        help="sound after a chunk that it is computed with; answers come so much later, and each chunk costs so much"
        " more (default: 0)",
    )


def _precisions(options: Namespace) -> tuple[str, ...]:
    """What is asked for, or what the graphs are best in."""
    for_batches = "fp32" if options.batched else "int8"
    return tuple((options.precision or ("fp16" if options.operators == "gpu" else for_batches)).split(","))


def _streams(options: Namespace) -> dict[str, Any]:
    """What is said of streams, as fields of ``ExportOptions``."""
    given = {"left_context_s": options.left_context, "look_ahead_ms": options.look_ahead}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options.stream is None:
        if found:
            raise UsageError("--left-context and --look-ahead are for streams; give --stream MS")
        return {}
    try:
        return {"stream_ms": tuple(int(part) for part in options.stream.split(",")), **found}
    except ValueError:
        raise UsageError(f"--stream {options.stream!r}: give milliseconds with commas, such as 160,320") from None


def _hub_target(options: Namespace) -> HubTarget | None:
    """Where the bundle is to be uploaded; what an upload would fail at is refused before the export."""
    if options.push_to_hub is None:
        if options.revision is not None or options.public:
            raise UsageError("--revision and --public are for uploads; give --push-to-hub NAME")
        return None
    if options.layout == ONNX_ASR:
        raise UsageError(f"--push-to-hub uploads bundles; leave it or --layout {ONNX_ASR} out")
    from wav2edge_export.bundle.hub_upload import HubTarget, check_target  # here: most exports stay here

    target = HubTarget(name=options.push_to_hub, revision=options.revision, public=options.public)
    check_target(target)
    return target


def _push(export: Export, target: HubTarget) -> None:
    from wav2edge_export.bundle.hub_upload import push

    _log(f"uploading to {target.name}")
    commit = push(export.bundle, target)
    _log(f"uploaded: wav2edge run {target.name} --revision {commit} clip.wav")


def _log(line: str) -> None:
    print(f"wav2edge: {line}", file=sys.stderr, flush=True)


def _languages(options: Namespace) -> tuple[str, ...]:
    return () if options.language is None else tuple(options.language.split(","))


def _exporter(options: Namespace) -> Callable[..., Export]:
    """What makes the bundle; imported here, so that --help does not wait for PyTorch."""
    if options.layout == ONNX_ASR:
        from wav2edge_export.interchange.onnx_asr_layout import export_for_onnx_asr

        return export_for_onnx_asr
    if len(_languages(options)) > 1:
        from wav2edge_export.bundle.joined_languages import export_languages

        return export_languages
    from wav2edge_export.exporting import export_bundle

    return export_bundle


def _run(options: Namespace) -> int:
    target = _hub_target(options)
    export = _exporter(options)(_wanted(options), log=_log)
    if options.layout == ONNX_ASR:
        _print_layout(export, options.output)
    else:
        _print_bundle(export)
    for certificate in export.refused:
        _log(f"{certificate.precision} refused, not written: {'; '.join(certificate.violations)}")
    if target is not None:
        _push(export, target)
    return 1 if export.refused else 0


def _wanted(options: Namespace) -> ExportOptions:
    wanted = ExportOptions(
        checkpoint=options.checkpoint,
        output=options.output,
        precisions=_precisions(options),
        operators=options.operators,
        target=options.target,
        prefer=options.prefer,
        logit_error=options.logit_error,
        graph_format=options.format,
        batched=options.batched,
        data=options.data,
        split=options.split,
        max_clips=options.max_clips,
        longest_clip_s=options.longest_clip,
        decoder=options.decoder,
        languages=_languages(options),
        **_streams(options),
    )
    of_bundles = {"--format ort": wanted.ort_precisions, "--stream": wanted.stream_ms, "--decoder": wanted.decoder}
    of_bundles["several languages"] = wanted.languages[1:]
    if options.layout == ONNX_ASR and (given := [name for name, value in of_bundles.items() if value]):
        raise UsageError(f"--layout {ONNX_ASR} cannot have {', '.join(given)}; leave it out, or write a bundle")
    return wanted


def _print_layout(export: Export, folder: Path) -> None:
    from wav2edge_export.interchange.onnx_asr_layout import layout_file

    for variant in export.bundle.manifest.variants.values():
        path = folder / layout_file(variant)
        print(f"{variant.precision}\t{path.stat().st_size / 1e6:.2f} MB\t{path}")


def _print_bundle(export: Export) -> None:
    manifest = export.bundle.manifest
    for certificate in export.certificates:
        file = manifest.variants[certificate.precision].file
        print(f"{certificate.precision}\t{manifest.files[file].size_bytes / 1e6:.2f} MB\t{export.bundle.folder / file}")
    for precision, path in (manifest.stream.files if manifest.stream else {}).items():
        print(f"{precision} stream\t{manifest.files[path].size_bytes / 1e6:.2f} MB\t{export.bundle.folder / path}")


COMMAND = Command(
    name="export",
    summary="export a checkpoint through Optimum to a quantised bundle, and certify that it agrees with the original",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge export checkpoint/ --output bundle
  wav2edge export checkpoint/ --output bundle --precision int8,fp32 --data data/
  wav2edge export checkpoint/ --output bundle --precision auto,int8 --data data/ --target avx2
  wav2edge export checkpoint/ --output bundle --precision fp16 --batched
  wav2edge export checkpoint/ --output bundle --format ort
  wav2edge export checkpoint/ --output bundle --push-to-hub owner/name
  wav2edge export checkpoint/ --output folder --layout onnx-asr
  wav2edge export checkpoint/ --output bundle --language swh,eng
  wav2edge export facebook/wav2vec2-base-960h --output bundle --operators standard""",
)
