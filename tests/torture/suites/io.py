"""C: system calls that fail, under every API's operations and downloads.

One case lets the nth call of a kind fail, and every later one, while something is asked. A failure is worded, with 507
where the disk is full and 500 where it is broken; then nothing has changed and nothing is left over, a file was synced
once at most, and the next operation works. A download is whole, refused before its first byte, or cut.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import aiohttp
import asyncpg
import pytest

from gateway.blobs.disk.folders import Disk
from gateway.blobs.disk.store import DiskBlobStore
from gateway.database.pool import open_database
from gateway.upkeep.check import check, entries_of
from gateway.upkeep.quarantine import Ward
from gateway.upkeep.repair import mend
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.faults.broken import Faults
from tests.faults.house import House, open_house
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.torture.apis import Api, World
from tests.torture.callers import add_people, callers_of
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

FULL: Final = (errno.ENOSPC, errno.EDQUOT)
BROKEN: Final = (errno.EIO, errno.EMFILE, errno.EINTR, errno.EROFS)


def _below_blobs(depth: int) -> Callable[[str], bool]:
    def match(path: str) -> bool:
        return path.rpartition("/blobs/")[2].count("/") == depth and "/blobs/" in path

    return match


def _is_part(path: str) -> bool:
    return path.endswith(".part")


def _is_root(path: str) -> bool:
    return path.endswith("/blobs")


KIND, SCOPE, BLOB = _below_blobs(0), _below_blobs(1), _below_blobs(2)
WRITES: Final = (
    ("fstatvfs", _is_root, (errno.EIO,)),
    ("open", _is_part, (*FULL, *BROKEN)),
    ("flock", _is_part, (errno.EIO, errno.ENOLCK)),
    ("write", _is_part, (*FULL, errno.EFBIG, errno.EIO, errno.EINTR)),
    ("fsync", _is_part, (*FULL, errno.EIO)),
    ("close", _is_part, (errno.EDQUOT, errno.EIO)),
    ("mkdir", KIND, (*FULL, errno.EIO)),
    ("mkdir", SCOPE, (*FULL, errno.EIO)),
    ("open", SCOPE, BROKEN),
    ("fsync", _is_root, (errno.EIO,)),
    ("fsync", KIND, (*FULL, errno.EIO)),
    ("fsync", SCOPE, (*FULL, errno.EIO)),
    ("link", BLOB, (*FULL, errno.EIO, errno.EMLINK)),
    ("unlink", _is_part, (errno.EIO,)),
    ("unlink", BLOB, (errno.EIO,)),
)
REMOVALS: Final = WRITES[-2:]
READS: Final = (
    ("open", BLOB, (errno.EIO, errno.EMFILE, errno.EACCES)),
    ("fstat", BLOB, (errno.EIO,)),
    ("pread", BLOB, (errno.EIO,)),
    ("preadv", BLOB, (errno.EIO, errno.EAGAIN)),
    ("sendfile", BLOB, (errno.EIO,)),
)
_STORING: Final = ("create", "replace", "direct", "complete")
_AT: Final = (1, 1, 1, 1, 2, 3)
_FAULTS: Final = 4
_TRIES: Final = 6
_SIZES: Final = (1, 5_000, 70_000, 300_000, 5_000_000)
_NO_GRACE: Final = GracePeriods(-1, -1)


class BrokenDisks:
    """Two gateways over one disk, with their fast ways and without; and what stands before the disk."""

    def __init__(
        self,
        houses: Sequence[House],
        callers: Sequence[Sequence[Api]],
        rows: asyncpg.Connection,
        faults: Faults,
    ) -> None:
        self._houses, self._callers = houses, callers
        self._rows, self._faults = rows, faults

    async def case(self, number: int, choice: random.Random) -> Seen:
        """A few faults, each under one operation or download of the same caller."""
        which = choice.randrange(len(self._houses))
        house, api = self._houses[which], choice.choice(self._callers[which])
        if choice.random() < 0.35:
            return await self._reads(number, api, choice)
        return await self._writes(number, house, api, choice)

    async def _writes(self, number: int, house: House, api: Api, choice: random.Random) -> Seen:
        """Operations on a disk that fails now and then, each of which is followed by one on a good disk."""
        names, seen = (f"i{number}a", f"i{number}b"), Seen()
        world: World = {}
        await self._swept(house)
        for _ in range(_FAULTS):
            for _ in range(_TRIES):
                world, said = await self._write(house, api, world, names, choice)
                if self._faults.hits:
                    seen += Seen({"faults": 1, said: 1})
                    break
            await self._swept(house)
            world = await self._done(api, world, names, choice)
        for name in world:
            await api.remove(name)
        await self._swept(house)
        return seen

    async def _write(
        self, house: House, api: Api, world: World, names: tuple[str, str], choice: random.Random
    ) -> tuple[World, str]:
        """One operation under one fault, which may not come to pass; the world after it."""
        self._faults.hits = 0
        self._faults.synced.clear()
        before, blobs = house.descriptors(), house.blobs()
        step = api.step(world, names, choice)
        call, match, errors = choice.choice(WRITES if step.kind in _STORING else REMOVALS)
        error, at = choice.choice(errors), choice.choice(_AT)
        if choice.random() < 0.3:
            disk_of(house)._durable_folders.clear()  # as after a restart
        with self._faulty(call, match, error, at, choice):
            status = await step.ask()
        world = await self._judged(api, names, status, world, step.after, error)
        self._check_syncs(house)
        if call != "unlink" or not self._faults.hits:
            if status >= 500 and house.blobs() != blobs:
                raise Violated(f"{set(house.blobs()) ^ set(blobs)} after {status}")
            if house.parts():
                raise Violated(f"left over after {status}: {house.parts()}")
        if house.descriptors() != before:
            raise Violated(f"descriptors: {house.descriptors() - before}")
        return world, f"{call} {errno.errorcode[error]}: {status}"

    @contextlib.contextmanager
    def _faulty(self, call: str, match: Any, error: int, at: int, choice: random.Random) -> Any:
        short = self._faults.short_writes() if choice.random() < 0.1 else contextlib.nullcontext()
        with short, self._faults.failing(call, match, error, at=at):
            yield

    async def _judged(
        self,
        api: Api,
        names: tuple[str, str],
        status: int,
        before: World,
        after: World,
        error: int,
    ) -> World:
        """The world that is there now, which must be the one that the status says."""
        full = error in (*FULL, errno.EFBIG) and api.name != "hasura"
        if status >= 300 and status != (507 if full else 500):
            raise Violated(f"{api.name}: {errno.errorcode[error]} is a {status}")
        if status >= 300 and not self._faults.hits:
            raise Violated(f"{api.name}: {status}, and nothing failed")
        expected = before if status >= 300 else after
        seen = await api.seen(names)
        if seen != expected:
            raise Violated(f"{api.name}: {status}, and {seen} is not {expected}")
        return seen

    def _check_syncs(self, house: House) -> None:
        folders = {
            path.stat().st_ino
            for path in (house.data_dir, *house.data_dir.rglob("*"))
            if path.is_dir()
        }
        again = {ino for ino, n in self._faults.synced.items() if n > 1 and ino not in folders}
        if again - {path.stat().st_ino for path in house.data_dir.parents}:
            raise Violated("a file was synced again")

    async def _done(
        self, api: Api, world: World, names: tuple[str, str], choice: random.Random
    ) -> World:
        step = api.step(world, names, choice)
        status = await step.ask()
        if status >= 300:
            raise Violated(f"{api.name}: {step.kind} is a {status}, and nothing fails")
        return step.after

    async def _swept(self, house: House) -> None:
        """What is left once swept is what the rows name."""
        stores = house.stores
        await sweep(stores.blobs, stores.ledger, _NO_GRACE)
        report = await check(stores.blobs, stores.ledger)
        if report.findings:
            raise Violated(f"{report.findings}")

    async def _reads(self, number: int, api: Api, choice: random.Random) -> Seen:
        """Downloads of one file from a disk that fails now and then; at last it may shrink for good."""
        content, seen = choice.randbytes(choice.choice(_SIZES)), Seen()
        name = f"i{number}r"
        path, headers = await api.publish(name, content)
        for _ in range(_FAULTS):
            for _ in range(_TRIES):
                said = await self._read(api, path, dict(headers), content, choice)
                if self._faults.hits:
                    seen += Seen({"faults": 1, said: 1})
                    break
        if shrinks := choice.random() < 0.7:
            self._faults.hits = 0
            with self._faults.shrinking(choice.randrange(len(content))):
                came = await self._part(api, path, dict(headers), content, choice)
            seen += Seen(
                {"faults": bool(self._faults.hits), f"shrinks: {came}": bool(self._faults.hits)}
            )
        await self._take_away(api, name, damaged=shrinks)
        return seen

    async def _read(
        self, api: Api, path: str, headers: dict[str, str], content: bytes, choice: random.Random
    ) -> str:
        """One download under one fault, and one after it."""
        self._faults.hits = 0
        call, match, errors = choice.choice(READS)
        error = choice.choice(errors)
        with self._faults.failing(call, match, error, at=choice.choice(_AT)):
            if call == "pread":  # who cannot read at once reads in a thread
                self._faults.also("preadv", match, errno.EAGAIN)
            came = await self._part(api, path, headers, content, choice)
        again = await _downloaded(api, path, headers, content)
        if again != "whole" and await self._let_out():
            came += " and in quarantine"
            again = await _downloaded(api, path, headers, content)
        if again != "whole":
            raise Violated(f"{api.name}: {again} after the disk was well again")
        return f"{call} {errno.errorcode[error]}: {came}"

    async def _part(
        self, api: Api, path: str, headers: dict[str, str], content: bytes, choice: random.Random
    ) -> str:
        """All of it, or what is behind the middle."""
        start = choice.choice((0, 0, 0, len(content) // 2))
        ranged = {"Range": f"bytes={start}-"} if start else {}
        return await _downloaded(api, path, headers | ranged, content[start:])

    async def _let_out(self) -> bool:
        """What was in quarantine while its disk failed is looked at again; whether it came out."""
        stores = self._houses[0].stores
        ward = Ward(stores.blobs, stores.ledger, stores.quarantine)
        inside = [entry.blob async for entry in entries_of(stores.quarantine)]
        return bool(inside) and all([await mend(ward, blob) for blob in inside])

    async def _take_away(self, api: Api, name: str, *, damaged: bool) -> None:
        status = await api.remove(name)
        if status not in (200, 204):
            raise Violated(
                f"{api.name}: what was {'damaged' if damaged else 'read'} stays: {status}"
            )
        await self._swept(self._houses[0])


def disk_of(house: House) -> Disk:
    """What its store knows of its folders."""
    store = house.stores.blobs
    assert isinstance(store, DiskBlobStore)
    return store._disk


async def _downloaded(api: Api, path: str, headers: dict[str, str], content: bytes) -> str:
    """Whole, refused or cut. Raises ``Violated`` for anything that only looks whole."""
    url = path if "://" in path else api.url() + path
    try:
        async with api.session.get(url, headers=headers) as answer:
            body = await answer.read()
    except aiohttp.ClientError:
        return "cut"
    if answer.status in (200, 206):
        if hashlib.sha256(body).digest() != hashlib.sha256(content).digest():
            raise Violated(f"{api.name}: {len(body)} other bytes as a whole {answer.status}")
        return "whole"
    if answer.status not in (500, 503):
        raise Violated(f"{api.name}: {answer.status} {body[:200]!r}")
    return "refused"


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The gateways, with somebody for each API at each."""
    dsn = await new_database(stage.server, copied=True)
    rows = await asyncpg.connect(dsn)
    async with open_database(dsn, sql_folders(), connections=2) as database:
        await add_people(database)
    settings: dict[str, Any] = {
        "quota_newcomers": "",
        "garbage_grace_seconds": 0,
        "losant_upkeep_seconds": 0,
        "read_cache_seconds": 0,
    }
    async with (
        open_house(dsn, stage.folder / "data", {}, **settings) as fast,
        open_house(dsn, stage.folder / "data", {}, fast_ways="off", **settings) as plain,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        callers = [
            await callers_of(session, lambda: fast.url),
            await callers_of(session, lambda: plain.url),
        ]
        with pytest.MonkeyPatch.context() as patch:
            yield BrokenDisks((fast, plain), callers, rows, Faults(patch)).case
    await rows.close()


SUITE: Final = Suite(
    name="io",
    what="system calls that fail under every operation and download of every API",
    unit="faults",
    full=5_000,
    small=6,
    opened=opened,
)
