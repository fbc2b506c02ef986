"""``wav2edge inspect``: the description of a bundle, without opening a graph, or of a checkpoint."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any

from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.cli.engine_options import add_bundle_argument, is_checkpoint, open_bundle, tell_int8_saturation
from wav2edge.cli.verbs import Command
from wav2edge.errors import MissingDependencyError
from wav2edge.inference.sessions.profiles.profile_cache import KeptProfiles
from wav2edge.inference.sessions.profiles.run_profile import AIMS, RunProfile
from wav2edge.output.documents import json_for

DESCRIPTIONS = "wav2edge_train.checkpoint.description"
"""The module that describes a PyTorch checkpoint; imported by name, because it needs the extra ``train``."""
SPEED_CLASSES = ((0.3e9, "tiny"), (2e9, "small"), (10e9, "medium"))
"""Names of model sizes, each with its limit of multiply-accumulates per second of audio; wav2vec2-base is medium."""
LARGEST_CLASS = "large"
SHOWN = ("passed", "summary", "certified_up_to_s", "measured", "intervals")
"""Keys of a certificate that are shown."""


def speed_class(macs_per_s: int) -> str:
    """The name of a model's size, by its multiply-accumulates per second of audio."""
    return next((name for limit, name in SPEED_CLASSES if macs_per_s < limit), LARGEST_CLASS)


def _describe(bundle: Bundle) -> dict[str, Any]:
    manifest, heads = bundle.manifest, bundle.manifest.heads
    certificates = bundle.read_json(CERTIFICATE)["variants"] if CERTIFICATE in manifest.files else {}
    return {
        "name": manifest.name,
        "model_type": manifest.model_type,
        "heads": list(heads.names),
        "labels": list(heads.labels) or None,
        "vocabulary": list(heads.ctc.vocabulary) if heads.ctc else None,
        "embedding_size": heads.embedding.size if heads.embedding else None,
        "languages": list(bundle.languages),
        "parameters": manifest.parameters,
        "macs_per_s": manifest.macs_per_s,
        "speed_class": speed_class(manifest.macs_per_s),
        "frame_ms": manifest.geometry.frame_s * 1e3,
        "shortest_clip_ms": manifest.geometry.shortest(heads.fewest_frames) / manifest.geometry.rate_hz * 1e3,
        "default_variant": manifest.default_variant,
        "variants": {
            name: {
                "file": variant.file,
                "operators": variant.operators,
                "target": variant.target,
                "batched": variant.batched,
                "language": variant.language,
                "vocabulary": list(variant.heads.ctc.vocabulary) if variant.heads and variant.heads.ctc else None,
                "size_bytes": manifest.files[variant.file].size_bytes,
                "certificate": _verdict(certificates.get(name)),
            }
            for name, variant in manifest.variants.items()
        },
        "stream": _stream(bundle),
        "certified_up_to_s": manifest.certified_up_to_s,
        "manifest_sha256": bundle.manifest_sha256(),
        **_tuned(bundle),
        "made_with": dict(manifest.made_with),
    }


def _stream(bundle: Bundle) -> dict[str, Any] | None:
    """Of cached streams: how sound is cut, in milliseconds, and the size of each graph."""
    manifest = bundle.manifest
    if manifest.stream is None:
        return None
    frame_ms, stream = manifest.geometry.frame_s * 1e3, manifest.stream
    return {
        "chunk_ms": [round(frames * frame_ms) for frames in stream.chunk_frames],
        "left_ms": round(stream.left_frames * frame_ms),
        "look_ahead_ms": round(stream.look_ahead_frames * frame_ms),
        "delay_ms": round(stream.delay_frames * frame_ms),
        "files": {
            name: {"file": file, "size_bytes": manifest.files[file].size_bytes} for name, file in stream.files.items()
        },
    }


def _tuned(bundle: Bundle) -> dict[str, Any]:
    """The profiles that ``wav2edge tune`` made of it here, the last one last, and why others are not used."""
    kept = KeptProfiles.of(bundle)
    found = [profile for aim in AIMS if (profile := kept.here(aim)) is not None]
    unused = kept.reason() if kept.fault or (kept.profiles and not found) else None
    return {
        "profiles": [each.to_dict() for each in sorted(found, key=kept.profiles.index)],
        "profiles_unused": unused,
    }


def _verdict(certificate: dict[str, Any] | None) -> dict[str, Any] | None:
    """The verdict of a certificate, and the figures that a budget can bound."""
    if certificate is None:
        return None
    return {name: certificate[name] for name in SHOWN if name in certificate}


def _lines(facts: dict[str, Any]) -> list[str]:
    def listed(values: list[str] | None) -> str:
        return " ".join(values) if values else "-"

    lines = [
        f"name        {facts['name']}",
        f"model       {facts['model_type']}, {facts['parameters'] / 1e6:.2f} M parameters",
        f"speed       {facts['macs_per_s'] / 1e9:.2f} GMAC per second of audio ({facts['speed_class']})",
        f"heads       {listed(facts['heads'])}",
        f"labels      {listed(facts['labels'])}",
        f"vocabulary  {listed(facts['vocabulary'])}",
        f"frames      one per {facts['frame_ms']:g} ms; clips from {facts['shortest_clip_ms']:g} ms",
    ]
    if facts["languages"]:
        lines.append(f"languages   {listed(facts['languages'])}")
    if facts["certified_up_to_s"] is not None:
        lines.append(f"certified   up to {facts['certified_up_to_s']:g} s of audio")
    for name, variant in facts["variants"].items():
        notes = f"  for {variant['target']}" if variant["target"] else ""
        notes += "  batched" if variant["batched"] else ""
        notes += f"  {variant['language']}" if variant["language"] else ""
        notes += "  (default)" if name == facts["default_variant"] else ""
        lines.append(f"variant     {name:5} {variant['size_bytes'] / 1e6:8.2f} MB  {variant['file']}{notes}")
        if variant["certificate"] is not None:
            lines.append(f"            {name:5} certified: {variant['certificate']['summary']}")
    if (stream := facts["stream"]) is not None:
        lines += [
            f"stream      {name:5} {graph['size_bytes'] / 1e6:8.2f} MB  {graph['file']}"
            for name, graph in stream["files"].items()
        ]
        chunks = ", ".join(map(str, stream["chunk_ms"]))
        lines.append(
            f"            in chunks of {chunks} ms, {stream['left_ms']} ms of left context,"
            f" {stream['look_ahead_ms']} ms of look-ahead, answers {stream['delay_ms']} ms later"
        )
    lines += [f"tuned       {_profile_line(profile)}" for profile in facts["profiles"]]
    if facts["profiles_unused"] is not None:
        lines.append(f"tuned       {facts['profiles_unused']}")
    lines.append(f"manifest    SHA-256 {facts['manifest_sha256']}")
    lines.append("made with   " + ", ".join(f"{name} {version}" for name, version in facts["made_with"].items()))
    return lines


def _profile_line(document: dict[str, Any]) -> str:
    profile = RunProfile.from_dict(document)
    return (
        f"for {profile.aim}, {profile.tuned_on}: {profile.settings}; clips of {profile.clip_s:g} s take"
        f" {profile.of_defaults:.2f} of what they take with the defaults"
    )


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")


def _run(options: Namespace) -> int:
    if is_checkpoint(options.bundle, options.revision):
        return _run_on_checkpoint(options)
    bundle = open_bundle(options)
    facts = _describe(bundle)
    print(json_for(sys.stdout, facts) if options.json else "\n".join(_lines(facts)))
    tell_int8_saturation(bundle.manifest.variants.values())
    return 0


def _run_on_checkpoint(options: Namespace) -> int:
    try:
        facts: dict[str, Any] = import_module(DESCRIPTIONS).describe_checkpoint(options.bundle)
    except ImportError as error:
        raise MissingDependencyError(
            f"{options.bundle} is a PyTorch checkpoint, and {error.name or error} is not installed;"
            " run: pip install 'wav2edge[train]'"
        ) from None
    print(json_for(sys.stdout, facts) if options.json else "\n".join(_lines_of_checkpoint(facts)))
    return 0


def _lines_of_checkpoint(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"name        {facts['name']}",
        f"checkpoint  {facts['architecture']}, {facts['layers']} layers of {facts['hidden_size']}",
        f"heads       {' '.join(facts['heads'])}",
    ]
    if facts["languages"]:
        own = f", that of its weights is {facts['language']}" if facts["language"] else ""
        lines.append(f"languages   {len(facts['languages'])}{own}: {' '.join(facts['languages'])}")
    return lines


COMMAND = Command(
    name="inspect",
    summary="describe a bundle: heads, labels, size, certificates; or a checkpoint: heads, languages",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge inspect bundle
  wav2edge inspect bundle --json
  wav2edge inspect checkpoint/""",
)
