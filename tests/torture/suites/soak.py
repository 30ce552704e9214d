"""L: mixed load on one gateway for long, with clients that vanish; nothing grows that should not.

One case is a round: callers of every API do a few things each, some are killed in the middle, everything is removed
again. After each round the gateway's descriptors, threads and memory are noted, and the size of its database and disk; once
there are enough, the last third is held against the first one.

Rule: slopes are judged and not values, for what is normal depends on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import aiohttp
import asyncpg

from gateway.database.pool import open_database
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.torture.apis import Api, World, answered
from tests.torture.callers import add_people, callers_of
from tests.torture.mortal import Mortals, mortals
from tests.torture.suite import Case, Seen, Stage, Suite, Violated
from tests.torture.suites.crash import SETTINGS

_STEPS: Final = 5
_WARM_ROUNDS: Final = 30
_ENOUGH_ROUNDS: Final = 90
_KILLED: Final = 0.3
_REST_SECONDS: Final = 20.0
_REST_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """What a gateway has: descriptors, threads, KiB of memory; files on its disk, KiB of database."""

    descriptors: int
    threads: int
    memory: int
    stored: int
    database: int


MAY_GROW: Final = Sample(descriptors=20, threads=4, memory=20_000, stored=40, database=30_000)
"""By so much the last third may be above the first; beside a tenth of it."""


def grown(samples: Sequence[Sample]) -> list[str]:
    """What is more in the last third than it was in the first, by more than it may."""
    third = len(samples) // 3
    found = []
    for place, name in enumerate(Sample.__dataclass_fields__):
        first = fmean(astuple(sample)[place] for sample in samples[:third])
        last = fmean(astuple(sample)[place] for sample in samples[-third:])
        if last > first * 1.1 + astuple(MAY_GROW)[place]:
            found.append(f"{name}: {first:.0f} to {last:.0f}")
    return found


class Soak:
    """A gateway and its callers, round after round."""

    def __init__(
        self, lives: Mortals, apis: Sequence[Api], rows: asyncpg.Connection, data: Path
    ) -> None:
        self._lives, self._apis, self._rows, self._data = lives, apis, rows, data
        self._samples: list[Sample] = []
        self._rounds = 0

    async def case(self, number: int, choice: random.Random) -> Seen:
        """One round, and what there is after it."""
        outcomes = await asyncio.gather(
            *(
                self._ask(
                    api, (f"l{number}-{n}a", f"l{number}-{n}b"), random.Random(choice.random())
                )
                for n, api in enumerate(self._apis)
            )
        )
        if not self._lives.lives():
            raise Violated(f"the gateway died: {self._lives.log[-3000:]}")
        self._rounds += 1
        if self._rounds > _WARM_ROUNDS:
            self._samples.append(await self._sample())
        if len(self._samples) >= _ENOUGH_ROUNDS and (found := grown(self._samples)):
            raise Violated(f"over {len(self._samples)} rounds: {', '.join(found)}")
        return Seen({"rounds": 1, "requests": sum(outcomes)})

    async def _ask(self, api: Api, names: tuple[str, str], choice: random.Random) -> int:
        """Some steps, of which one may be cut; then all of it is taken away."""
        world: World = {}
        for n in range(_STEPS):
            step = api.step(world, names, choice)
            asked = asyncio.create_task(answered(step.ask()))
            if choice.random() < _KILLED:
                await asyncio.wait({asked}, timeout=choice.random() * 0.05)
                asked.cancel()
                await asyncio.wait({asked})
                world = await _settled(api, names)
                continue
            if (status := await asked) >= 300:
                # What was cut may have happened since it was looked for.
                world, late = await _settled(api, names), n > 0 and status in (400, 404, 409, 412)
                if not late:
                    raise Violated(f"{api.name}: {step.kind} is a {status}")
                continue
            world = step.after
        for name in await api.seen(names):
            await api.remove(name)
        return _STEPS

    async def _sample(self) -> Sample:
        process = Path(f"/proc/{self._lives.pid}")
        status = dict(
            line.split(":", 1)
            for line in (process / "status").read_text().splitlines()
            if ":" in line
        )
        size = await self._rows.fetchval("select pg_database_size(current_database()) / 1024")
        stored = await asyncio.to_thread(lambda: sum(p.is_file() for p in self._data.rglob("*")))
        return Sample(
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            memory=int(status["VmRSS"].split()[0]),
            stored=stored,
            database=int(size),
        )


async def _settled(api: Api, names: tuple[str, str]) -> World:
    """What is there once a commit that nobody waits for has had its end: twice the same.

    Raises ``Violated`` if it does not come to rest.
    """
    before: World | None = None
    async with asyncio.timeout(_REST_SECONDS):
        while True:
            try:
                world = await api.seen(names)
            except Violated:  # it changed between two questions
                world = None
            if world is not None and world == before:
                return world
            before = world
            await asyncio.sleep(_REST_PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The gateway, with somebody for each API."""
    dsn = await new_database(stage.server, copied=True)
    rows = await asyncpg.connect(dsn)
    async with (
        open_database(dsn, sql_folders(), connections=2) as database,
        mortals(stage.folder, dsn, **(SETTINGS | {"incoming_grace_seconds": 1})) as lives,
        aiohttp.ClientSession() as session,
    ):
        await add_people(database)
        await lives.start()
        apis = await callers_of(session, lambda: lives.url)
        yield Soak(lives, apis, rows, stage.folder / "data").case
    await rows.close()


SUITE: Final = Suite(
    name="soak",
    what="mixed load of every API with clients that vanish; descriptors, threads, memory, disk and "
    "database do not grow",
    unit="rounds",
    full=3_000,
    small=2,
    opened=opened,
    processes=1,
)
