"""Q: gateways that share one listening socket are replaced in turn, under load: nobody is refused, nobody waits for ever.

One case is a round: each of three gateways gets a successor and SIGTERM, while callers of every API ask on new
connections all the time. Every request has an answer within seconds, no answer is our fault, and what was acknowledged
is there.

Rule: the socket belongs to whoever starts gateways (systemd, or this), so it is never closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

import aiohttp

from gateway.database.pool import open_database
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.torture.apis import Api, World
from tests.torture.callers import add_people, callers_of
from tests.torture.mortal import Mortals, mortals
from tests.torture.suite import Case, Seen, Stage, Suite, Violated
from tests.torture.suites.crash import SETTINGS

_GATEWAYS: Final = 3
_ANSWER_SECONDS: Final = 30.0
_BESIDE_SECONDS: Final = 0.3


class Rounds:
    """Three gateways, and who asks them."""

    def __init__(self, lives: Mortals, apis: Sequence[Api]) -> None:
        self._lives, self._apis = lives, apis
        self._pids: list[int] = []
        self._asked = 0
        self._longest = 0.0

    async def start(self) -> None:
        """All three."""
        while len(self._pids) < _GATEWAYS:
            self._pids.append(await self._lives.another())

    async def case(self, number: int, choice: random.Random) -> Seen:
        """One round."""
        self._asked, over = 0, asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for n, api in enumerate(self._apis):
                names = (f"q{number}-{n}a", f"q{number}-{n}b")
                tasks.create_task(self._ask(api, names, random.Random(choice.random()), over))
            for _ in range(_GATEWAYS):
                old = self._pids.pop(0)
                self._pids.append(await self._lives.another())
                await asyncio.sleep(choice.random() * _BESIDE_SECONDS)
                await self._lives.terminate(old)
            over.set()
        return Seen({"rounds": 1, "requests": self._asked})

    async def _ask(
        self, api: Api, names: tuple[str, str], choice: random.Random, over: asyncio.Event
    ) -> None:
        """Without a pause, until it is over; then everything is there, and taken away."""
        world: World = {}
        while not over.is_set():
            step = api.step(world, names, choice)
            status = await self._timed(api, step.ask())
            if status >= 300:
                raise Violated(f"{api.name}: {step.kind} is a {status}")
            world = step.after
        if await api.seen(names) != world:
            raise Violated(f"{api.name}: what was acknowledged is not there")
        for name in world:
            await self._timed(api, api.remove(name))

    async def _timed(self, api: Api, asked: object) -> int:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status: int = await asked  # type: ignore[misc]
        except (aiohttp.ClientError, TimeoutError) as exc:
            spent = time.monotonic() - began
            raise Violated(f"{api.name}: {exc!r} after {spent:.2f} s") from exc
        self._asked += 1
        return status


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The first three, and somebody for each API."""
    dsn = await new_database(stage.server, copied=True)
    async with (
        open_database(dsn, sql_folders(), connections=2) as database,
        mortals(stage.folder, dsn, **SETTINGS) as lives,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        await add_people(database)
        rounds = Rounds(lives, [])
        await rounds.start()
        rounds._apis = await callers_of(session, lambda: lives.url)
        yield rounds.case


SUITE: Final = Suite(
    name="restart",
    what="three gateways behind one socket, replaced in turn under load of every API",
    unit="rounds",
    full=100,
    small=1,
    opened=opened,
    processes=1,
)
