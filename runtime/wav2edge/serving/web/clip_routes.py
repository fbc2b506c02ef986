"""The addresses that take a clip: transcriptions in OpenAI's shape, and classes, embeddings and alignments in ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from wav2edge.output.result import Alignment
from wav2edge.serving.recognising.decoder_pool import Done, Withdrawal
from wav2edge.serving.recognising.served_models import ServedModel
from wav2edge.serving.refusals import Refusal
from wav2edge.serving.service import Facts, Service, unless
from wav2edge.serving.web.answers import GRANULARITIES, TRANSCRIPTIONS, Asked, Written, json_answer, subtitles
from wav2edge.serving.web.gate import facts_of, gone, service_of
from wav2edge.serving.web.uploads import Form, uploaded

Made = TypeVar("Made")
IGNORED = ("prompt", "temperature", "chunking_strategy", "include", "keywords", "languages")
"""Fields of OpenAI's API that have nothing to act on in a CTC model; the answer names those that were ignored."""
IGNORED_HEADER = "X-Ignored-Fields"
TRANSCRIPTION_FIELDS = frozenset(
    {"model", "language", "response_format", "timestamp_granularities", "stream", *IGNORED}
)


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a decoder made of a clip: the answer, and what metrics and the log want to know."""

    written: Written
    duration_s: float
    text: str | None


Work = Callable[[Withdrawal], Recognised]


async def transcriptions(request: Request) -> Response:
    """``POST /v1/audio/transcriptions``, as OpenAI's clients call it."""
    return await _answer(request, "transcriptions", TRANSCRIPTION_FIELDS, _transcription)


async def classifications(request: Request) -> Response:
    """``POST /v1/audio/classifications``: the document of ``wav2edge run --format json``."""
    return await _answer(request, "classifications", frozenset({"model"}), _document)


async def embeddings(request: Request) -> Response:
    """``POST /v1/audio/embeddings``: the document of ``wav2edge run --format json``."""
    return await _answer(request, "embeddings", frozenset({"model"}), _document)


async def alignments(request: Request) -> Response:
    """``POST /v1/audio/alignments``: the document of ``wav2edge align --format json``, or subtitles."""
    return await _answer(request, "alignments", frozenset({"model", "text", "response_format"}), _alignment)


async def _answer(
    request: Request, task: str, fields: frozenset[str], prepare: Callable[[Form, ServedModel], Work]
) -> Response:
    """Read a form, check it, recognise its file in a decoder, and give the answer.

    Raises:
        Refusal, ClientDisconnect: there is none.
    """
    service, facts = service_of(request.scope), facts_of(request.scope)
    with service.place():
        async with uploaded(request, service) as form:
            facts.extra["bytes"] = form.size_bytes
            if service.options.log_text:
                facts.extra["file"] = form.file.name
            form.refuse_others(fields)
            model = service.model(form.one("model"), facts)
            model.require(task)
            work = partial(_checked, form, service.options.longest_s, prepare(form, model))
            done = await unless(_left(request), gone, service.recognise(work))
        _note(done, model.name, facts, service)
        ignored = [name for name in IGNORED if name in form.fields]
        headers = {IGNORED_HEADER: ", ".join(ignored)} if ignored else None
        written = done.value.written
        return Response(written.content, media_type=written.media_type, headers=headers)


def _checked(form: Form, longest_s: float, work: Work, withdrawal: Withdrawal) -> Recognised:
    withdrawal.check()
    with form.file.in_use():
        form.file.check(longest_s)
        return work(withdrawal)


def _note(done: Done[Recognised], model: str, facts: Facts, service: Service) -> None:
    made, metrics = done.value, service.metrics
    metrics.answered(
        model, total_s=facts.total_s, waited_s=done.waited_s, took_s=done.took_s, duration_s=made.duration_s
    )
    facts.extra |= {
        "duration_s": round(made.duration_s, 3),
        "waited_s": round(done.waited_s, 4),
        "took_s": round(done.took_s, 4),
    }
    if service.options.log_text:
        facts.extra["text"] = made.text


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _transcription(form: Form, model: ServedModel) -> Work:
    if (form.one("stream") or "").lower() in ("true", "1"):
        message = "stream=true is not served; for answers while somebody speaks use the WebSocket /v1/audio/stream"
        raise Refusal("bad_request", message, param="stream")
    write = _chosen(form, TRANSCRIPTIONS)
    asked = Asked(granularities=_granularities(form, model), language=model.language or form.one("language"))

    def work(withdrawal: Withdrawal) -> Recognised:
        result = model.engine(form.file.source(), on_segment=withdrawal.check)
        return Recognised(written=write(result, asked), duration_s=result.duration_s, text=result.text)

    return work


def _granularities(form: Form, model: ServedModel) -> tuple[str, ...]:
    """What is to have times.

    Raises:
        Refusal: there are no such times, or none in this format or of this model.
    """
    param, wanted = "timestamp_granularities", form.fields.get("timestamp_granularities", ())
    if not wanted:
        return Asked.granularities
    if form.one("response_format") != "verbose_json":
        raise Refusal("bad_request", f"{param} needs response_format=verbose_json", param=param)
    for each in wanted:
        if each not in GRANULARITIES:
            raise Refusal("bad_request", f"{param}: no {each!r}; choose {', '.join(GRANULARITIES)}", param=param)
    if "word" in wanted and model.engine.word_times is False:
        message = f"the certificate of {model.name!r} does not bear out the times of words; leave out {param}"
        raise Refusal("bad_request", message, param=param)
    return wanted


def _document(form: Form, model: ServedModel) -> Work:
    def work(withdrawal: Withdrawal) -> Recognised:
        result = model.engine(form.file.source(), on_segment=withdrawal.check)
        written = json_answer({"model": model.name, **result.to_dict()})
        return Recognised(written=written, duration_s=result.duration_s, text=result.text)

    return work


def _aligned_document(model: ServedModel, alignment: Alignment) -> Written:
    return json_answer({"model": model.name, **alignment.to_dict()})


def _aligned_subtitles(name: str, model: ServedModel, alignment: Alignment) -> Written:
    return subtitles(name, alignment.result())


ALIGNMENTS: Mapping[str, Callable[[ServedModel, Alignment], Written]] = {
    "json": _aligned_document,
    "srt": partial(_aligned_subtitles, "srt"),
    "vtt": partial(_aligned_subtitles, "vtt"),
}
"""How an alignment is written."""


def _alignment(form: Form, model: ServedModel) -> Work:
    text = form.one("text")
    if text is None:
        raise Refusal("bad_request", "no text; send what was said as the field 'text'", param="text")
    write = _chosen(form, ALIGNMENTS)

    def work(withdrawal: Withdrawal) -> Recognised:
        alignment = model.engine.align(form.file.source(), text)
        return Recognised(written=write(model, alignment), duration_s=alignment.duration_s, text=alignment.text)

    return work


def _chosen(form: Form, formats: Mapping[str, Made]) -> Made:
    """How to write the answer; as JSON where it is not said.

    Raises:
        Refusal: there is no such format.
    """
    name = form.one("response_format") or "json"
    if name not in formats:
        message = f"response_format: no {name!r}; choose {', '.join(formats)}"
        raise Refusal("bad_request", message, param="response_format")
    return formats[name]
