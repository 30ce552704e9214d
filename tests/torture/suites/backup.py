"""S: backups beside a gateway that is written to by every API, each restored into an empty place and compared.

A case adds to a stock of files, takes a backup into the vault that all cases share while callers change everything
they can, and restores it where there is no deployment, into a database that is empty. A gateway is started there, and
every file is read from it. The moment of a backup is not known, but that it is one: what a caller's names hold there is
what they held all at once at some time after the backup began, and so is each file of the stock. Nothing acknowledged
before is missing, ``check`` and ``verify`` find nothing.

Rule: what is swept is swept at once, so that only the backup's own hold keeps a blob that was replaced meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import aiohttp

from gateway.database.pool import open_database
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.torture.apis import Api, Mainflux, World, sha256, some_content
from tests.torture.callers import add_people, callers_of
from tests.torture.mortal import Mortals, mortals
from tests.torture.suite import Case, Seen, Stage, Suite, Violated
from tests.torture.suites.crash import SETTINGS

_NEW_FILES: Final = 100
_AT_ONCE: Final = 8
_KEPT: Final = 3
_LEAD_SECONDS: Final = 0.2
T = TypeVar("T")


class History(Generic[T]):
    """What something was, one after another. The last may not be yet: it was asked for."""

    def __init__(self, first: T) -> None:
        self.all = [first]
        self._sure = 0

    def ask(self, later: T) -> None:
        """It may be this from now on."""
        self.all.append(later)

    def acknowledge(self) -> None:
        """It is."""
        self._sure = len(self.all) - 1

    def forget(self) -> None:
        """What it was before what it surely is."""
        del self.all[: self._sure]
        self._sure = 0


class Changing:
    """One caller, who goes on until it is over, and what its names held."""

    def __init__(self, api: Api, names: tuple[str, str], choice: random.Random) -> None:
        self.api, self.names = api, names
        self.worlds: History[World] = History({})
        self._choice = choice

    async def go_on(self, over: asyncio.Event) -> None:
        """Whatever may be asked, without a pause."""
        while not over.is_set():
            step = self.api.step(self.worlds.all[-1], self.names, self._choice)
            self.worlds.ask(step.after)
            if (status := await step.ask()) >= 300:
                raise Violated(f"{self.api.name}: {step.kind} is a {status}")
            self.worlds.acknowledge()


class Backups:
    """A gateway, its vault, and all that was ever acknowledged."""

    def __init__(self, stage: Stage, lives: Mortals, session: aiohttp.ClientSession) -> None:
        self._stage, self._lives = stage, lives
        self._session, self._vault = session, stage.folder / "vault"
        self._apis: Sequence[Api] = ()
        self._stock: dict[str, History[str]] = {}
        self.url = lives.url

    async def meet(self) -> None:
        """Somebody for each API."""
        self._apis = await callers_of(self._session, lambda: self.url)

    async def case(self, number: int, choice: random.Random) -> Seen:
        """Add, back up, restore, compare."""
        await self._add((number + 1) * _NEW_FILES - len(self._stock), choice)
        changing = [
            Changing(api, (f"s{number}-{n}a", f"s{number}-{n}b"), random.Random(choice.random()))
            for n, api in enumerate(self._apis)
        ]
        over, replaced = asyncio.Event(), random.Random(choice.random())
        async with asyncio.TaskGroup() as tasks:
            for one in changing:
                tasks.create_task(one.go_on(over))
            tasks.create_task(self._replace(over, replaced))
            await asyncio.sleep(_LEAD_SECONDS)
            self._forget(changing)
            await self._run(self._lives, "backup", "--keep", str(_KEPT))
            over.set()
        await self._run(self._lives, "verify")
        compared = await self._restored(changing)
        await self._clear(changing)
        steps = sum(len(one.worlds.all) for one in changing)
        return Seen({"files": compared, "backups": 1, "changed meanwhile": steps})

    @property
    def _thing(self) -> Mainflux:
        return next(api for api in self._apis if isinstance(api, Mainflux))

    async def _add(self, count: int, choice: random.Random) -> None:
        """So many files more, a few at a time."""
        contents = [some_content(choice) for _ in range(max(0, count))]
        waiting = iter(enumerate(contents, len(self._stock)))

        async def take_turns() -> None:
            for number, content in waiting:
                name = f"stock-{number}"
                await self._thing.publish(name, content)
                self._stock[name] = History(sha256(content))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(take_turns())

    async def _replace(self, over: asyncio.Event, choice: random.Random) -> None:
        """Any of the stock, without a pause."""
        while not over.is_set():
            name, content = choice.choice(list(self._stock)), some_content(choice)
            self._stock[name].ask(sha256(content))
            if (status := await self._thing.replace(name, content)) >= 300:
                raise Violated(f"{name} is not replaced: {status}")
            self._stock[name].acknowledge()

    def _forget(self, changing: Sequence[Changing]) -> None:
        """What nothing can be any more, if the backup begins now."""
        for one in changing:
            one.worlds.forget()
        for digests in self._stock.values():
            digests.forget()

    async def _run(self, lives: Mortals, command: str, *more: str) -> None:
        if status := await lives.command(command, str(self._vault), *more):
            raise Violated(f"{command} ended with {status}: {lives.log[-4000:]}")

    async def _restored(self, changing: Sequence[Changing]) -> int:
        """Elsewhere, and everything compared there; how many files."""
        folder = self._stage.folder / "elsewhere"
        folder.mkdir()
        dsn = await new_database(self._stage.server)
        try:
            async with mortals(folder, dsn, **SETTINGS) as there:
                await self._run(there, "restore")
                await there.start()
                self.url = there.url
                compared = await self._compare(changing)
                if status := await there.command("check"):
                    raise Violated(f"check ended with {status}: {there.log[-4000:]}")
                await there.kill()
        finally:
            self.url = self._lives.url
            await asyncio.to_thread(shutil.rmtree, folder)
        return compared

    async def _compare(self, changing: Sequence[Changing]) -> int:
        names = 0
        for one in changing:
            await one.api.settled()
            found = await one.api.seen(one.names)
            names += len(found)
            if found not in one.worlds.all:
                raise Violated(f"{one.api.name}: {found} is none of {one.worlds.all}")
        waiting = iter(self._stock.items())

        async def take_turns() -> None:
            for name, digests in waiting:
                found = await self._thing.digest(name)
                if found not in digests.all:
                    raise Violated(f"{name} is {found}, and was {digests.all}")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(take_turns())
        return names + len(self._stock)

    async def _clear(self, changing: Sequence[Changing]) -> None:
        """What the callers made; the stock stays."""
        for one in changing:
            for name in one.worlds.all[-1]:
                await one.api.remove(name)


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The gateway, with somebody for each API."""
    dsn = await new_database(stage.server, copied=True)
    folder: Path = stage.folder / "here"
    folder.mkdir()
    async with (
        open_database(dsn, sql_folders(), connections=2) as database,
        mortals(folder, dsn, **SETTINGS) as lives,
        aiohttp.ClientSession() as session,
    ):
        await add_people(database)
        await lives.start()
        backups = Backups(stage, lives, session)
        await backups.meet()
        yield backups.case


SUITE: Final = Suite(
    name="backup",
    what="backups taken while every API writes, each restored into an empty place: every acknowledged "
    "file is there, as it was at one moment",
    unit="files",
    full=10_000,
    small=0,  # ``tests/commands/test_backup.py``
    opened=opened,
    processes=1,
    seconds=180.0,
)
