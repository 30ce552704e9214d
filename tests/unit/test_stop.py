"""A server that stops: whoever is there already is served, and told that the connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from gateway.dialects import DIALECTS
from gateway.web.cors import CorsPolicy
from gateway.web.middleware import RequestMiddleware
from gateway.web.proxies import TrustedPeers
from gateway.web.server import stop
from gateway.web.server.listen import HttpServer, listen
from gateway.web.server.options import Options
from gateway.web.server.response import RawResponse
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

KINDS = pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
GET = b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
HALF = "half a head"
MOMENT = 0.2
PATIENCE = 20.0


@dataclass
class Served:
    """A server, and a request that waits for ``go``."""

    server: HttpServer
    port: int
    began: asyncio.Event
    go: asyncio.Event

    async def accepted(self) -> None:
        """Until there is a connection."""
        server = self.server.runner.server
        assert server is not None
        while not server.connections:
            await asyncio.sleep(0)

    async def stopping(self) -> asyncio.Task[None]:
        """Told to stop, and some turns of the loop later."""
        task = asyncio.create_task(self.server.stop())
        while not self.server.stopping.told:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        return task


@asynccontextmanager
async def serving(*, plain: bool = False, seconds: float = PATIENCE) -> AsyncIterator[Served]:
    """The middleware and the connections, with handlers that say what they were sent."""
    began, go = asyncio.Event(), asyncio.Event()

    async def long(_: web.Request) -> web.StreamResponse:
        began.set()
        await go.wait()
        return web.Response(text="long")

    async def short(_: web.Request) -> web.StreamResponse:
        return web.Response(text="short")

    async def body(request: web.Request) -> web.StreamResponse:
        return web.Response(body=await request.read())

    async def raw(request: web.Request) -> web.StreamResponse:
        response = RawResponse(200, 3, b"")
        await response.begin(request, b"raw")
        response.end()
        return response

    middleware = RequestMiddleware(
        {},
        DIALECTS,
        cors=CorsPolicy(),
        proxies=TrustedPeers(()),
        prefix="",
        log_requests=False,
        log_as=lambda _: None,
        most_requests=100,
    )
    app = web.Application(middlewares=[middleware.run])
    app.on_response_prepare.append(middleware.complete)
    for handler in (long, short, body, raw):
        app.router.add_route("*", f"/{handler.__name__}", handler)
    options = Options(
        middleware.refuse_unparsed, 30.0, rounds=middleware.rounds, stop=middleware.stop
    )
    with socket.create_server((HOST, 0)) as sock:
        server = await listen(app, sock, options, shutdown_seconds=seconds, plain=plain)
        try:
            yield Served(server, sock.getsockname()[1], began, go)
        finally:
            await server.stop()


async def last_answer(raw: RawConnection) -> Answer:
    """The answer, which is the connection's last and says so."""
    answer = await raw.read_answer()
    assert ["close"] == answer.head.all("Connection")
    assert (b"", "eof") == await raw.read_ending()
    return answer


# What has been sent when the server is told to stop, what is sent then, and what is answered.
COMING = {
    "nothing": (b"", GET, b"short"),
    "nothing, and the response is ours": (b"", GET.replace(b"short", b"raw"), b"raw"),
    HALF: (GET[:9], GET[9:], b"short"),
    "a head without its body": (PUT, b"body", b"body"),
    "half a body": (PUT + b"bo", b"dy", b"body"),
    "all": (GET, b"", b"short"),
}


@KINDS
@pytest.mark.parametrize(("before", "after", "expected"), COMING.values(), ids=COMING.keys())
async def test_a_connection_that_was_there_is_served(
    plain: bool, before: bytes, after: bytes, expected: bytes
) -> None:
    async with serving(plain=plain) as served, raw_connection(served.port) as raw:
        await served.accepted()
        await check_served(served, raw, before, after, expected)


async def check_served(
    served: Served, raw: RawConnection, before: bytes, after: bytes, expected: bytes
) -> None:
    await raw.send(before)
    task = await served.stopping()
    await raw.send(after)
    assert expected == (await last_answer(raw)).body
    await task


# Idle between two requests is no request, and a plain connection cannot tell half a head from that.
NEXT = [
    pytest.param(plain, name, id=f"{name}-{'plain' if plain else 'ours'}")
    for plain in (False, True)
    for name in COMING
    if COMING[name][0] and not (plain and name == HALF)
]


@pytest.mark.parametrize(("plain", "name"), NEXT)
async def test_the_next_request_that_has_begun_is_served(plain: bool, name: str) -> None:
    async with serving(plain=plain) as served, raw_connection(served.port) as raw:
        assert 200 == (await raw.ask("GET", "/short")).status
        await check_served(served, raw, *COMING[name])


@KINDS
async def test_what_comes_in_that_very_moment_is_served(plain: bool) -> None:
    """More than begin in one turn of the loop; nothing of it was read when the stop begins."""
    async with serving(plain=plain) as served, contextlib.AsyncExitStack() as stack:
        kept = [await stack.enter_async_context(raw_connection(served.port)) for _ in range(30)]
        for each in kept:
            assert 200 == (await each.ask("GET", "/short")).status
        for each in kept:
            await each.send(GET)
        task = asyncio.create_task(served.server.stop())
        for each in kept:
            assert b"short" == (await last_answer(each)).body
        await task


@KINDS
async def test_a_connection_in_the_kernels_queue_is_served(plain: bool) -> None:
    async with serving(plain=plain) as served:
        waiting = [socket.create_connection((HOST, served.port)) for _ in range(20)]
        with contextlib.ExitStack() as stack:
            for each in waiting:
                stack.enter_context(each)
            task = await served.stopping()
            for each in waiting:
                each.setblocking(False)
                each.send(GET)
            for each in waiting:
                _, writer = streams = await asyncio.open_connection(sock=each)
                assert b"short" == (await last_answer(RawConnection(*streams))).body
                writer.close()
        await task


@KINDS
async def test_what_is_under_way_is_told_that_it_is_the_last(plain: bool) -> None:
    async with serving(plain=plain) as served, raw_connection(served.port) as raw:
        await raw.send_head("GET", "/long")
        await served.began.wait()
        task = await served.stopping()
        assert not task.done()
        served.go.set()
        assert b"long" == (await last_answer(raw)).body
        await task


@KINDS
async def test_a_kept_connection_is_served_while_others_are_waited_for(plain: bool) -> None:
    async with (
        serving(plain=plain) as served,
        raw_connection(served.port) as kept,
        raw_connection(served.port) as long,
    ):
        assert 200 == (await kept.ask("GET", "/short")).status
        await long.send_head("GET", "/long")
        await served.began.wait()
        task = await served.stopping()
        await kept.send_head("GET", "/short")
        assert b"short" == (await last_answer(kept)).body
        served.go.set()
        await task


@KINDS
async def test_who_says_nothing_keeps_nobody(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle connection no time, a new one a moment."""
    monkeypatch.setattr(stop, "MOMENT_SECONDS", MOMENT)
    loop = asyncio.get_running_loop()
    async with serving(plain=plain) as served, raw_connection(served.port) as kept:
        assert 200 == (await kept.ask("GET", "/short")).status
        began = loop.time()
        await served.server.stop()
        assert loop.time() - began < MOMENT
        assert (b"", "eof") == await kept.read_ending()
    async with serving(plain=plain) as served, raw_connection(served.port) as new:
        await served.accepted()
        began = loop.time()
        await served.server.stop()
        assert MOMENT <= loop.time() - began < PATIENCE / 2
        assert (b"", "eof") == await new.read_ending()


@KINDS
async def test_what_takes_longer_than_there_is_time_is_cut(plain: bool) -> None:
    async with serving(plain=plain, seconds=0.1) as served, raw_connection(served.port) as raw:
        await raw.send_head("GET", "/long")
        await served.began.wait()
        await served.server.stop()
        assert b"" == (await raw.read_ending())[0]
