"""A connection's end reaches whoever waits for the rest of a body; requests begin in rounds."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gateway.traffic.rounds import Rounds
from gateway.web.server.connection import Connection
from gateway.web.server.exchange import use_turn
from gateway.web.server.options import Options

HEAD = b"PUT /f HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000\r\n\r\nsome"


class Wire(asyncio.Transport):
    """A transport that only takes what is written."""

    def __init__(self, peer: str = "") -> None:
        super().__init__({"peername": (peer, 1)} if peer else None)
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To nobody."""

    def close(self) -> None:
        """Say so when asked."""
        self.closing = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closing

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


def word(*_: object) -> web.Response:
    return web.Response(status=400)


@pytest.mark.parametrize("steps", range(8))
async def test_a_body_ends_with_its_connection_however_far_its_handler_is(steps: int) -> None:
    """``steps`` of the loop after the head came."""
    begun, ended = asyncio.Event(), list[str]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        begun.set()
        try:
            await request.content.read()
        except ConnectionError as exc:
            ended.append(type(exc).__name__)
        return web.Response()

    server = web.Server(handler)
    connection = Connection(server, Options(word, keepalive_seconds=1))
    connection.connection_made(Wire())
    await asyncio.sleep(0)
    connection.data_received(HEAD)
    for _ in range(steps):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert [1] * begun.is_set() == [1 for name in ended if name == "ConnectionResetError"]
    await server.shutdown(1)


async def test_of_one_address_a_few_requests_begin_at_a_time_and_all_in_the_end() -> None:
    """Nothing of the others was done yet: no task, no routing."""
    begun = list[str]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        begun.append(str(request.remote))
        return web.Response()

    server, rounds = web.Server(handler), Rounds()
    options = Options(word, keepalive_seconds=1, rounds=rounds)
    flood = [await _connected(server, options, "192.0.2.1") for _ in range(20)]
    honest = await _connected(server, options, "192.0.2.2")
    for connection in (*flood, honest):
        connection.data_received(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 4 == begun.count("192.0.2.1")
    assert 1 == begun.count("192.0.2.2")
    for _ in range(40):
        await asyncio.sleep(0)
    assert 20 == begun.count("192.0.2.1")
    await server.shutdown(0)


async def test_a_connection_that_ends_before_its_turn_begins_nothing() -> None:
    begun = list[str]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        begun.append(request.path)
        return web.Response()

    server, rounds = web.Server(handler), Rounds()
    connection = await _connected(server, Options(word, 1, rounds=rounds), "192.0.2.1")
    while rounds.admits("192.0.2.1"):
        pass
    connection.data_received(b"GET /never HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    connection.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert [] == begun
    assert [] == [*rounds._waiting]
    await server.shutdown(0)


async def test_of_requests_that_came_together_the_first_alone_had_a_turn() -> None:
    had = list[bool]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        had.append(use_turn(request))
        return web.Response()

    server = web.Server(handler)
    connection = await _connected(server, Options(word, 1, rounds=Rounds()), "192.0.2.1")
    request = b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
    for together in (3, 1, 2):
        connection.data_received(together * request)
        for _ in range(20):
            await asyncio.sleep(0)
    assert [True, False, False, True, True, False] == had
    await server.shutdown(0)


async def _connected(server: web.Server, options: Options, peer: str) -> Connection:
    connection = Connection(server, options)
    connection.connection_made(Wire(peer))
    await asyncio.sleep(0)
    return connection
