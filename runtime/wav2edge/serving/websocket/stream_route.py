"""``/v1/audio/stream``: a WebSocket that takes samples and gives events, as ``wav2edge stream --json`` prints them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from wav2edge.inference.streaming.endpoints import Endpointing
from wav2edge.output.documents import json_ready, strict_json
from wav2edge.serving.recognising.decoder_pool import Withdrawal
from wav2edge.serving.recognising.served_models import ServedModel
from wav2edge.serving.refusals import Refusal
from wav2edge.serving.service import Facts, Service, unless
from wav2edge.serving.web.gate import facts_of, gone, is_key, service_of, unforeseen
from wav2edge.serving.websocket.fed_stream import FedStream, Heard
from wav2edge.serving.websocket.stream_messages import Start, read_message

Made = TypeVar("Made")
START_S = 10.0
"""The first message must come so soon."""
LONGEST_GAP_S = 86_400.0


async def stream(websocket: WebSocket) -> None:
    """Take a client, and tell it in a message why it is not answered where it is not."""
    service, facts = service_of(websocket.scope), facts_of(websocket.scope)
    with service.socket():
        await websocket.accept()
        conversation = _Conversation(websocket, service, facts)
        try:
            await conversation.hold()
        except Refusal as refusal:
            await conversation.refuse(refusal)
        except WebSocketDisconnect:
            facts.reason = gone().reason
        except Exception as error:
            await conversation.refuse(unforeseen(error, facts))


class _Conversation:
    """One client's stream, from its first message to its last."""

    def __init__(self, websocket: WebSocket, service: Service, facts: Facts) -> None:
        self._socket, self._service, self._facts = websocket, service, facts
        self._options = service.options

    async def hold(self) -> None:
        """Answer until the client has finished.

        Raises:
            Refusal: it cannot be answered.
            WebSocketDisconnect: the client has gone.
        """
        start = Start.read(await self._first())
        if not self._facts.authorised and not is_key(start.api_key or "", self._options.key_digests):
            raise Refusal("invalid_api_key", "no valid API key; send it as api_key of the start message")
        with self._service.stream_place():
            model = self._service.model(start.model, self._facts)
            model.require("stream")
            fed = await self._open(model, start)
            self._facts.extra |= {"kind": start.kind, "chunk_ms": start.chunk_ms, "rate_hz": start.rate_hz}
            await self._send({"type": "started", "model": model.name, "request_id": self._facts.request_id})
            await self._converse(fed, start)
        await self._socket.close()

    async def refuse(self, refusal: Refusal) -> None:
        """Say why there is no answer, or no more of it, and close."""
        self._facts.reason = refusal.reason
        try:
            await self._send({"type": "error", **refusal.document()})
            await self._socket.close(refusal.kind.close_code, refusal.reason)
        except (Refusal, RuntimeError, WebSocketDisconnect):  # it has gone, or does not read
            pass

    async def _first(self) -> str:
        first = _in_time(self._receive(), START_S, "no start message")
        message = await unless(self._service.stopping.wait(), _stopping, first)
        if "text" not in message:
            raise Refusal("bad_request", 'samples before the start message; send {"type": "start"} first')
        return str(message["text"])

    async def _open(self, model: ServedModel, start: Start) -> FedStream:
        loop = asyncio.get_running_loop()

        def opened(_: Withdrawal) -> FedStream:
            endpointing = Endpointing(silence_s=start.silence_s)
            found = model.engine.stream(
                rate_hz=start.rate_hz, kind=start.kind, chunk_ms=start.chunk_ms, endpointing=endpointing
            )
            return FedStream(found, start, loop)

        return (await self._service.recognise(opened, live=True)).value

    async def _converse(self, fed: FedStream, start: Start) -> None:
        """Listen and answer at once, until all is answered, or the client has gone."""
        listening = asyncio.ensure_future(self._listen(fed, start))
        answering = asyncio.ensure_future(self._answer(fed, start))
        stopping = asyncio.ensure_future(self._stop(fed))
        try:
            await asyncio.wait({listening, answering}, return_when=asyncio.FIRST_COMPLETED)
            (answering if answering.done() else listening).result()
        finally:
            for task in (listening, answering, stopping):
                task.cancel()
            await asyncio.gather(listening, answering, stopping, return_exceptions=True)
            self._facts.extra |= {"duration_s": round(fed.clock_s, 3), "took_s": round(fed.compute_s, 4)}

    async def _listen(self, fed: FedStream, start: Start) -> None:
        """Take messages; what is wrong with one ends the stream after what came before it."""
        decode = start.samples()
        ended = False
        while True:
            limit_s = None if ended else self._options.timeout_s
            try:
                message = await _in_time(self._receive(), limit_s, "no sound")
                if ended:
                    continue
                if message.get("bytes") is not None:
                    await fed.put(decode(message["bytes"]))
                else:
                    ended = await _heed(read_message(message["text"]), fed)
            except Refusal as refusal:
                fed.end(refusal)
                ended = True

    async def _answer(self, fed: FedStream, start: Start) -> None:
        """Recognise what waits, and send what is new."""
        ended = False
        while not ended:
            await fed.something()
            before_s, lost_s, computed_s = fed.clock_s, fed.lost_s, fed.compute_s
            heard: Heard = (await self._service.recognise(fed.recognise, live=True)).value
            self._count(fed, before_s, lost_s, computed_s)
            for document in heard.documents:
                if start.partials or document["type"] != "partial":
                    await self._send(document)
                self._observe(document)
            if heard.refusal is not None:
                raise heard.refusal
            ended = heard.ended
        await self._send({"type": "finished", **fed.summary()})

    async def _stop(self, fed: FedStream) -> None:
        """End the stream where the server stops: what was said until then is answered."""
        await self._service.stopping.wait()
        fed.end(_stopping())

    def _count(self, fed: FedStream, before_s: float, lost_s: float, computed_s: float) -> None:
        metrics, model = self._service.metrics, self._facts.model or ""
        lost_s = fed.lost_s - lost_s
        metrics.audio_s.labels(model, "stream").inc(max(0.0, fed.clock_s - before_s - lost_s))
        metrics.compute_s.labels(model, "stream").inc(fed.compute_s - computed_s)
        metrics.lost_s.labels(model).inc(lost_s)

    def _observe(self, document: dict[str, Any]) -> None:
        if document["type"] != "final":
            return
        extra = self._facts.extra
        self._service.metrics.stream_latency.labels(self._facts.model or "").observe(document["latency_s"])
        extra["finals"] = extra.get("finals", 0) + 1
        if self._options.log_text:
            extra["text"] = " ".join(filter(None, [extra.get("text"), document.get("text")]))

    async def _receive(self) -> dict[str, Any]:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return dict(message)

    async def _send(self, document: dict[str, Any]) -> None:
        text = strict_json(json_ready(document), indent=None)
        await _in_time(self._socket.send_text(text), self._options.timeout_s, "events were not read")


async def _heed(message: dict[str, Any], fed: FedStream) -> bool:
    """Do what a message between the samples says; whether it is the last."""
    if message["type"] == "finish":
        fed.end()
        return True
    lost_s = message.get("lost_s")
    if message["type"] == "gap" and isinstance(lost_s, int | float) and 0 <= lost_s <= LONGEST_GAP_S:
        await fed.lose(lost_s)
        return False
    known = '{"type": "gap", "lost_s": seconds} or {"type": "finish"}'
    raise Refusal("bad_request", f"{message['type']}: no message that is known here; send samples, {known}")


def _stopping() -> Refusal:
    return Refusal("stopping", "the server stops; open another stream", retry_after_s=1)


async def _in_time(answer: Awaitable[Made], limit_s: float | None, what: str) -> Made:
    try:
        async with asyncio.timeout(limit_s):
            return await answer
    except TimeoutError:
        raise Refusal("timeout", f"{what} within {limit_s:g} s; the stream is closed") from None
