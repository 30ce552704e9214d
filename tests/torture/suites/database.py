"""D: the database goes away: a connection is cut at any statement of any operation, the server dies, nobody answers.

What was answered with success is there; what was answered with 503 (or an API's word for it) is there or not, whole;
nothing else is ever answered. No committed row loses its blob, and once swept no blob is left without a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import asyncpg

from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.file import Draft, Scope
from gateway.upkeep.check import check
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.faults.house import House, open_house
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.tools.pgproxy import Loss, Moment, PostgresProxy, running_pgproxy
from tests.torture.apis import Api, Refused, World, answered
from tests.torture.callers import add_people, callers_of
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

_TEXTS: Final = ("", "", "", "BEGIN", "COMMIT", "COMMIT", "COMMIT", "insert", "update")
_MOMENTS: Final[tuple[Moment, ...]] = ("before", "sent", "after")
_CONNECTIONS: Final = 4
_BACK_SECONDS: Final = 10
_NO_GRACE: Final = GracePeriods(-1, -1)
_STARTS_AGAIN: Final = "gateway.database.embedded"
_ENDED_BEHIND: Final = "Resetting connection with an active transaction"
_BUSY: Final = """
select count(*) from pg_stat_activity where datname = current_database()
 and application_name = 'filestore-gateway' and state <> 'idle'
"""


class LostDatabases:
    """A gateway, its database behind a proxy, and a second server that may be killed."""

    def __init__(
        self,
        stage: Stage,
        house: House,
        apis: Sequence[Api],
        proxy: PostgresProxy,
        dsn: str,
        errors: Errors,
    ) -> None:
        self._stage, self._house, self._apis = stage, house, apis
        self._proxy, self._dsn, self._errors = proxy, dsn, errors
        self._stack = contextlib.AsyncExitStack()
        self._mortal: LostDatabases | None = None

    async def case(self, number: int, choice: random.Random) -> Seen:
        """One way in which the database is not there."""
        ways = (self._lose, self._cancel, self._exhaust, self._die, self._kill)
        [way] = choice.choices(ways, (70, 14, 5, 7, 4))
        self._errors.told.clear()
        said = await way(number, choice)
        if self._errors.told:
            raise Violated(f"{said}: nobody foresaw {self._errors.told[0]}")
        return Seen({"cycles": "not reached" not in said, said: 1})

    async def close(self) -> None:
        """And the server that may be killed."""
        await self._stack.aclose()

    async def _lose(self, number: int, choice: random.Random) -> str:
        api, names, world = await self._begun(number, choice)
        moment = choice.choice(_MOMENTS)
        text = choice.choice(_TEXTS)
        skipped = 0 if text else choice.choice((0, 0, 1, 2, 3, 5, 8))
        before = self._proxy.lost
        self._proxy.plan(Loss(text, moment, dead=choice.random() < 0.1, skipped=skipped))
        step = api.step(world, names, choice)
        status = await answered(step.ask())
        lost = self._proxy.lost > before
        self._proxy.forget()
        self._proxy.revive()
        await self._ended(api, names, status, world, step.after, may_fail=lost)
        said = f"lost, {_word(api, status)}" if lost else f"not reached, {status}"
        return f"{moment} {text or 'any'}: {said}"

    async def _die(self, number: int, choice: random.Random) -> str:
        """All connections at once, at any moment of an operation; for a moment there are none."""
        api, names, world = await self._begun(number, choice)
        step = api.step(world, names, choice)
        asked = asyncio.create_task(answered(step.ask()))
        await asyncio.sleep(choice.random() ** 2 * 0.05)
        self._proxy.die()
        await asyncio.sleep(choice.random() * 0.05)
        self._proxy.revive()
        status = await asked
        await self._ended(api, names, status, world, step.after)
        return f"all connections: {_word(api, status)}"

    async def _exhaust(self, number: int, choice: random.Random) -> str:
        """Others have every connection: 503 in time, and nothing is stored."""
        api, names, world = await self._begun(number, choice)
        step = api.step(world, names, choice)
        database: Database = self._house.stores.files._database
        async with contextlib.AsyncExitStack() as held:
            for _ in range(_CONNECTIONS):
                await held.enter_async_context(database.session())
            status = await answered(step.ask())
        if status != api.away:
            raise Violated(f"{api.name}: {status} without a connection")
        await self._ended(api, names, status, world, world)
        return f"no connection: {_word(api, status)}"

    async def _kill(self, number: int, choice: random.Random) -> str:
        """The server itself, at once or by force; somebody starts it again."""
        rig = self._mortal or await self._with_own_server()
        self._mortal = rig
        api, names, world = await rig._begun(number, choice)
        step = api.step(world, names, choice)
        asked = asyncio.create_task(answered(step.ask()))
        await asyncio.sleep(choice.random() ** 2 * 0.05)
        how = choice.choice((signal.SIGQUIT, signal.SIGKILL, signal.SIGINT))
        os.kill(_postmaster(rig._stage.folder), how)
        status = await asked
        await rig._ended(api, names, status, world, step.after)
        return f"server {how.name}: {_word(api, status)}"

    async def _cancel(self, number: int, choice: random.Random) -> str:
        """A deposit that is cancelled at any of its awaits, with its commit or without."""
        scope, house = Scope("things", uuid4().hex), self._house
        database: Database = house.stores.files._database
        await database.run("add_scope", scope.kind, scope.owner)
        before, content = (
            house.descriptors(),
            choice.randbytes(choice.choice((10, 5_000, 1_200_000))),
        )
        task = asyncio.create_task(_deposit(house, scope, content))
        for _ in range(int(choice.random() ** 2 * 400)):
            await asyncio.sleep(0)
        task.cancel()
        if choice.random() < 0.5:
            for commit in tuple(house.files._commits):
                commit.cancel()
        await asyncio.gather(task, *house.files._commits, return_exceptions=True)
        record = await house.stores.files.find(scope, "f")
        if record is not None and record.content.size != len(content):
            raise Violated("half of what was sent is a file")
        if house.parts() or house.descriptors() != before:
            raise Violated(f"left: {house.parts()} {house.descriptors() - before}")
        if record is not None:
            await house.stores.files.remove(record.id, actor="t")
        await self._nothing_is_lost()
        return f"cancelled: {'stored' if record else 'nothing'}"

    async def _begun(
        self, number: int, choice: random.Random
    ) -> tuple[Api, tuple[str, str], World]:
        api, names = choice.choice(self._apis), (f"d{number}a", f"d{number}b")
        world: World = {}
        for _ in range(choice.randrange(4)):
            step = api.step(world, names, choice)
            status = await answered(step.ask())
            if status >= 300:
                raise Violated(f"{api.name}: {step.kind} is a {status}, and nothing is wrong")
            world = step.after
        return api, names, world

    async def _ended(
        self,
        api: Api,
        names: tuple[str, str],
        status: int,
        before: World,
        after: World,
        *,
        may_fail: bool = True,
    ) -> None:
        """What is there must be what the status says; then it is taken away."""
        if 300 <= status < 500 or (status >= 500 and not may_fail):
            raise Violated(f"{api.name}: {status}")
        if status not in (api.away, 200, 201, 204):
            raise Violated(f"{api.name}: {status} of a database that is away")
        await self._settled()
        seen = await self._seen(api, names)
        if seen not in ([before, after] if status >= 500 else [after]):
            raise Violated(f"{api.name}: {status}, and {seen} is neither {before} nor {after}")
        for name in seen:
            await api.remove(name)
        await self._nothing_is_lost()

    async def _seen(self, api: Api, names: tuple[str, str]) -> World:
        """Once the gateway has noticed the last of the connections that were lost."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _BACK_SECONDS
        while True:
            try:
                return await api.seen(names)
            except Refused as refused:
                if refused.status < 500 or loop.time() > until:
                    raise
            await asyncio.sleep(0.02)

    async def _settled(self) -> None:
        """Until no statement of the gateway's runs on the server any more."""
        async with asyncio.timeout(_BACK_SECONDS):
            while await self._value(_BUSY) != 0:
                await asyncio.sleep(0.005)

    async def _value(self, text: str) -> Any:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(self._dsn, timeout=2)
            try:
                return await connection.fetchval(text)
            finally:
                await connection.close()
        return None

    async def _nothing_is_lost(self) -> None:
        """No row without its blob; once swept, nothing that no row names."""
        stores = self._house.stores
        report = await check(stores.blobs, stores.ledger)
        if not report.sound:
            raise Violated(f"{report.findings}")
        await sweep(stores.blobs, stores.ledger, _NO_GRACE)
        report = await check(stores.blobs, stores.ledger)
        if report.findings:
            raise Violated(f"left over: {report.findings}")

    async def _with_own_server(self) -> LostDatabases:
        folder = self._stage.folder / "own"
        folder.mkdir()
        server = self._stack.enter_context(embedded_server(folder, superuser=True))
        stage = Stage(folder, server, self._stage.seed)
        return await self._stack.enter_async_context(_rig(stage))


def _word(api: Api, status: int) -> str:
    """503, in whichever way the API says it."""
    return "unavailable" if status == api.away else str(status)


class Errors(logging.Handler):
    """What is logged as our fault; a database that is away is none.

    Neither is a server of ours that is started again, nor asyncpg ending the transaction of who was cancelled.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.setFormatter(logging.Formatter())
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        said = self.format(record)
        if not (record.name == _STARTS_AGAIN or said.startswith(_ENDED_BEHIND)):
            self.told.append(said)


@contextlib.contextmanager
def logged_errors() -> Iterator[Errors]:
    """Whatever is logged as an error within the block."""
    errors = Errors()
    logging.getLogger().addHandler(errors)
    try:
        yield errors
    finally:
        logging.getLogger().removeHandler(errors)


def _postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])


async def _deposit(house: House, scope: Scope, content: bytes) -> None:
    principal = Principal(PrincipalKind.THING, "t", "thing")
    access = Access(principal, Action.CREATE, "test", scope, "f")
    deposit = Deposit(access, Draft(scope, "f", "a/b"), Mode.PUT)
    async with house.files.stage(scope) as writer:
        for start in range(0, len(content), 70_000):
            await writer.write(content[start : start + 70_000])
        await house.files.deposit(deposit, writer)


@contextlib.asynccontextmanager
async def _rig(stage: Stage) -> AsyncIterator[LostDatabases]:
    dsn = await new_database(stage.server, copied=True)
    await migrate(dsn, sql_folders())
    async with open_database(dsn, sql_folders(), connections=2) as database:
        await add_people(database)
    async with (
        contextlib.AsyncExitStack() as stack,
        running_pgproxy(dsn) as (proxy, through),
        open_house(
            through,
            stage.folder / "data",
            {},
            quota_newcomers="",
            garbage_grace_seconds=0,
            losant_upkeep_seconds=0,
            read_cache_seconds=0,
            database_connections=_CONNECTIONS,
            database_wait_seconds=0.5,
        ) as house,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        errors = stack.enter_context(logged_errors())
        apis = await callers_of(session, lambda: house.url)
        rig = LostDatabases(stage, house, apis, proxy, dsn, errors)
        try:
            yield rig
        finally:
            await rig.close()


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The cases of one gateway."""
    async with _rig(stage) as rig:
        yield rig.case


SUITE: Final = Suite(
    name="database",
    what="connections cut at any statement, servers that die, pools without a connection, "
    "cancellation at any await",
    unit="cycles",
    full=2_000,
    small=8,
    opened=opened,
)
