"""What is left of a request's body when its response is known before its end.

Theory of operation. Who responds before a body has come leaves bytes on their way that are no next
request. The connection can only end then, and its client, which still sends, may find it closed
before it finds the response; nginx, which has told its client that the connection stays, closes it
without a word. But a small body is on its way already when the response is known. So it is taken
in first, and dropped: the client has its response, and keeps its connection. A large one is not
read, and the response says that the connection ends with it.

Knows how much of a body came. Does not know why nobody wants it.

Rule: nobody waits longer than ``MOST_SECONDS``, nor for more than ``MOST_BYTES``, and nothing is
kept.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import ClientError, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.model.errors import GatewayError
from gateway.web.server.exchange import came_of_body

MOST_BYTES: Final = 64 * 1024
MOST_SECONDS: Final = 0.5
_DEATHS: Final = (OSError, ClientError, HttpProcessingError, GatewayError, ValueError)


async def is_taken_in(request: web.Request) -> bool:
    """Whether all of the request has come, so that what follows is the next one.

    What is left of a small body is waited for, and dropped.
    """
    body = request.content
    if not request.can_read_body or body.is_eof():
        return True
    if body.exception() is not None or not _is_on_its_way(request):
        return False
    length = request.content_length
    with suppress(TimeoutError, *_DEATHS):
        async with asyncio.timeout(MOST_SECONDS):
            return await _is_dropped(body, MOST_BYTES if length is None else length)
    return False


def _is_on_its_way(request: web.Request) -> bool:
    """Whether the rest is small, and its client does not wait to be asked for it."""
    came, length = came_of_body(request), request.content_length
    if came == 0 and "Expect" in request.headers:
        return False
    return length is None or length - came <= MOST_BYTES


async def _is_dropped(body: StreamReader, most: int) -> bool:
    """Whether it has ended after ``most`` bytes."""
    while not body.at_eof() and most >= 0:
        most -= len(await body.readany())
    return body.at_eof()
