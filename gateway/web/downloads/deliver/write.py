"""A little: head and body in one write."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.model.file import Blob
from gateway.web.downloads.deliver.verify import check_bytes
from gateway.web.downloads.transfer import Transfer
from gateway.web.server.response import RawResponse

ONE_WRITE_BYTES: Final = 64 * 1024


async def write(
    request: web.Request, response: RawResponse, transfer: Transfer, verified: Blob | None = None
) -> RawResponse:
    """Send all of it, which is to be all of ``verified``, if that is given.

    Raises as ``BlobReader.read``, and ``OtherBytes``, while nothing was sent.
    """
    span = transfer.span
    transfer.sent(span.start, span.stop)
    body = await transfer.reader.read(span.start, span.length) if span.length else b""
    if verified is not None:
        await check_bytes(verified, body)
    await response.begin(request, body)
    return transfer.end(request, response)
