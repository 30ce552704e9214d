"""A blob on its way to the socket: the head rendered by ourselves, the bytes by the kernel.

Knows how a blob is read and how fast it may go. Does not know which bytes or why.

Rule: everything about the answer that does not depend on the request was rendered before.
What cannot be finished is cut, never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Final, cast

from aiohttp import web

from gateway.blobs.port import BlobReader, Descriptor
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing
from gateway.traffic.bandwidth import Pace, Turns
from gateway.web import metrics
from gateway.web.server.exchange import ending_with_client
from gateway.web.server.response import SERVER, RawResponse, Wire, http_date
from gateway.web.server.stall import StallWatch

ONE_WRITE_BYTES: Final = 64 * 1024
_SLICE_BYTES: Final = 4 * 1024 * 1024
HandOut = Callable[[int, int], None]
_SERVER: Final = SERVER.encode()


class BlobResponse(RawResponse):
    """A 200 or 206 whose body is ``span`` of a blob of ``size`` bytes.

    ``lines`` are the rendered headers that every answer of this blob has; aiohttp's own way
    to build a response would render them anew each time.
    """

    def __init__(self, span: ByteRange, size: int, lines: bytes, *, whole: bool) -> None:
        if not whole:
            lines = b"Content-Range: %b\r\n%b" % (span.content_range(size).encode(), lines)
        super().__init__(200 if whole else 206, span.length, lines)
        self._span = span

    def send(
        self,
        request: web.Request,
        reader: BlobReader,
        stalls: StallWatch,
        hand_out: HandOut | None = None,
        pace: Pace | None = None,
    ) -> Awaitable[None]:
        """Send head and bytes, at ``pace``; ``hand_out`` is told which, before they go.

        Raises ``ConnectionError`` if the client leaves.
        """
        file = reader.descriptor
        if file is not None and self._span.length > (ONE_WRITE_BYTES if pace is None else 0):
            return self._send_file(request, reader, file, stalls, hand_out, pace)
        return self._send_bytes(request, reader, hand_out)

    async def _send_bytes(
        self, request: web.Request, reader: BlobReader, hand_out: HandOut | None
    ) -> None:
        span = self._span
        if hand_out is not None:
            hand_out(span.start, span.stop)
        body = await reader.read(span.start, span.length) if span.length else b""
        await self.begin(request, body)
        self._end()

    async def _send_file(
        self,
        request: web.Request,
        reader: BlobReader,
        file: Descriptor,
        stalls: StallWatch,
        hand_out: HandOut | None,
        pace: Pace | None,
    ) -> None:
        """The span from the file to the socket.

        ``sendfile`` says nothing of a file that ends early, so the blob is asked afterwards.
        Few frames: thousands of downloads wait in here.
        """
        wire, span = await self.begin(request), self._span
        try:
            if pace is None:
                stalls.watch(wire.transport)
                for start in range(span.start, span.stop, _SLICE_BYTES):
                    if start > span.start:
                        await asyncio.sleep(0)  # others get their turn
                    count = min(_SLICE_BYTES, span.stop - start)
                    rest = _send(wire, reader, start, count, hand_out)
                    if rest is not None:
                        await rest
            else:
                with ending_with_client(request), pace.begun() as turns:
                    await _send_paced(wire, reader, span, stalls, turns, hand_out)
            if not file.is_whole():
                raise ConnectionResetError("the blob is shorter than its row says")
        except BaseException:
            wire.cut()
            raise
        finally:
            stalls.unwatch(wire.transport)
        self._end()

    def _end(self) -> None:
        metrics.sent(self._span.length)
        self.end()


def _send(
    wire: Wire, reader: BlobReader, start: int, count: int, hand_out: HandOut | None
) -> Awaitable[None] | None:
    """Send one slice; what is still to be waited for, if anything."""
    wire.check_open()
    if hand_out is not None:
        hand_out(start, start + count)
    if wire.sends_files:
        return wire.send_file(cast(BinaryIO, reader), start, count)
    return _copy(wire, reader, start, count)


async def _copy(wire: Wire, reader: BlobReader, start: int, count: int) -> None:
    """Read and write one slice, where files cannot be sent as such."""
    for offset in range(start, start + count, ONE_WRITE_BYTES):
        try:
            piece = await reader.read(offset, min(ONE_WRITE_BYTES, start + count - offset))
        except BlobMissing as exc:
            raise ConnectionResetError("the blob is shorter than its row says") from exc
        await wire.write(piece)


async def _send_paced(
    wire: Wire,
    reader: BlobReader,
    span: ByteRange,
    stalls: StallWatch,
    turns: Turns,
    hand_out: HandOut | None,
) -> None:
    """In slices as they are granted. Who waits for us has not stalled."""
    start = span.start
    while start < span.stop:
        count = await turns.next(span.stop - start)
        with stalls.watching(wire.transport):
            rest = _send(wire, reader, start, count, hand_out)
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
