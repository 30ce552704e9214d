"""Small responses: JSON, and nothing; and one that is as long as it has to be."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

import orjson
from aiohttp import web

from gateway.model.errors import GatewayError, cause_of
from gateway.web.server.stall import StallWatch

_log: Final = logging.getLogger(__name__)
_JSON: Final = {"Content-Type": "application/json"}
_CHUNK_BYTES: Final = 64 * 1024


def json_reply(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """``value`` as compact JSON."""
    return web.Response(
        body=orjson.dumps(value),
        status=status,
        headers={**_JSON, **(headers or {})},
    )


def empty_reply(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """No body; the Content-Type that the documented APIs send even then."""
    return web.Response(status=status, headers={**_JSON, **(headers or {})})


async def stream_json(
    request: web.Request, pieces: AsyncGenerator[bytes, None], stalls: StallWatch
) -> web.StreamResponse:
    """JSON that comes in ``pieces``, sent in chunks as its reader takes them, in flat memory.

    What is raised before the first chunk is full is worded as ever. After that the connection is
    cut, so that nobody takes a part for the whole; a reader that takes nothing is cut as well.
    Raises ``ConnectionResetError`` then.
    """
    response = web.StreamResponse(headers=_JSON)
    async with aclosing(pieces):
        if request.method == "HEAD":
            return response  # nothing is made that nobody gets
        try:
            await _send(request, response, pieces, stalls)
        except Exception as exc:
            if not response.prepared:
                raise
            if isinstance(exc, GatewayError):
                _log.warning("a list broke off", extra={"cause": cause_of(exc)})
            elif not isinstance(exc, ConnectionError):  # who leaves is no fault
                _log.exception("a list broke off")
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from exc
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncGenerator[bytes, None],
    stalls: StallWatch,
) -> None:
    if request.transport is None:
        raise ConnectionResetError
    with stalls.watching(request.transport):
        waiting = bytearray()
        async for piece in pieces:
            waiting += piece
            if len(waiting) >= _CHUNK_BYTES:
                await _write(request, response, waiting)
        await _write(request, response, waiting)
        await response.write_eof()


async def _write(request: web.Request, response: web.StreamResponse, waiting: bytearray) -> None:
    if not response.prepared:
        await response.prepare(request)
    await response.write(bytes(waiting))
    waiting.clear()
