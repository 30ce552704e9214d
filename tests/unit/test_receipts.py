"""What tells that a client received a response, and what does not."""

from __future__ import annotations

import asyncio
import socket

import aiofastnet
import pytest
from aiohttp import web

from gateway.web.server.connection import Connection
from gateway.web.server.exchange import Telling
from gateway.web.server.options import Options
from gateway.web.server.plain import DocumentedConnection, PlainConnection
from tests.tools.waiting import PATIENCE_SECONDS

Kind = type[DocumentedConnection]
KINDS: tuple[Kind, ...] = (PlainConnection, Connection)
REQUEST = b"GET /%d HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
PIPELINED = 40
"""More than aiohttp queues, so that it calls ``data_received`` by itself when the queue drains."""


async def told_of(kind: Kind, pipelined: int, *, more: bytes = b"") -> list[bool]:
    """What the first of several requests was told of its response when all were handled.

    They come in one piece; ``more`` is said afterwards.
    """
    told, done = list[bool](), asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/0":
            assert isinstance(request.protocol, Telling)
            request.protocol.on_receipt(told.append)
        if request.path == f"/{pipelined - 1}":
            done.set()
        return web.Response(body=bytes(10))

    server, loop = web.Server(handler), asyncio.get_running_loop()
    options = Options(lambda *_: web.Response(status=400), keepalive_seconds=60)
    client, accepted = socket.socketpair()
    with client:
        client.setblocking(False)
        await aiofastnet.connect_accepted_socket(loop, lambda: kind(server, options), accepted)
        await loop.sock_sendall(client, b"".join(REQUEST % n for n in range(pipelined)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await done.wait()
            await loop.sock_sendall(client, more)
            while more and not told:
                await asyncio.sleep(0)
        known = list(told)
    await server.shutdown(1)
    return known


@pytest.mark.parametrize("kind", KINDS)
async def test_going_on_to_parse_what_is_queued_acknowledges_nothing(kind: Kind) -> None:
    assert [] == await told_of(kind, PIPELINED)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pipelined", [1, 3])
async def test_a_client_that_says_more_has_what_was_sent(kind: Kind, pipelined: int) -> None:
    assert [True] == await told_of(kind, pipelined, more=REQUEST % 99)
