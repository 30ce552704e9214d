"""A connection's end reaches whoever waits for the rest of a body."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gateway.web.server.connection import Connection
from gateway.web.server.options import Options

HEAD = b"PUT /f HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000\r\n\r\nsome"


class Wire(asyncio.Transport):
    """A transport that only takes what is written."""

    def __init__(self) -> None:
        super().__init__()
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
