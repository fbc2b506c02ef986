"""What a server says of itself: its models, whether it lives and is ready, its metrics, and what it offers."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from wav2edge import __version__
from wav2edge.serving.observing.service_metrics import MEDIA_TYPE
from wav2edge.serving.recognising.served_models import pick
from wav2edge.serving.web.gate import service_of

OFFERS = {
    "POST /v1/audio/transcriptions": "a clip as text, with the request and the answers of OpenAI's API",
    "POST /v1/audio/classifications": "a clip's classes",
    "POST /v1/audio/embeddings": "a clip's embedding",
    "POST /v1/audio/alignments": "when each word of a known text was said",
    "WebSocket /v1/audio/stream": "speech while it is spoken",
    "GET /v1/models": "the models",
    "GET /health": "whether the server lives",
    "GET /ready": "whether it takes requests",
    "GET /metrics": "metrics for Prometheus",
}


async def models(request: Request) -> Response:
    """``GET /v1/models``."""
    served = service_of(request.scope).models.values()
    return JSONResponse({"object": "list", "data": [model.to_dict() for model in served]})


async def model(request: Request) -> Response:
    """``GET /v1/models/NAME``."""
    return JSONResponse(pick(service_of(request.scope).models, request.path_params["name"]).to_dict())


async def health(request: Request) -> Response:
    """``GET /health``: the process lives, and its event loop turns."""
    return JSONResponse({"status": "ok", "version": __version__})


async def ready(request: Request) -> Response:
    """``GET /ready``: whether new requests are taken."""
    service = service_of(request.scope)
    service.refuse_if_stopping()
    names = {} if service.options.key_digests else {"models": list(service.models)}  # it needs no key, they do
    return JSONResponse({"status": "ready", **names})


async def metrics(request: Request) -> Response:
    """``GET /metrics``."""
    return Response(service_of(request.scope).metrics.text(), media_type=MEDIA_TYPE)


async def index(request: Request) -> Response:
    """``GET /`` where the device page is not installed: what the server offers."""
    names = ", ".join(f"<code>{escape(name)}</code>" for name in service_of(request.scope).models)
    rows = "".join(f"<tr><td><code>{escape(what)}</code><td>{escape(says)}" for what, says in OFFERS.items())
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>wav2edge</title>"
        "<style>body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:46rem;padding:0 1rem;color-scheme:light dark}"
        "td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style>"
        f"<h1>wav2edge {__version__}</h1><p>Models: {names}<table>{rows}</table></html>",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
