"""The HTTP server: aiohttp's, with its options really applied and its refusals worded.

aiohttp drops every option of a connection, with no more than a warning, if one of them is
unknown to it; so connections are made here, where a wrong option is an error.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp.http_parser
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from gateway.model.errors import Failure, GatewayError, Malformed
from gateway.web.stall import is_acknowledged

Word = Callable[[GatewayError], web.StreamResponse]
Receipt = Callable[[bool], None]

_BACKLOG: Final = 4096
_LINGERING_SECONDS: Final = 2.0
_READ_BUFFER_BYTES: Final = 64 * 1024
_SERVER_FAULT: Final = 500


class Connection(RequestHandler):
    """One connection. What never reaches a handler is refused in our words."""

    __slots__ = ("_lose", "_newest_body", "_receipt", "_word")

    def __init__(self, server: web.Server, word: Word, *, keepalive_seconds: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive_seconds,
            lingering_time=_LINGERING_SECONDS,
            read_bufsize=_READ_BUFFER_BYTES,
            auto_decompress=False,  # what is stored is what was sent
            access_log=None,  # type: ignore[arg-type]  # ``frame`` logs
        )
        self._word = word
        self._newest_body: StreamReader | None = None
        self._receipt: Receipt | None = None
        self._lose: Callable[[], None] | None = None

    def on_receipt(self, receipt: Receipt) -> None:
        """Tell ``receipt``, once it is known, whether the client got all that was sent by now.

        What we hand to the kernel is not received yet. It was if the client says more, or ends
        the connection in order; not if the connection breaks.
        """
        self._receipt = receipt

    @contextmanager
    def ending_the_block(self) -> Iterator[None]:
        """End the block with ``ConnectionResetError`` as soon as the client is gone.

        aiohttp leaves it to the next write to find out, which may be long after.
        """
        task, lost = asyncio.current_task(), False
        assert task is not None, "handlers run in tasks"
        cancelled_before = task.cancelling()

        def lose() -> None:
            nonlocal lost
            lost = True
            task.cancel()

        self._lose = lose
        try:
            yield
        except asyncio.CancelledError:
            if lost and task.uncancel() <= cancelled_before:
                raise ConnectionResetError("the client left") from None
            raise
        finally:
            self._lose = None

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """As aiohttp does, but a request under way has ``timeout`` seconds once, not twice.

        aiohttp's second time is for handlers that read a body, whose end it has just spoilt; one
        that sends goes on as if nothing were.
        """
        if timeout is None or self._task_handler is None:
            return await super().shutdown(timeout)
        end = asyncio.get_running_loop().call_later(timeout, self._task_handler.cancel)
        try:
            await super().shutdown(timeout)
        finally:
            end.cancel()

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, with three corrections.

        A body that cannot be parsed fails for whoever is reading it: aiohttp only queues its
        refusal behind the request, whose handler would wait for the rest of the body until it
        is cut for being slow. And a request to upgrade, which nobody here does, is the
        connection's last: of the bytes behind it aiohttp drops those that came in one piece
        with it, and would read on in the middle of what they began. Finally, when bytes and a
        reset come in one moment, the loop hands over the bytes and stops looking: the body
        would never end.
        """
        if self._receipt is not None:
            self._receipt(True)
            self._receipt = None
        super().data_received(data)
        if self._messages:
            self._correct_newest()
        if self._unfinished_body is not None and self._was_reset():
            assert self.transport is not None, "it was asked"
            self.transport.abort()

    def _correct_newest(self) -> None:
        newest, body = self._messages[-1]
        if isinstance(newest, RawRequestMessage):
            self._newest_body = body
            if newest.upgrade:
                self._messages[-1] = (newest._replace(should_close=True), body)
        elif self._unfinished_body is not None:
            self._unfinished_body.set_exception(newest.exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does, and the body fails even if its handler has not begun.

        aiohttp tells only the request that a handler is at; one that begins a moment later
        would wait for the rest of its body until it is cut for being slow. Whoever waits
        within ``ending_the_block`` is told, too.
        """
        receipt, self._receipt = self._receipt, None
        if receipt is not None and self.transport is not None:
            receipt(exc is None and is_acknowledged(self.transport))
        super().connection_lost(exc)
        if self._lose is not None:
            self._lose()
        if self._unfinished_body is not None:
            self._unfinished_body.set_exception(exc or ConnectionResetError("the client left"))

    @property
    def _unfinished_body(self) -> StreamReader | None:
        """The body that more bytes are expected of, if any."""
        body = self._newest_body
        if body is None or body.is_eof() or body.exception() is not None:
            return None
        return body

    def _was_reset(self) -> bool:
        """Whether the socket has an error that nobody has been told of."""
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
        return sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that could not be parsed; the connection ends with it."""
        del exc, message
        if request.writer.output_size > 0:
            raise ConnectionError("failed after the response had begun")
        response = self._word(Failure() if status >= _SERVER_FAULT else Malformed())
        response.force_close()
        return response


@dataclass(slots=True)
class HttpServer:
    """A listening application."""

    runner: web.AppRunner
    listener: asyncio.Server

    async def stop(self) -> None:
        """Accept nothing more, let requests under way finish, then close."""
        self.listener.close()
        await self.runner.cleanup()


async def listen(
    app: web.Application,
    sock: socket.socket,
    word: Word,
    *,
    keepalive_seconds: float,
    shutdown_seconds: float,
) -> HttpServer:
    """Serve ``app`` on ``sock``. Raises ``Failure`` if aiohttp is not what we rely on."""
    check_parser()
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    server = runner.server
    assert server is not None, "set up"

    def connect() -> Connection:
        return Connection(server, word, keepalive_seconds=keepalive_seconds)

    check_connection(connect(), keepalive_seconds=keepalive_seconds)
    loop = asyncio.get_running_loop()
    return HttpServer(runner, await loop.create_server(connect, sock=sock, backlog=_BACKLOG))


def check_parser() -> None:
    """Raise ``Failure`` if HTTP would be parsed in Python, which differs from the C parser."""
    if aiohttp.http_parser.HttpRequestParser is aiohttp.http_parser.HttpRequestParserPy:
        raise Failure("aiohttp's C parser is missing; install a wheel that has it")


def check_connection(connection: RequestHandler, *, keepalive_seconds: float) -> None:
    """Raise ``Failure`` unless a live connection has the options it was given."""
    applied = {
        "_keepalive_timeout": keepalive_seconds,
        "_lingering_time": _LINGERING_SECONDS,
        "_read_bufsize": _READ_BUFFER_BYTES,
        "access_log": None,
    }
    for name, value in applied.items():
        if getattr(connection, name) != value:
            raise Failure(f"the server option {name} was not applied")
