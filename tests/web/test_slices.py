"""Large bodies that are in memory are sent in slices, and others have their turn between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer

from gateway.web.server.slices import SLICE_BYTES, send_in_slices
from tests.tools.ports import HOST

SIZES = {
    "nothing": (0, 0),
    "a byte": (1, 0),
    "a slice": (SLICE_BYTES, 0),
    "a slice and a byte": (SLICE_BYTES + 1, 1),
    "two slices": (2 * SLICE_BYTES, 1),
    "much": (40 * SLICE_BYTES + 7, 40),
}


@contextlib.asynccontextmanager
async def sending(
    body: bytes, turn: Callable[[], Awaitable[object]]
) -> AsyncIterator[BaseTestServer]:
    """A server that sends ``body`` to whoever asks for /large, and little to others."""

    async def large(_: web.Request) -> web.Response:
        response = web.Response(body=body, headers={"Content-Type": "text/plain"})
        send_in_slices(response, turn)
        return response

    async def little(_: web.Request) -> web.Response:
        return web.Response(body=b"little")

    app = web.Application()
    app.add_routes([web.get("/large", large), web.get("/little", little)])
    async with TestServer(app, host=HOST) as server:
        yield server


@pytest.mark.parametrize(("size", "turns"), SIZES.values(), ids=SIZES)
async def test_a_body_is_sent_whole_with_a_turn_before_each_slice_but_the_first(
    size: int, turns: int
) -> None:
    body, waited = bytes(n % 251 for n in range(size)), 0

    async def turn() -> None:
        nonlocal waited
        waited += 1

    async with (
        sending(body, turn) as server,
        ClientSession() as session,
        session.get(server.make_url("/large")) as answer,
    ):
        assert await answer.read() == body
        assert answer.headers["Content-Length"] == str(size)
        assert answer.headers["Content-Type"] == "text/plain"
        assert waited == turns


async def test_the_head_alone_waits_for_nobody() -> None:
    async def turn() -> None:
        raise AssertionError("nothing is sent")

    async with (
        sending(bytes(9 * SLICE_BYTES), turn) as server,
        ClientSession() as session,
        session.head(server.make_url("/large")) as answer,
    ):
        assert answer.headers["Content-Length"] == str(9 * SLICE_BYTES)


async def test_who_waits_between_two_slices_keeps_nobody_waiting() -> None:
    may_go_on = asyncio.Event()
    async with (
        sending(bytes(3 * SLICE_BYTES), may_go_on.wait) as server,
        ClientSession() as session,
        session.get(server.make_url("/large")) as large,
    ):
        assert len(await large.content.readexactly(SLICE_BYTES)) == SLICE_BYTES
        async with session.get(server.make_url("/little")) as little:
            assert await little.read() == b"little"
        may_go_on.set()
        assert len(await large.content.read()) == 2 * SLICE_BYTES
