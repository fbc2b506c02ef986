"""The application behind the gate: every address, and what answers it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wav2edge.serving.service import Service
from wav2edge.serving.web import clip_routes, status_routes
from wav2edge.serving.web.clip_routes import IGNORED_HEADER
from wav2edge.serving.web.device_page import DevicePage
from wav2edge.serving.web.gate import Gate
from wav2edge.serving.websocket.stream_route import stream

ROUTES: tuple[Route | WebSocketRoute, ...] = (
    Route("/v1/audio/transcriptions", clip_routes.transcriptions, methods=["POST"]),
    Route("/v1/audio/classifications", clip_routes.classifications, methods=["POST"]),
    Route("/v1/audio/embeddings", clip_routes.embeddings, methods=["POST"]),
    Route("/v1/audio/alignments", clip_routes.alignments, methods=["POST"]),
    WebSocketRoute("/v1/audio/stream", stream),
    Route("/v1/models", status_routes.models),
    Route("/v1/models/{name:path}", status_routes.model),
    Route("/health", status_routes.health),
    Route("/ready", status_routes.ready),
    Route("/metrics", status_routes.metrics),
)


def application(service: Service, page: DevicePage | None = None) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        service: what its requests share.
        page: the device page, where it is installed; otherwise ``/`` says what the server offers.
    """
    home: list[BaseRoute] = [Route("/", status_routes.index)]
    if page is not None:
        home = page.routes(service.models.values())
    known = frozenset({"/", *(route.path for route in ROUTES)})
    gate = Gate(Router([*ROUTES, *home], redirect_slashes=False, default=_nothing_here), service, known)
    if not service.options.origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=service.options.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],  # OpenAI's clients send some that describe themselves
        expose_headers=["X-Request-Id", "Retry-After", IGNORED_HEADER],
    )


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)
