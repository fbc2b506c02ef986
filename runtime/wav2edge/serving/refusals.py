"""Why a request is not answered: the reasons by name, what each is over HTTP and WebSocket, and their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from wav2edge.errors import AlignmentError, AudioError, UsageError, Wav2EdgeError

POLICY, TOO_BIG, FAILED, RESTARTING, LATER = 1008, 1009, 1011, 1012, 1013
"""Codes that close a WebSocket (RFC 6455, section 7.4, and the registry of IANA)."""


@dataclass(frozen=True)
class Kind:
    """What a reason is: a status of HTTP, a type of error in OpenAI's API, and a code that closes a WebSocket."""

    status: int
    type: str = "invalid_request_error"
    close_code: int = POLICY


REASONS: Mapping[str, Kind] = {
    "bad_request": Kind(400),
    "invalid_api_key": Kind(401, "authentication_error"),
    "foreign_origin": Kind(403, "permission_error"),
    "unknown_host": Kind(403, "permission_error"),
    "not_found": Kind(404),
    "model_not_found": Kind(404),
    "method_not_allowed": Kind(405),
    "upload_timeout": Kind(408),
    "upload_too_large": Kind(413, close_code=TOO_BIG),
    "audio_too_long": Kind(413, close_code=TOO_BIG),
    "unsupported_media": Kind(415),
    "invalid_audio": Kind(422),
    "invalid_text": Kind(422),
    "client_gone": Kind(499),
    "failed": Kind(500, "server_error", FAILED),
    "queue_full": Kind(503, "server_error", LATER),
    "too_many_streams": Kind(503, "server_error", LATER),
    "too_many_files": Kind(503, "server_error", LATER),
    "stopping": Kind(503, "server_error", RESTARTING),
    "timeout": Kind(504, "server_error", LATER),
    "disk_full": Kind(507, "server_error", LATER),
}
"""Every reason, by the name that it has in answers, metrics and logs; 499 is nginx's status of a client that left."""
OF_ERRORS: tuple[tuple[type[Wav2EdgeError], str], ...] = (
    (AlignmentError, "invalid_text"),
    (AudioError, "invalid_audio"),
    (UsageError, "bad_request"),
    (Wav2EdgeError, "failed"),
)
"""What an error of the engine is for who asked; the first that fits."""
POINTLESS_TO_RETRY = frozenset({"timeout", "failed"})
"""OpenAI's clients send again what was answered with 5xx, unless a header says not to."""


class Refusal(Exception):  # noqa: N818 it is an answer
    """A request that is answered with a reason.

    Args:
        reason: one of ``REASONS``.
        message: what, where, and what to do, in one line.
        param: the field of the request that it is about.
        retry_after_s: when to ask again.
    """

    def __init__(
        self, reason: str, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        message = _encodable(message)
        super().__init__(message)
        self.reason, self.message, self.retry_after_s = reason, message, retry_after_s
        self.param = None if param is None else _encodable(param)

    @classmethod
    def of(cls, error: Wav2EdgeError, names: Mapping[str, str] | None = None) -> Refusal:
        """The refusal that an error of the engine is.

        Args:
            error: what was raised.
            names: what folders of this machine are called to others.
        """
        message = _renamed(str(error), names or {})
        return cls(next(reason for kind, reason in OF_ERRORS if isinstance(error, kind)), message)

    @property
    def kind(self) -> Kind:
        """What the reason is."""
        return REASONS[self.reason]

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        found = {} if self.retry_after_s is None else {"Retry-After": str(max(1, ceil(self.retry_after_s)))}
        if self.kind.status == 401:
            found["WWW-Authenticate"] = "Bearer"
        if self.reason in POINTLESS_TO_RETRY:
            found["x-should-retry"] = "false"
        return found

    def document(self) -> dict[str, Any]:
        """The answer in OpenAI's shape."""
        error = {"message": self.message, "type": self.kind.type, "param": self.param, "code": self.reason}
        return {"error": error}


def _encodable(text: str) -> str:
    """A text that UTF-8 can encode: messages repeat what was sent, and JSON can hold half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _renamed(message: str, names: Mapping[str, str]) -> str:
    """A message with names in place of folders, where they stand as a path: before ``:`` or the file in them.

    Folders may be as short as ``.``, and one may begin as another does.
    """
    folders = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w./\\-])({folders})(?=[:/\\])", lambda found: names[found[1]], message)
