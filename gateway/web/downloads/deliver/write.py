"""A little: head and body in one write."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.web.downloads.transfer import Transfer
from gateway.web.server.response import RawResponse

ONE_WRITE_BYTES: Final = 64 * 1024


async def write(request: web.Request, response: RawResponse, transfer: Transfer) -> RawResponse:
    """Send all of it. Raises as ``BlobReader.read`` while nothing was sent."""
    span = transfer.span
    transfer.sent(span.start, span.stop)
    body = await transfer.reader.read(span.start, span.length) if span.length else b""
    await response.begin(request, body)
    return transfer.end(request, response)
