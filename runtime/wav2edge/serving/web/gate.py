"""The gate that every request comes through: who asks, from where, and with which key; its line in the log."""

from __future__ import annotations

import hmac
import traceback
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wav2edge.serving.refusals import Refusal
from wav2edge.serving.service import Facts, Service
from wav2edge.serving.serving_options import digest_of

WATCHED = frozenset({"/health", "/ready", "/metrics"})
"""Paths of what watches a server: they need no key, and are logged where they fail only, for they are asked for all the
time."""
OF_STATUS = {404: "not_found", 405: "method_not_allowed"}
"""What the router refuses."""


class Gate:
    """Lets in who may ask; turns what goes wrong into OpenAI's JSON; counts and logs every request.

    Args:
        app: what is behind it.
        service: the state of the server.
        routes: paths that are known; metrics and the log call all others ``other``.
    """

    def __init__(self, app: ASGIApp, service: Service, routes: frozenset[str]) -> None:
        self._app, self._service, self._routes = app, service, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the specification of ASGI."""
        facts = Facts(route=scope["path"] if scope["path"] in self._routes else "other")
        scope.update(app=self, service=self._service, facts=facts)
        answer = _Answer(send, facts.request_id)
        try:
            self._check(scope, facts)
            await self._app(scope, receive, answer.send)
        except Refusal as refusal:
            await answer.refuse(refusal, facts, scope, receive)
        except HTTPException as error:  # of the router
            reason = OF_STATUS.get(error.status_code, "bad_request")
            message = f"{scope.get('method', 'WebSocket')} {scope['path']}: {error.detail}; GET / says what there is"
            await answer.refuse(Refusal(reason, message), facts, scope, receive)
        except ClientDisconnect:
            await answer.refuse(gone(), facts, scope, receive)
        except Exception as error:
            await answer.refuse(unforeseen(error, facts), facts, scope, receive)
        self._note(scope, facts, answer.status)

    def _check(self, scope: Scope, facts: Facts) -> None:
        headers, options = Headers(scope=scope), self._service.options
        host = headers.get("host", "")
        if options.hosts is not None and _hostname(host) not in options.hosts:
            message = f"this server is not called {_hostname(host)!r}; start it with --allow-host, or use its own name"
            raise Refusal("unknown_host", message)
        origin = headers.get("origin")
        if origin is not None and not same_origin(origin, host) and not {origin, "*"} & set(options.origins):
            raise Refusal("foreign_origin", f"pages of {origin} may not ask; start the server with --cors {origin}")
        if not options.key_digests or scope["path"] in WATCHED:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scope["type"] == "websocket" and not scheme:
            facts.authorised = False  # a browser cannot send the header: the key comes with the first message
        elif scheme.lower() != "bearer" or not is_key(key.strip(), options.key_digests):
            raise Refusal("invalid_api_key", "no valid API key; send it as: Authorization: Bearer KEY")

    def _note(self, scope: Scope, facts: Facts, status: int | None) -> None:
        if status is None:
            facts.reason = facts.reason or "client_gone"
        service, shown = self._service, 499 if status is None else status
        service.metrics.requests.labels(facts.route, facts.model or "", str(shown)).inc()
        if facts.reason is not None:
            service.metrics.refusals.labels(facts.reason).inc()
        if facts.route in WATCHED and facts.reason is None:
            return
        service.log.event(
            "request" if scope["type"] == "http" else "stream",
            request_id=facts.request_id,
            method=scope.get("method"),
            route=facts.route,
            status=shown,
            reason=facts.reason,
            model=facts.model,
            total_s=round(facts.total_s, 4),
            **facts.extra,
        )


class _Answer:
    """What is sent to a client, with the request's number in its headers; and whether anything was."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            self.status = message.get("status", 101)
            header = (b"x-request-id", self._request_id.encode())
            message = {**message, "headers": [*message.get("headers", []), header]}
        await self._send(message)

    async def refuse(self, refusal: Refusal, facts: Facts, scope: Scope, receive: Receive) -> None:
        """Answer with a reason, unless an answer has begun."""
        facts.reason = refusal.reason
        if self.status is None and refusal.reason != "client_gone":
            await refused(refusal)(scope, receive, self.send)


def refused(refusal: Refusal) -> Response:
    """The answer that gives the reason."""
    return JSONResponse(refusal.document(), refusal.kind.status, refusal.headers)


def gone() -> Refusal:
    """A client that does not wait for its answer."""
    return Refusal("client_gone", "the client has gone")


def unforeseen(error: Exception, facts: Facts) -> Refusal:
    """The refusal that an error is which nobody foresaw; its traceback is for the log."""
    facts.extra["traceback"] = "".join(traceback.format_exception(error))
    return Refusal("failed", f"unexpected {type(error).__name__}; the server's log has it under {facts.request_id}")


def facts_of(scope: Scope) -> Facts:
    """What is known of a request."""
    found: Facts = scope["facts"]
    return found


def service_of(scope: Scope) -> Service:
    """The state of the server."""
    found: Service = scope["service"]
    return found


def is_key(key: str, digests: tuple[bytes, ...]) -> bool:
    """Whether it is one of the keys; every one is compared, in the same time for each."""
    given = digest_of(key)
    return bool(sum(hmac.compare_digest(given, digest) for digest in digests))


def same_origin(origin: str, host: str) -> bool:
    """Whether a page is one of this server: its origin has the host and port that it was called by."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # it is no URL
        return False


def _hostname(host: str) -> str:
    """A ``Host`` header without its port."""
    return host.rpartition(":")[0].strip("[]").lower() if ":" in host.rpartition("]")[2] else host.strip("[]").lower()
