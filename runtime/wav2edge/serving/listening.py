"""Listening: the socket, uvicorn, and signals; a server that is told to stop answers what it has taken."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import ip_address
from types import FrameType
from typing import Any

import python_multipart  # noqa: F401 Starlette and uvicorn would miss these two only at the first request
import uvicorn
import websockets  # noqa: F401

from wav2edge.errors import UsageError
from wav2edge.serving.application import application
from wav2edge.serving.observing.request_log import RequestLog
from wav2edge.serving.recognising.served_models import ServedModel
from wav2edge.serving.service import Service
from wav2edge.serving.serving_options import ServingOptions
from wav2edge.serving.web.device_page import DevicePage

INTERRUPTED = 130
KEEP_ALIVE_S = 30
"""A connection without a request is kept so long."""
LARGEST_FRAME = 1 << 20
"""Bytes of a message on a WebSocket."""
WAITING_CONNECTIONS = 1024
LAST_PORT = 65_535
CLOSING_S = 3
"""After all is answered, connections have so long to close."""
NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says where no more files and connections may be open."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Listener(socket.socket):
    """A socket that listens, and closes a connection at once where no more files may be open.

    asyncio would leave it waiting, and fail to take it as often in a second as there may be waiting connections. For
    that the socket has a file open, which it closes for the moment that it takes the connection.
    """

    def __init__(self, *how: int) -> None:
        super().__init__(*how)
        self._spare: int | None = _spare_file()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            BlockingIOError: there is none that may stay.
            OSError: it broke.
        """
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in NO_FILES:
                raise
        logging.getLogger(__name__).warning("no more files may be open: connections are closed; raise ulimit -n")
        self._close_spare()
        try:
            super().accept()[0].close()
        finally:
            self._spare = _spare_file()
        raise BlockingIOError(errno.EAGAIN, "no more files may be open")

    def close(self) -> None:
        """Close it, and the spare file."""
        super().close()
        self._close_spare()

    def _close_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def _spare_file() -> int | None:
    """A file that is open; None where none may be."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None


class DrainingServer(uvicorn.Server):
    """Uvicorn, which before it closes connections waits for the service to answer what it has taken.

    Args:
        config: of uvicorn.
        service: what is served.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.interrupted = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse, answer, close."""
        await self._service.drain(at_once=lambda: self.force_exit)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed signals until the end; unlike uvicorn's own, without sending them once more then."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at the second interrupt at once."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)


def serve(
    models: Mapping[str, ServedModel],
    options: ServingOptions,
    *,
    host: str,
    port: int,
    page: DevicePage | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> int:
    """Serve until a signal, and give the exit code: 0 after SIGTERM, 130 after an interrupt.

    Args:
        models: by name.
        options: limits and rights.
        host: address to listen on.
        port: 0 takes a free one.
        page: the device page, where it is installed.
        on_ready: is given the address once connections are taken.

    Raises:
        UsageError: the address cannot be listened on.
    """
    with closing(listen(host, port)) as listener:
        log = RequestLog()
        logging.getLogger().addHandler(log)  # uvicorn, asyncio and others: one that has no handler writes lines of text
        try:
            server = server_of(Service(models, options, log), page)
            url = url_of(listener)
            log.event("serving", url=url, models=list(models), decoders=options.decoders)
            on_ready(url)
            server.run(sockets=[listener])
            log.event("stopped")
        finally:
            logging.getLogger().removeHandler(log)
            log.end()
    return INTERRUPTED if server.interrupted else 0


def server_of(service: Service, page: DevicePage | None = None) -> DrainingServer:
    """Uvicorn with the settings of this server."""
    config = uvicorn.Config(
        application(service, page),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        backlog=WAITING_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSING_S,
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
    )
    return DrainingServer(config, service)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    It names its protocol, which ``socket.create_server`` does not: asyncio sends at once on such sockets alone, and on
    others waits 40 ms for a delayed acknowledgement between the head and the body of an answer.

    Raises:
        UsageError: the address is taken, or none of this machine.
    """
    if not 0 <= port <= LAST_PORT:  # the system would take its last 16 bits
        raise UsageError(f"--port {port}; give 0 to {LAST_PORT}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:  # of a name with a label that is empty or over 63 characters
        raise _no_address(host, port, error) from None
    try:
        if os.name == "posix":  # a server that is started again takes its address at once; on Windows others could, too
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(WAITING_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _no_address(host, port, error) from None
    return listener


def _no_address(host: str, port: int, error: OSError | UnicodeError) -> UsageError:
    fault = (error.strerror or error) if isinstance(error, OSError) else "no name of a machine"
    return UsageError(f"--host {host} --port {port}: {fault}; give another --host or --port")


def url_of(listener: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host in LOOPBACK or ip_address(host).is_loopback
    except ValueError:
        return False
