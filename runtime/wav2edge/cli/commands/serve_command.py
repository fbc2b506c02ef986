"""``wav2edge serve``: bundles behind HTTP and WebSockets."""

from __future__ import annotations

import os
import stat
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.folder import Bundle
from wav2edge.cli.engine_options import add_decoder_options, add_engine_options, engine_from
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.device import physical_cores
from wav2edge.serving.serving_options import ServingOptions, read_keys

if TYPE_CHECKING:
    from wav2edge.serving.web.device_page import DevicePage

HOST, PORT = "127.0.0.1", 8000


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        metavar="[NAME=]BUNDLE",
        nargs="+",
        help="a folder that `wav2edge export` wrote, or with the extra hub a name on the Hub; requests call it by NAME,"
        " or by that of the folder",
    )
    parser.add_argument(
        "--revision", metavar="REV", help="commit, tag or branch of bundles on the Hub (default: their main branch)"
    )
    parser.add_argument(
        "--host", default=HOST, metavar="HOST", help=f"address to listen on; 0.0.0.0 for every one (default: {HOST})"
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"0 takes a free one (default: {PORT})")
    _add_limits(parser)
    _add_rights(parser)
    add_decoder_options(parser)
    add_engine_options(parser, profile=True, threads="physical cores over --decoders")


def _add_limits(parser: ArgumentParser) -> None:
    limits = parser.add_argument_group("limits")

    def add(flag: str, kind: type, metavar: str, default: Any, says: str) -> None:
        limits.add_argument(flag, type=kind, metavar=metavar, default=default, help=f"{says} (default: {default:g})")

    usual = ServingOptions()
    add("--decoders", int, "N", usual.decoders, "clips and pieces of streams at once, each with --threads")
    add("--queue", int, "N", usual.queue, "requests that wait; more are refused with 503")
    add("--streams", int, "N", usual.streams, "streams that are open at once")
    add("--upload", float, "MB", usual.upload_mb, "largest request")
    add("--longest", float, "S", usual.longest_s, "longest recording")
    add("--timeout", float, "S", usual.timeout_s, "from an upload to its answer; an upload may take as long")
    add("--grace", float, "S", usual.grace_s, "after SIGTERM or Ctrl-C, so long what was taken is still answered")


def _add_rights(parser: ArgumentParser) -> None:
    rights = parser.add_argument_group("who may ask, and what is written down")
    rights.add_argument(
        "--api-keys", type=Path, metavar="FILE", help="keys that clients must send, one a line (default: none needed)"
    )
    rights.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin ask, such as https://app.example, or * for any; may be repeated",
    )
    rights.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name, too, such as that of a proxy; may be repeated (default: on a loopback address its"
        " own names only, otherwise to every name)",
    )
    rights.add_argument(
        "--page",
        type=Path,
        metavar="DIR",
        help="the npm package wav2edge, whose page is served at / (default: that of the checkout, if this is one)",
    )
    rights.add_argument("--no-page", action="store_true", help="serve no page, and no files of bundles")
    rights.add_argument("--log-text", action="store_true", help="write transcripts and names of files to the log")


def _run(options: Namespace) -> int:
    from wav2edge.serving.listening import serve  # here: it needs the extra, which the help does not
    from wav2edge.serving.recognising.served_models import ServedModel, named_sources

    serving, page = _serving_options(options), _page(options)
    if options.threads is None and options.profile is None:
        # With all cores for each decoder they wait for each other: a clip takes a sixth more processor time.
        options.threads = max(1, physical_cores() // serving.decoders)
    models = {}
    for name, source in named_sources(options.bundle).items():
        bundle = Bundle.open(source, revision=options.revision)
        models[name] = ServedModel(name=name, engine=engine_from(options, bundle), bundle=bundle)
        models[name].warm_up()
    return serve(models, serving, host=options.host, port=options.port, page=page, on_ready=_say)


def _serving_options(options: Namespace) -> ServingOptions:
    from wav2edge.serving.listening import LOOPBACK, is_loopback

    keys, local = _keys(options.api_keys), is_loopback(options.host)
    if not keys and not local:
        tell(f"warning: everybody who reaches {options.host} may ask; give --api-keys FILE, or put a proxy before it")
    hosts = frozenset(map(str.lower, options.allow_host)) | ({options.host, *LOOPBACK} if local else frozenset())
    return ServingOptions(
        decoders=options.decoders,
        queue=options.queue,
        streams=options.streams,
        upload_mb=options.upload,
        longest_s=options.longest,
        timeout_s=options.timeout,
        grace_s=options.grace,
        key_digests=keys,
        origins=tuple(options.cors),
        hosts=hosts or None,
        log_text=options.log_text,
    )


def _keys(path: Path | None) -> tuple[bytes, ...]:
    if path is None:
        return ()
    keys = read_keys(path)
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        tell(f"warning: {path}: others on this machine can read the keys; run: chmod 600 {path}")
    return keys


def _page(options: Namespace) -> DevicePage | None:
    """The device page; none with API keys, which a page does not have for the bundles that it loads."""
    from wav2edge.serving.web.device_page import DevicePage

    if options.page is not None and (options.no_page or options.api_keys is not None):
        raise UsageError("--page needs neither --no-page nor --api-keys: everybody may load the page and the bundles")
    if options.no_page or options.api_keys is not None:
        return None
    return DevicePage.find(options.page)


def _say(url: str) -> None:
    print(url, flush=True)


COMMAND = Command(
    name="serve",
    summary="answer over HTTP and WebSockets, in the shape of OpenAI's API",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge serve bundle
  wav2edge serve words=models/words live=models/words-stream --port 8080
  wav2edge serve bundle --host 0.0.0.0 --api-keys keys.txt --decoders 4 --threads 1
  curl -F file=@clip.wav -F response_format=verbose_json localhost:8000/v1/audio/transcriptions""",
)
