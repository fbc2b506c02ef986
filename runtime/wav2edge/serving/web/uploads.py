"""Uploads: a form with a file, read up to a limit, and looked at before it is recognised."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, BinaryIO, cast

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from wav2edge.audio.clip import open_recording
from wav2edge.errors import AudioError
from wav2edge.serving.recognising.decoder_pool import Withdrawn
from wav2edge.serving.refusals import Refusal
from wav2edge.serving.service import Service
from wav2edge.serving.serving_options import ServingOptions

MOST_FIELDS, FIELD_BYTES = 64, 1 << 16
"""Fields of a form beside its file, and bytes of one: a text to align is the longest."""
LISTS = "[]"
"""Behind the name of a field that may stand several times; clients of OpenAI's API write it, and some do not."""
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
"""What the text of a form may be in; in other encodings, bytes can stand for what is no text."""
DISK_FULL = ("disk_full", "the server's disk is full")
NO_FILES = ("too_many_files", "the server has as many files and connections open as it may")
FULL = {errno.ENOSPC: DISK_FULL, errno.EDQUOT: DISK_FULL, errno.EMFILE: NO_FILES, errno.ENFILE: NO_FILES}
"""What the system says where it has no room for an upload, and why it then is refused."""
RETRY_AFTER_FULL_S = 30
"""Uploads end, and with them goes what they take of it."""
HOW_TO_SEND = "send the sound as the field 'file' of the form, once, with a filename=, as in: curl -F file=@clip.flac"
KNOWN_STARTS = (b"RIFF", b"RF64", b"RIFX", b"riff", b"FORM", b"fLaC", b"OggS", b"ID3", b".snd", b"caff")
"""What files of sound begin with; one that does and cannot be decoded is damaged, others are no sound at all."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What was uploaded: a file under the name that its sender gave it, and the values of each field."""

    file: NamedFile
    size_bytes: int
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        """The value of a field; None where it is not there or empty.

        Raises:
            Refusal: it is there more than once.
        """
        values = self.fields.get(name, ())
        if len(values) > 1:
            raise Refusal("bad_request", f"{name} is there {len(values)} times; give it once", param=name)
        return values[0] if values and values[0] else None

    def refuse_others(self, known: frozenset[str]) -> None:
        """Refuse a field that means nothing here.

        Raises:
            Refusal: there is one.
        """
        for name in self.fields:
            if name not in known:
                message = f"no field {name!r} here; known are: file, {', '.join(sorted(known))}"
                raise Refusal("bad_request", message, param=name)


class NamedFile:
    """A file under the name that messages call it, open until the last of its users has released it.

    A request whose client has left ends before the decoder that reads its file.

    Args:
        name: what its sender called it.
        file: its content; at most 1 MB of it is in memory.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name, self._file = name, file
        self._users, self._lock = 1, Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it open.

        Raises:
            Withdrawn: it is closed already.
        """
        with self._lock:
            if not self._users:
                raise Withdrawn
            self._users += 1
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """One user less; after the last it is closed."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._file.close()

    def source(self) -> BinaryIO:
        """The file from its start, as the engine takes it."""
        self._file.seek(0)
        return cast(BinaryIO, self)

    def check(self, longest_s: float) -> float:
        """Its length in seconds, as far as its header tells.

        Raises:
            Refusal: it is no sound, damaged, or too long.
        """
        try:
            with open_recording(self.source()) as recording:
                duration_s = recording.duration_s
        except AudioError as error:
            self._file.seek(0)
            known = _is_sound(self._file.read(4))
            raise Refusal("invalid_audio" if known else "unsupported_media", str(error), param="file") from None
        if duration_s > longest_s:
            message = f"{self.name}: {duration_s:.1f} s long; at most {longest_s:g} s are taken: send it in parts"
            raise Refusal("audio_too_long", message, param="file")
        return duration_s


@asynccontextmanager
async def uploaded(request: Request, service: Service) -> AsyncIterator[Form]:
    """The form of a request; its file is released at the end.

    Raises:
        Refusal: it is too large, too slow, no form with a file, or there is no room for it.
        ClientDisconnect: the client has gone.
    """
    _check_headers(request, service.options)
    limited = Request(request.scope, _counted(request.receive, service.options))
    try:
        async with service.upload():
            form = await limited.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES)
    except HTTPException as error:
        raise Refusal("bad_request", f"not a form as multipart/form-data: {error.detail}") from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        reason, fault = FULL[error.errno]
        message = f"{fault}; ask again later, or send less than 1 MB, which is kept in memory"
        raise Refusal(reason, message, param="file", retry_after_s=RETRY_AFTER_FULL_S) from None
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name.removesuffix(LISTS), []).append(value)
    upload = form.get("file")
    if "file" in fields or not isinstance(upload, UploadFile):
        await form.close()
        fault = "the field 'file' has no filename" if "file" in fields else "no file"
        raise Refusal("bad_request", f"{fault}; {HOW_TO_SEND}", param="file")
    file = NamedFile(upload.filename or "file", upload.file)
    try:
        values = {name: tuple(found) for name, found in fields.items()}
        yield Form(file=file, size_bytes=upload.size or 0, fields=values)
    finally:
        file.release()


def _check_headers(request: Request, options: ServingOptions) -> None:
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        message = f"{kind or 'no content type'}: send a form as multipart/form-data, with the sound as its field 'file'"
        raise Refusal("unsupported_media", message)
    charset = parse_options_header(kind)[1].get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in CHARSETS:
        raise Refusal("unsupported_media", f"charset={charset}: send the text of the form as UTF-8")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > options.upload_bytes:
        raise _too_large(options)


def _counted(receive: Receive, options: ServingOptions) -> Receive:
    """The same messages, up to a number of bytes: a request need not say how long it is."""
    left = options.upload_bytes

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(options)
        return message

    return counted


def _too_large(options: ServingOptions) -> Refusal:
    return Refusal("upload_too_large", f"more than {options.upload_mb:g} MB; send less, or FLAC", param="file")


def _is_sound(start: bytes) -> bool:
    return start.startswith(KNOWN_STARTS) or (start[:1] == b"\xff" and start[1:2] >= b"\xe0")  # MPEG audio
