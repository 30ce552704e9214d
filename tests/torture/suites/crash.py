"""A: SIGKILL at every step of every operation, and a restart; what was acknowledged is compared byte for byte.

One case is a few lives of a gateway, one after the other: each is told by which call to die, asked for a few operations
of some API, and is dead then; the next life is asked what there is, which must be what was acknowledged, with or without
the one operation that was under way. Some die before they serve. After the last all of it is removed again, and nothing
may be left, so that every case begins from nothing. In some a backup or a scrub dies beside a gateway that goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp
import asyncpg

from gateway.blobs.disk.store import DiskBlobStore, open_disk_store
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.database.pool import Database, open_database
from gateway.upkeep.check import check
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.tools.receiver import running_receiver
from tests.torture.apis import Api, Step, World, answered
from tests.torture.callers import add_people, callers_of, hooked_caller, tree_caller
from tests.torture.mortal import POINTS, SIDES, STATEMENTS, Death, Mortals, mortals
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

SETTINGS: Final = {
    "secret": "s" * 32,
    "quota_newcomers": "",
    "sweep_interval_seconds": 0.1,
    "garbage_grace_seconds": 0,
    "orphan_grace_seconds": 5,
    "incoming_grace_seconds": 5,
    "read_cache_seconds": 0,
    "losant_upkeep_seconds": 0.2,
    "webhook_private_targets": True,
    "webhook_confirmation": "false",
    "webhook_retry_seconds": 0.05,
    "webhook_attempts": 1000,
    "database_connections": 4,
}
_NTH: Final = (1, 1, 1, 2, 2, 3, 4, 6, 9)
_MOST_STEPS: Final = 6
_LIVES: Final = (1, 3, 5, 8)
_STILLBORN: Final = 0.1
_LINGER_SECONDS: Final = 0.15
_BACKUPS: Final = 0.01
_SCRUBS: Final = 0.06
_BACKUP_POINTS: Final = ("open", "write", "fsync", "rename", "mkdir", "fetch", "unlink")
_SCRUB_POINTS: Final = ("open", "close", *STATEMENTS, "begin", "commit")
_FOUND: Final = 1 << 8  # how ``os.waitpid`` says that a command ended with 1
_NO_GRACE: Final = GracePeriods(-1, -1)


class Account:
    """What one caller's two names may hold: one world, or two while an answer is missing."""

    def __init__(self, api: Api, names: tuple[str, str], choice: random.Random) -> None:
        self.api, self.names, self._choice = api, names, choice
        self.worlds: list[World] = [{}]
        self.acknowledged = 0
        self.under_way = ""

    async def work(self) -> None:
        """Ask for one thing after the other, until nobody answers."""
        with contextlib.suppress(aiohttp.ClientError):
            for _ in range(_MOST_STEPS):
                [world] = self.worlds
                await self._take(self.api.step(world, self.names, self._choice))

    async def _take(self, step: Step) -> None:
        self.worlds, self.under_way = [*self.worlds, step.after], step.kind
        status = await answered(step.ask())
        if status >= 500:
            await self.look()
        elif status >= 300:
            raise Violated(f"{self.api.name}: {step.kind} in {self.worlds[0]}: {status}")
        else:
            self.worlds = [step.after]
            self.acknowledged += 1
        self.under_way = ""

    async def look(self) -> None:
        """What is there must be what may be. Raises ``Violated``."""
        seen = await self.api.seen(self.names)
        if seen not in self.worlds:
            raise Violated(f"{self.api.name}: {seen} is none of {self.worlds}")
        self.worlds = [seen]

    async def clear(self) -> None:
        """Remove everything."""
        for name in tuple(self.worlds[0]):
            status = await self.api.remove(name)
            if status not in (200, 204):
                raise Violated(f"{self.api.name}: {name} cannot be removed: {status}")
        await self.api.settled()
        self.worlds = [{}]


class Crashes:
    """One folder, one database, and the lives that go by over them."""

    def __init__(
        self,
        lives: Mortals,
        apis: Sequence[Api],
        rows: asyncpg.Connection,
        blobs: DiskBlobStore,
        database: Database,
    ) -> None:
        self._lives, self._apis, self._rows = lives, apis, rows
        self._blobs, self._ledger = blobs, PostgresBlobLedger(database)

    async def case(self, number: int, choice: random.Random) -> Seen:
        """Some lives, and what the last one says; or what dies beside one."""
        way = choice.random()
        if way < _BACKUPS:
            return await self._backup(number, choice)
        if way < _BACKUPS + _SCRUBS:
            return await self._scrub(number, choice)
        accounts = [
            Account(api, (f"c{number}-{n}a", f"c{number}-{n}b"), choice)
            for n, api in enumerate(choice.sample(self._apis, choice.choice((1, 1, 2))))
        ]
        seen = Seen()
        for _ in range(choice.choice(_LIVES)):
            seen += await self._life(accounts, choice)
        await self._lives.alive(self._afterwards(accounts))
        seen["acknowledged"] = sum(account.acknowledged for account in accounts)
        return seen

    async def _life(self, accounts: Sequence[Account], choice: random.Random) -> Seen:
        """One life, its end, and what the next one finds."""
        death = self._death(choice)
        await self._live(accounts, death, choice)
        seen = Seen({"kills": 1, str(death): 1})
        for account in accounts:
            seen[f"killed in {account.api.name} {account.under_way}"] += bool(account.under_way)
        if choice.random() < _STILLBORN:
            await self._let_go()
            await self._lives.start_to_die(self._death(choice))
            seen += Seen({"kills": 1, "killed at its start": 1})
        await self._let_go()
        await self._lives.start()
        await self._lives.alive(_looked(accounts))
        return seen

    async def _afterwards(self, accounts: Sequence[Account]) -> None:
        await _looked(accounts)
        for account in accounts:
            await account.clear()
        await self._nothing_is_left()

    async def _backup(self, number: int, choice: random.Random) -> Seen:
        """A backup that is killed beside a service that goes on; the one after it is whole."""
        account = await self._worked(number, choice)
        death = Death(choice.choice(_BACKUP_POINTS), choice.choice(SIDES), choice.randrange(1, 30))
        vault = str(self._lives.folder / "vault")
        killed = await self._errand("backup", vault, death=death)
        await self._errand("backup", vault)
        await self._errand("verify", vault)
        shutil.rmtree(vault)
        await self._lives.alive(self._afterwards([account]))
        return Seen({"kills": killed, "killed in backup": killed})

    async def _scrub(self, number: int, choice: random.Random) -> Seen:
        """A scrub that is killed while it finds damage, and one while that is right again.

        The next goes on with it: what was injured, and nothing else, is in quarantine, and was told of once.
        """
        account = await self._worked(number, choice)
        injured = await self._injured(choice)
        killed = int(await self._scrubbed(choice, found=bool(injured)))
        await self._check_quarantine(injured, injured, "quarantined")
        for path, content in injured.values():
            path.write_bytes(content)
        killed += await self._scrubbed(choice, found=False)
        await self._check_quarantine({}, injured, "released")
        await self._lives.alive(self._afterwards([account]))
        return Seen({"kills": killed, "killed in scrub": killed})

    async def _scrubbed(self, choice: random.Random, *, found: bool) -> bool:
        """One that is to die, and one that goes on with it; whether the first one did die."""
        death = Death(choice.choice(_SCRUB_POINTS), choice.choice(SIDES), choice.randrange(1, 25))
        killed = await self._errand("scrub", death=death, ends=(0, _FOUND))
        await self._rows.execute(_TIME_PASSES)
        await self._errand("scrub", ends=(_FOUND if found else 0,))
        return killed

    async def _errand(
        self, *argv: str, death: Death | None = None, ends: Sequence[int] = (0,)
    ) -> bool:
        """One of the service's commands beside it; whether it was killed. Raises ``Violated``."""
        status = await self._lives.command(*argv, death=death)
        killed = death is not None and status == signal.SIGKILL
        if not killed and status not in ends:
            raise Violated(f"{argv[0]} ended with {status}: {self._lives.log[-4000:]}")
        return killed

    async def _worked(self, number: int, choice: random.Random) -> Account:
        account = Account(choice.choice(self._apis), (f"c{number}-a", f"c{number}-b"), choice)
        await self._lives.alive(account.work())
        return account

    async def _injured(self, choice: random.Random) -> dict[UUID, tuple[Path, bytes]]:
        """Some blobs of which a bit is another by now, and what they were."""
        injured = {}
        for row in await self._rows.fetch(_BLOBS):
            if choice.random() < 0.5:
                path = (
                    self._lives.folder / "data/blobs" / row["kind"] / row["owner"] / str(row["id"])
                )
                content = path.read_bytes()
                injured[row["id"]] = path, content
                path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        return injured

    async def _check_quarantine(
        self, inside: Collection[UUID], noted: Collection[UUID], event: str
    ) -> None:
        found = {row["blob_id"] for row in await self._rows.fetch("select blob_id from quarantine")}
        if found != set(inside):
            raise Violated(f"in quarantine: {found}, injured: {set(inside)}")
        told = [row["blob_id"] for row in await self._rows.fetch(_NOTED, event, list(noted))]
        if sorted(told) != sorted(noted):
            raise Violated(f"noted as {event}: {told} of {list(noted)}")

    def _death(self, choice: random.Random) -> Death:
        return Death(choice.choice(POINTS), choice.choice(SIDES), choice.choice(_NTH))

    async def _live(self, accounts: Sequence[Account], death: Death, choice: random.Random) -> None:
        """Until it is dead: by itself, or, if it never comes there, by us at any time."""
        self._lives.plan.set(death)
        working = asyncio.create_task(_all(accounts))
        dying = asyncio.create_task(self._lives.until_dead())
        try:
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({dying}, timeout=choice.random() * _LINGER_SECONDS)
        finally:
            dying.cancel()
        await self._lives.kill()
        while not working.done():
            self._lives.forget_callers()
            await asyncio.sleep(0.002)
        await working

    async def _let_go(self) -> None:
        """Until the database is through with what the last life asked of it, and its leases are over."""
        while await self._rows.fetchval(_BUSY):
            await asyncio.sleep(0.002)
        await self._rows.execute(_TIME_PASSES)

    async def _nothing_is_left(self) -> None:
        """Every row has its bytes; and, once swept, nothing is there that no row names."""
        report = await check(self._blobs, self._ledger)
        if not report.sound:
            raise Violated(f"rows without their blob: {report.findings}")
        await sweep(self._blobs, self._ledger, _NO_GRACE)
        report = await check(self._blobs, self._ledger)
        if report.blobs or report.findings:
            raise Violated(f"left over: {report.blobs} rows, {report.findings}")


async def _looked(accounts: Sequence[Account]) -> None:
    for account in accounts:
        await account.look()


async def _all(accounts: Sequence[Account]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for account in accounts:
            tasks.create_task(account.work())


_BUSY: Final = """
select count(*) from pg_stat_activity
 where datname = current_database() and application_name = 'filestore-gateway'
   and pid <> pg_backend_pid() and state <> 'idle' and usename is not null
   and query not ilike 'listen%'
"""
_TIME_PASSES: Final = """
with jobs as (update losant_jobs set due_at = now()),
portions as (update scrub_portions set leased_until = '-infinity')
update webhooks set leased_until = now(), retry_at = now()
"""
_BLOBS: Final = """
select b.id, b.kind, b.owner from blobs b join files f on f.blob_id = b.id where b.size > 0 order by b.id
"""
_NOTED: Final = "select blob_id from audit where event = $1 and blob_id = any ($2::uuid[])"


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """A deployment with somebody for each API, and a first life."""
    dsn = await new_database(stage.server, copied=True)
    rows = await asyncpg.connect(dsn)
    async with (
        open_database(dsn, sql_folders(), connections=2) as database,
        open_disk_store(stage.folder / "data") as blobs,
        mortals(stage.folder, dsn, **SETTINGS) as lives,
        running_receiver() as receiver,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        await add_people(database)
        await lives.start()
        apis = [
            *await callers_of(session, lambda: lives.url),
            await tree_caller(session, lambda: lives.url),
            await hooked_caller(session, lambda: lives.url, receiver),
        ]
        yield Crashes(lives, apis, rows, blobs, database).case
        await rows.close()


SUITE: Final = Suite(
    name="crash",
    what="SIGKILL at every step of every operation of every API, restart, all read back",
    unit="kills",
    full=10_000,
    small=3,
    opened=opened,
    processes=3,
    seconds=120.0,
)
