"""What a server allows: its limits, who may ask, and what it writes down."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from wav2edge.errors import UsageError

SHORTEST_KEY = 16
"""Characters of an API key; a shorter one is guessed."""
MOST_DECODERS = 1024
"""Each is a thread."""


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """The options of a server.

    Attributes:
        decoders: threads that recognise at once, streams and clips together.
        queue: requests that wait for them; more are refused.
        streams: WebSocket streams that are open at once; more are refused.
        upload_mb: largest request, in 10^6 bytes.
        longest_s: longest recording, in seconds.
        timeout_s: from the end of an upload to its answer; an upload, and silence on a stream, may take as long.
        grace_s: how long a server that stops waits for what it has taken.
        key_digests: SHA-256 of each API key; none: everybody may ask.
        origins: web pages of other origins that may ask; ``*`` is any.
        hosts: names that clients may call the server by; None: any.
        log_text: write transcripts and names of files to the log.
    """

    decoders: int = 2
    queue: int = 64
    streams: int = 16
    upload_mb: float = 25.0
    longest_s: float = 900.0
    timeout_s: float = 120.0
    grace_s: float = 30.0
    key_digests: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    log_text: bool = False

    def __post_init__(self) -> None:
        for name, least in {"decoders": 1, "queue": 0, "streams": 0}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; give {least} or more")
        if self.decoders > MOST_DECODERS:
            raise UsageError(f"decoders is {self.decoders}; give {MOST_DECODERS} or fewer")
        for name in ("upload_mb", "longest_s", "timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; give more than 0, and a finite number")
        if not 0 <= self.grace_s < math.inf:
            raise UsageError(f"grace_s is {self.grace_s}; give 0 or more, and a finite number")

    @property
    def upload_bytes(self) -> int:
        """Most bytes of a request."""
        return round(self.upload_mb * 1e6)


def read_keys(path: Path) -> tuple[bytes, ...]:
    """SHA-256 of each API key of a file: one a line; empty lines and those that begin with ``#`` are left out.

    Raises:
        UsageError: the file cannot be read, holds no key, or one that is too short or that no header can hold.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # editors on Windows put a mark before the text
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}; give a text file of API keys") from None
    numbered = {number: line.strip() for number, line in enumerate(lines, 1)}
    keys = {number: key for number, key in numbered.items() if key and not key.startswith("#")}
    if not keys:
        raise UsageError(f"{path}: holds no API key; write one a line")
    for number, key in keys.items():
        fault = _key_fault(key)
        if fault is not None:
            raise UsageError(f"{path}, line {number}: an API key {fault}; make one: openssl rand -hex 32")
    return tuple(digest_of(key) for key in keys.values())


def _key_fault(key: str) -> str | None:
    """Why a key cannot be one."""
    if len(key) < SHORTEST_KEY:
        return f"of less than {SHORTEST_KEY} characters"
    return None if key.isascii() and key.isprintable() else "with characters that a header cannot hold"


def digest_of(key: str) -> bytes:
    """SHA-256 of an API key: what is kept and compared, so that neither memory nor time tells of the key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()  # a message of JSON may hold what is no text
