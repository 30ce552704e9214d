"""A response whose head we render and whose body goes to the socket by the shortest way.

Theory of operation. aiohttp renders every head from a mapping and counts every byte of a body.
Most of a download's head is the same each time, and most of its bytes never enter this process.
So ``begin`` writes a head of our own rendering past aiohttp, and hands out the ``Wire`` on which
the body is sent: files by ``sendfile``, bytes by aiohttp's writer, which waits for a slow client.
``end`` then tells aiohttp that nothing more is to come. On a connection that is not ours all is
done as aiohttp documents it: the same head is parsed into a mapping, and no file is sent as such.

Knows aiohttp's response and writer. Does not know which bytes are sent, nor why.

Rule: whoever has begun either ends, with exactly ``length`` bytes sent, or cuts the wire. What
cannot be finished never ends as if it were whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.web.server.exchange import (
    REQUEST_ID,
    OwnConnection,
    is_stopping,
    request_id_line,
)

if TYPE_CHECKING:
    from aiofastnet import Transport

SERVER: Final = "filestore-gateway"
"""The Server header of every response; aiohttp's own names its version."""

_HTTP_1_1: Final = (1, 1)
_STATUS_LINES: Final = {s.value: f"{s.value} {s.phrase}".encode() for s in HTTPStatus}
_SERVER: Final = SERVER.encode()
_CLOSE: Final = b"Connection: close\r\n"
_KEEP_ALIVE: Final = b"Connection: keep-alive\r\n"


class RawResponse(web.StreamResponse):
    """A response of exactly ``length`` bytes.

    ``lines`` are its header lines as they are sent, each with its line end, but for
    Content-Length, Date, Server, Connection and X-Request-Id.
    """

    def __init__(self, status: int, length: int, lines: bytes) -> None:
        super().__init__(status=status)
        self._length = length
        self._lines = lines

    async def begin(self, request: web.Request, body: bytes = b"") -> Wire:
        """Send the head, and ``body`` in the same write: all of it, or the first of it.

        Raises ``ConnectionError`` if the client left.
        """
        head = self._head(request)
        own = isinstance(request.protocol, OwnConnection)
        writer = request.writer if own else await self._prepared(request, head)
        if own:
            self._keep_alive = request.keep_alive and not is_stopping(request)
            body = head + body
        if body:
            await writer.write(body)
        transport = cast(asyncio.WriteTransport | None, request.transport)
        if transport is None:
            raise ConnectionResetError("the client left")
        return Wire(transport, writer)

    def end(self) -> None:
        """All bytes were sent."""
        if not self.prepared:  # by aiohttp, which then ends it
            self._eof_sent = True

    async def _prepared(self, request: web.Request, head: bytes) -> AbstractStreamWriter:
        """The writer, after aiohttp has sent the same head."""
        for line in head.decode("ascii").splitlines()[1:-1]:
            name, _, value = line.partition(": ")
            self.headers.add(name, value)
        writer = await self.prepare(request)
        assert writer is not None, "it begins now"
        return writer

    def _head(self, request: web.Request) -> bytes:
        first = request.version >= _HTTP_1_1
        lines, keep_alive = self._lines, request.keep_alive and not is_stopping(request)
        if keep_alive != first:
            lines = (_KEEP_ALIVE if keep_alive else _CLOSE) + lines
        if (identifier := request.get(REQUEST_ID)) is not None:
            lines += request_id_line(identifier)
        return rendered_head(self.status, self._length, lines, minor=int(first))


def rendered_head(status: int, length: int, lines: bytes, *, minor: int = 1) -> bytes:
    """The head of a response of ``length`` bytes, for HTTP/1.``minor``; ``lines`` as above."""
    return b"HTTP/1.%d %b\r\nContent-Length: %d\r\nDate: %b\r\nServer: %b\r\n%b\r\n" % (
        minor,
        _STATUS_LINES[status],
        length,
        http_date(),
        _SERVER,
        lines,
    )


@dataclass(frozen=True, slots=True)
class Wire:
    """Where the body of a response that has begun goes. One is held by every download."""

    transport: asyncio.WriteTransport
    writer: AbstractStreamWriter

    def check_open(self) -> None:
        """Raise ``ConnectionResetError`` if the client left."""
        if self.transport.is_closing():
            raise ConnectionResetError("the client left")

    def send_file(self, file: BinaryIO, start: int, count: int) -> Awaitable[None] | None:
        """Send a span of a file; what is still to be waited for, if anything.

        Only if ``exchange.sends_files``. A file that ends early is not told of. No coroutine:
        thousands of downloads wait here, and each frame costs memory. Raises
        ``ConnectionResetError`` if the client left.
        """
        self.check_open()
        return cast("Transport", self.transport).sendfile(file, start, count)

    def hold_nothing(self) -> None:
        """From now on a write is done when the socket has all of it, and no sooner."""
        self.transport.set_write_buffer_limits(0)

    async def write(self, body: bytes | memoryview) -> None:
        """Send some bytes; done when more may come. Raises ``ConnectionError``."""
        await self.writer.write(body)
        await self.writer.drain()  # which the one before does once in 64 KiB

    def cut(self) -> None:
        """End the connection at once."""
        self.transport.abort()


class _Clock:
    """The Date header, rendered once a second."""

    __slots__ = ("second", "text")

    def __init__(self) -> None:
        self.second = -1
        self.text = b""


_clock: Final = _Clock()


def http_date() -> bytes:
    """The current time as an IMF-fixdate (RFC 9110, section 5.6.7)."""
    now = int(time.time())
    if now != _clock.second:
        _clock.second, _clock.text = now, formatdate(now, usegmt=True).encode()
    return _clock.text
