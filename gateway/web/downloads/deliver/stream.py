"""From a store without descriptors to the socket, piece by piece.

A piece is read when the socket has all of the one before, so a slow client holds one piece,
whatever the size of the blob. The client is watched for stalls only while it is written to: who
waits for the store, or for its turn, has not stalled.

Rule: exactly the span's bytes are sent, or the connection is cut: a piece too few, a byte too
many and an error of the store end it alike, never as if it were whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from typing import Final

from aiohttp import web

from gateway.model.errors import GatewayError, cause_of
from gateway.traffic.bandwidth import Schedule
from gateway.web.downloads.transfer import BlobCut, Transfer
from gateway.web.server.exchange import ending_with_client
from gateway.web.server.response import RawResponse, Wire

_log: Final = logging.getLogger(__name__)


async def stream(
    request: web.Request,
    response: RawResponse,
    transfer: Transfer,
    pieces: AsyncGenerator[bytes, None],
) -> RawResponse:
    """Send the ``pieces`` of the span at the transfer's pace. Raises ``ConnectionError``."""
    wire = await response.begin(request)
    wire.hold_nothing()
    with _cutting(wire), ending_with_client(request), ExitStack() as stack:
        pace = transfer.pace
        schedule = None if pace is None else stack.enter_context(pace.begun())
        await _send_pieces(request, wire, transfer, pieces, schedule)
    return transfer.end(request, response)


@contextmanager
def _cutting(wire: Wire) -> Iterator[None]:
    """What fails once the head was sent can only be cut; the store's fault is logged."""
    try:
        yield
    except GatewayError as exc:
        wire.cut()
        _log.warning("a download was cut", extra={"cause": cause_of(exc)})
        raise BlobCut("the blob could not be read to its end") from exc
    except BaseException:
        wire.cut()
        raise


async def _send_pieces(
    request: web.Request,
    wire: Wire,
    transfer: Transfer,
    pieces: AsyncGenerator[bytes, None],
    schedule: Schedule | None,
) -> None:
    offset, stop = transfer.span.start, transfer.span.stop
    async with aclosing(pieces):
        async for piece in pieces:
            if offset + len(piece) > stop:
                raise BlobCut("the store gave more than it was asked for")
            if schedule is None:
                await _send(request, wire, transfer, offset, piece)
                await asyncio.sleep(0)  # others get their turn
            else:
                await _send_paced(request, wire, transfer, offset, piece, schedule)
            offset += len(piece)
    if offset != stop:
        raise BlobCut("the store gave less than it was asked for")


async def _send(
    request: web.Request, wire: Wire, transfer: Transfer, offset: int, piece: bytes | memoryview
) -> None:
    """The last piece is with its client before this is done, who may answer before that."""
    wire.check_open()
    transfer.sent(offset, offset + len(piece))
    if offset + len(piece) == transfer.span.stop:
        transfer.await_receipt(request)
    with transfer.stalls.watching(wire.transport):
        await wire.write(piece)


async def _send_paced(
    request: web.Request,
    wire: Wire,
    transfer: Transfer,
    offset: int,
    piece: bytes,
    schedule: Schedule,
) -> None:
    """In parts as they are granted."""
    rest = memoryview(piece)
    while rest:
        count = await schedule.next(len(rest))
        await _send(request, wire, transfer, offset, rest[:count])
        offset, rest = offset + count, rest[count:]
