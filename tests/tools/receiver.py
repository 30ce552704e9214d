"""A real, small receiver of webhooks that can be down, refuse, or hang."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from tests.tools.ports import HOST, free_port


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Header names as they came, in any case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return orjson.loads(self.body)


class Receiver:
    """Its port outlives its being down. ``decide`` gives a status, a response, or ``None`` to hang.

    ``most_at_once`` is how many requests there were at a time.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.tried: list[Received] = []
        self.taken: list[Received] = []
        self.delay_seconds = 0.0
        self.most_at_once = 0
        self._open = 0
        self.decide: Callable[[Received], int | web.Response | None] = lambda _: 200
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def up(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port, reuse_address=True).start()

    async def down(self) -> None:
        """Refuse connections; those that are open end."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, fulfilled: Callable[[], bool]) -> None:
        """Wait until it is so, looked at again after every request."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(fulfilled)

    async def _receive(self, request: web.Request) -> web.Response:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            return await self._answer(request)
        finally:
            self._open -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        received = Received(request.path, request.headers.copy(), await request.read())
        await asyncio.sleep(self.delay_seconds)
        decided = self.decide(received)
        status = decided.status if isinstance(decided, web.Response) else decided
        self.tried.append(received)
        if status is not None and status < 300:
            self.taken.append(received)
        async with self._changed:
            self._changed.notify_all()
        if status is None:
            await asyncio.Event().wait()
        if isinstance(decided, web.Response):
            return decided
        assert status is not None
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"})


@contextlib.asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    """A receiver that is up and takes everything until told otherwise."""
    receiver = Receiver()
    await receiver.up()
    try:
        yield receiver
    finally:
        await receiver.down()
