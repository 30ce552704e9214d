"""A blob on its way to the socket: the head rendered by ourselves, the bytes by the kernel.

Knows aiohttp's writer and ``loop.sendfile``. Does not know which bytes or why.

Rule: everything about the answer that does not depend on the request was rendered before.
What cannot be finished is cut, never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import BinaryIO, Final, cast

from aiofastnet import Transport
from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.model.byterange import ByteRange
from gateway.traffic.bandwidth import Pace, Turns
from gateway.web import metrics
from gateway.web.responses import SERVER
from gateway.web.server.connection import Connection
from gateway.web.stall import StallWatch

ONE_WRITE_BYTES: Final = 64 * 1024
_SLICE_BYTES: Final = 4 * 1024 * 1024
_HTTP_1_1: Final = (1, 1)
_PARTIAL: Final = 206
HandOut = Callable[[int, int], None]
_SERVER: Final = SERVER.encode()
_STATUS_LINES: Final = {200: "200 OK", 206: "206 Partial Content"}


def rendered(headers: Mapping[str, str]) -> bytes:
    """Header lines as they are sent. The values are free of line breaks already."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


class BlobResponse(web.StreamResponse):
    """A 200 or 206 whose body is a span of a blob of ``size`` bytes.

    ``lines`` are the rendered headers that every answer of this blob has; aiohttp's own way
    to build a response would render them anew each time.
    """

    def __init__(self, status: int, size: int, lines: bytes) -> None:
        super().__init__(status=status)
        self._size = size
        self._lines = lines

    def send(
        self,
        request: web.Request,
        reader: BlobReader,
        span: ByteRange,
        stalls: StallWatch,
        hand_out: HandOut | None = None,
        pace: Pace | None = None,
    ) -> Awaitable[None]:
        """Send head and bytes, at ``pace``; ``hand_out`` is told which, before they go.

        Raises ``ConnectionError`` if the client leaves.
        """
        if span.length > (ONE_WRITE_BYTES if pace is None else 0):
            return self._send_file(request, reader, span, stalls, hand_out, pace)
        return self._send_bytes(request, reader, span, hand_out)

    async def _send_bytes(
        self, request: web.Request, reader: BlobReader, span: ByteRange, hand_out: HandOut | None
    ) -> None:
        if hand_out is not None:
            hand_out(span.start, span.stop)
        body = await reader.read(span.start, span.length) if span.length else b""
        await request.writer.write(self._head(request, span) + body)
        self._end(span)

    async def _send_file(
        self,
        request: web.Request,
        reader: BlobReader,
        span: ByteRange,
        stalls: StallWatch,
        hand_out: HandOut | None,
        pace: Pace | None,
    ) -> None:
        """The span from the file to the socket.

        ``sendfile`` says nothing of a file that ends early, so the blob is asked afterwards.
        Few frames: thousands of downloads wait in here.
        """
        await request.writer.write(self._head(request, span))
        transport = cast(asyncio.WriteTransport | None, request.transport)
        if transport is None:
            raise ConnectionResetError("the client left")
        way = _Way(transport, reader, hand_out)
        try:
            if pace is None:
                stalls.watch(transport)
                for start in range(span.start, span.stop, _SLICE_BYTES):
                    if start > span.start:
                        await asyncio.sleep(0)  # others get their turn
                    rest = way.send(start, min(_SLICE_BYTES, span.stop - start))
                    if rest is not None:
                        await rest
            else:
                with cast(Connection, request.protocol).ending_the_block(), pace.begun() as turns:
                    await _send_paced(way, span, stalls, turns)
            if not reader.is_whole():
                raise ConnectionResetError("the blob is shorter than its row says")
        except BaseException:
            transport.abort()
            raise
        finally:
            stalls.unwatch(transport)
        self._end(span)

    def _end(self, span: ByteRange) -> None:
        metrics.sent(span.length)
        self._eof_sent = True

    def _head(self, request: web.Request, span: ByteRange) -> bytes:
        self._keep_alive = request.keep_alive
        first = request.version >= _HTTP_1_1
        head = (
            f"HTTP/1.{int(first)} {_STATUS_LINES[self.status]}\r\n"
            f"Content-Length: {span.length}\r\nDate: {http_date()}\r\n"
            f"Server: {SERVER}\r\n"
        )
        if self.status == _PARTIAL:
            head += f"Content-Range: {span.content_range(self._size)}\r\n"
        if self._keep_alive != first:
            head += f"Connection: {'keep-alive' if self._keep_alive else 'close'}\r\n"
        return b"%b%b\r\n" % (head.encode("ascii"), self._lines)


@dataclass(frozen=True, slots=True)
class _Way:
    """From a blob to a socket."""

    transport: asyncio.WriteTransport
    reader: BlobReader
    hand_out: HandOut | None

    def send(self, start: int, count: int) -> Awaitable[object] | None:
        """Send one slice; what is still to be waited for, if anything.

        No coroutine: thousands of downloads wait here, and each frame costs memory.
        """
        if self.transport.is_closing():
            raise ConnectionResetError("the client left")
        if self.hand_out is not None:
            self.hand_out(start, start + count)
        file = cast(BinaryIO, self.reader)
        if isinstance(self.transport, Transport):
            return self.transport.sendfile(file, start, count)
        loop = asyncio.get_running_loop()
        return loop.sendfile(self.transport, file, start, count, fallback=False)


async def _send_paced(way: _Way, span: ByteRange, stalls: StallWatch, turns: Turns) -> None:
    """In slices as they are granted. Who waits for us has not stalled."""
    start = span.start
    while start < span.stop:
        count = await turns.next(span.stop - start)
        with stalls.watching(way.transport):
            rest = way.send(start, count)
            if rest is not None:
                await rest
        start += count


def partial_head(span: ByteRange, size: int, lines: bytes) -> bytes:
    """The head of a 206 to an HTTP/1.1 request whose connection goes on."""
    return (
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\nDate: %b\r\nServer: %b\r\n"
        b"Content-Range: bytes %d-%d/%d\r\n%b\r\n"
        % (span.length, http_date().encode(), _SERVER, span.start, span.stop - 1, size, lines)
    )


class _Clock:
    """The Date header, rendered once a second."""

    def __init__(self) -> None:
        self.second = 0
        self.text = ""


_clock: Final = _Clock()


def http_date() -> str:
    """The current time as an IMF-fixdate (RFC 9110, section 5.6.7)."""
    now = int(time.time())
    if now != _clock.second:
        _clock.second, _clock.text = now, formatdate(now, usegmt=True)
    return _clock.text
