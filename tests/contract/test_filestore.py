"""The engine over a real catalogue: bytes, rows and the news of both, whatever happens to a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.blobs.disk.store import open_disk_store
from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobStore
from gateway.catalogue.port import NO_BLOB, Listing
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database, open_database
from gateway.database.statements import ordered
from gateway.filestore import Deposit, Filestore, Mode
from gateway.identity.port import Sealed
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.change import Change, FileChanged
from gateway.model.claims import Claims
from gateway.model.damage import Damage, Fault
from gateway.model.digest import MD5, Claim
from gateway.model.errors import (
    BlobMissing,
    CatalogueUnavailable,
    Conflict,
    Denied,
    DigestMismatch,
    GatewayError,
    InQuarantine,
    NotFound,
    PreconditionFailed,
)
from gateway.model.file import Blob, Draft, FileRecord, Scope
from gateway.model.guard import Guard
from gateway.model.quota import Account, Resource
from gateway.quotas.reservations import Reservations
from gateway.quotas.service import Quotas
from gateway.upkeep.check import check
from tests.tools.deployment import sql_folders
from tests.tools.pgproxy import Loss, running_pgproxy

HERE, THERE = Scope("things", "t1"), Scope("groups", "g1")
ME = Principal(PrincipalKind.USER, "me", "user")


@dataclass
class Witness:
    """Hears every change and suspicion; as the hook, agrees to everything but for a ``refusal``.

    While it has not ``decided`` the hook says nothing.
    """

    changes: list[Change] = field(default_factory=list)
    approved: list[tuple[Access, Sealed]] = field(default_factory=list)
    suspected: list[Blob] = field(default_factory=list)
    convicted: list[tuple[Blob, Fault]] = field(default_factory=list)
    refusal: GatewayError | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.decided.set()

    def on_change(self, change: Change) -> None:
        self.changes.append(change)

    def on_connected(self) -> None: ...

    def on_disconnected(self) -> None: ...

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        return lasting

    async def approve(self, access: Access, sealed: Sealed) -> None:
        self.approved.append((access, sealed))
        self.asked.set()
        await self.decided.wait()
        if self.refusal is not None:
            raise self.refusal

    def suspect(self, blob: Blob) -> None:
        self.suspected.append(blob)

    async def convict(self, blob: Blob, fault: Fault) -> None:
        self.convicted.append((blob, fault))


@dataclass
class Engine:
    """A filestore, and what stands behind it."""

    files: Filestore
    blobs: BlobStore
    ledger: PostgresBlobLedger
    witness: Witness

    async def deposit(
        self,
        draft: Draft,
        mode: Mode,
        content: bytes,
        *,
        staged_in: Scope = HERE,
        **more: Any,
    ) -> FileRecord:
        deposit = Deposit(access_to(draft.scope), draft, mode, **more)
        staging = self.files.stage(staged_in, algorithms=deposit.claims.algorithms)
        async with staging as writer:
            await writer.write(content)
            return await self.files.deposit(deposit, writer)

    async def content(self, record: FileRecord) -> bytes:
        reader = await self.files.open(record)
        try:
            return bytes(await reader.read(0, record.content.size))
        finally:
            reader.close()

    async def count(self) -> int:
        """How many blobs there are."""
        assert self.blobs.inventory is not None
        return len([blob async for blob in self.blobs.inventory.walk()])

    async def is_sound(self) -> bool:
        report = await check(self.blobs, self.ledger)
        return not report.findings


def access_to(scope: Scope, name: str = "") -> Access:
    return Access(ME, Action.CREATE, "test", scope, name)


def draft_of(name: str = "a", scope: Scope = HERE, file_id: UUID | None = None) -> Draft:
    return Draft(scope, name, "a/b", {}, file_id)


def engine_of(database: Database, blobs: BlobStore | None = None) -> Engine:
    blobs, ledger, witness = blobs or MemoryBlobStore(), PostgresBlobLedger(database), Witness()
    rows, room = PostgresFiles(database, garbage_grace_seconds=3600), Reservations(database)
    files = Filestore(blobs, rows, ledger, witness, witness, room, witness)
    return Engine(files, blobs, ledger, witness)


@pytest.fixture
async def engine(database: Database) -> Engine:
    for scope in (HERE, THERE):
        await database.run("add_scope", scope.kind, scope.owner)
    return engine_of(database)


async def test_a_file_is_created_filled_once_and_filled_again(engine: Engine) -> None:
    pending = await engine.files.create(access_to(HERE), draft_of(file_id=uuid4()))
    with pytest.raises(NotFound):
        await engine.files.open(pending)
    draft = draft_of(file_id=pending.id)
    first = await engine.deposit(draft, Mode.FILL, b"one", expected=NO_BLOB)
    with pytest.raises(PreconditionFailed):
        await engine.deposit(draft, Mode.FILL, b"late", expected=NO_BLOB)
    assert b"one" == await engine.content(await engine.files.find(HERE, "a"))
    assert await engine.is_sound()
    await engine.deposit(draft, Mode.FILL, b"two", expected=first.content.id)
    assert b"two" == await engine.content(await engine.files.find_by_id(pending.id))


async def test_a_file_that_changed_hands_is_read_replaced_and_removed(engine: Engine) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    engine.witness.changes.clear()
    moved = await engine.files.transfer(access_to(THERE), made, THERE, "b")
    assert [FileChanged(HERE, "a"), FileChanged(THERE, "b")] == engine.witness.changes
    assert b"one" == await engine.content(moved)
    with pytest.raises(NotFound):
        await engine.files.find(HERE, "a")
    assert moved == await engine.files.find_in([HERE, THERE], "b")
    await engine.deposit(draft_of("b", THERE), Mode.REPLACE, b"two", staged_in=THERE)
    assert b"two" == await engine.content(await engine.files.find_by_id(made.id))
    amended = await engine.files.amend(access_to(THERE, "b"), {"k": 1}, file_id=made.id)
    assert {"k": 1} == amended.attributes
    await engine.files.remove(access_to(THERE, "b"), file_id=made.id)
    with pytest.raises(NotFound):
        await engine.files.find_by_id(made.id)
    assert await engine.is_sound()


async def test_bytes_lie_where_they_were_staged_wherever_the_name_lives(engine: Engine) -> None:
    made = await engine.deposit(draft_of(scope=THERE), Mode.CREATE, b"one", staged_in=HERE)
    assert (THERE, HERE) == (made.scope, made.content.scope)
    assert b"one" == await engine.content(await engine.files.find(THERE, "a"))
    assert await engine.is_sound()


async def test_a_file_that_was_given_away_is_not_changed_by_a_right_to_where_it_was(
    engine: Engine,
) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    moved = await engine.files.transfer(access_to(HERE), made, THERE)
    with pytest.raises(NotFound):
        await engine.deposit(draft_of(file_id=made.id), Mode.FILL, b"two")
    with pytest.raises(NotFound):
        await engine.files.amend(access_to(HERE, "a"), {"k": 1}, file_id=made.id)
    with pytest.raises(NotFound):
        await engine.files.transfer(access_to(HERE), made, HERE, "b")
    with pytest.raises(NotFound):
        await engine.files.remove(access_to(HERE, "a"), file_id=made.id)
    assert 0 == await engine.files.remove_many(access_to(HERE), [made.id])
    assert moved == await engine.files.find_by_id(made.id)
    assert await engine.is_sound()


async def test_a_page_of_files_is_removed_and_each_is_told_of(engine: Engine) -> None:
    made = [await engine.deposit(draft_of(name), Mode.CREATE, b"x") for name in "abc"]
    engine.witness.changes.clear()
    ids = [record.id for record in made[:2]]
    assert 2 == await engine.files.remove_many(access_to(HERE), [*ids, uuid4()])
    assert {FileChanged(HERE, "a"), FileChanged(HERE, "b")} == set(engine.witness.changes)
    assert b"x" == await engine.content(await engine.files.find(HERE, "c"))


async def test_a_transfer_onto_a_taken_name_leaves_both(engine: Engine) -> None:
    one = await engine.deposit(draft_of("a"), Mode.CREATE, b"one")
    await engine.deposit(draft_of("b"), Mode.CREATE, b"two")
    with pytest.raises(Conflict):
        await engine.files.transfer(access_to(HERE), one, HERE, "b")
    contents = [await engine.content(await engine.files.find(HERE, name)) for name in "ab"]
    assert [b"one", b"two"] == contents


# What must hold before a row is written.


def test_a_right_to_one_scope_is_no_right_to_another() -> None:
    with pytest.raises(ValueError, match="a right in one scope"):
        Deposit(access_to(HERE), draft_of(scope=THERE), Mode.CREATE)


async def test_what_the_hook_refuses_was_never_there(engine: Engine) -> None:
    engine.witness.refusal = Denied()
    with pytest.raises(Denied):
        await engine.deposit(draft_of(), Mode.CREATE, b"one")
    [(access, sealed)] = engine.witness.approved
    assert access_to(HERE, "a") == access
    assert (3, HERE, "a/b") == (sealed.blob.size, sealed.blob.scope, sealed.content_type)
    assert 0 == await engine.count()
    assert [FileChanged(HERE, "a")] == engine.witness.changes
    with pytest.raises(NotFound):
        await engine.files.find(HERE, "a")


async def test_what_the_guard_refuses_was_never_there(engine: Engine) -> None:
    async def prove() -> None:
        raise Denied()

    with pytest.raises(Denied):
        await engine.deposit(draft_of(), Mode.CREATE, b"one", guard=Guard(("t1",), prove))
    assert 0 == await engine.count()


@pytest.mark.parametrize("promised", [b"one", b"two"])
async def test_bytes_are_what_was_promised_of_them(engine: Engine, promised: bytes) -> None:
    claims = Claims()
    claims.add(Claim(MD5, hashlib.md5(promised).digest()))
    deposit = engine.deposit(draft_of(), Mode.CREATE, b"one", claims=claims)
    if promised == b"one":
        assert hashlib.md5(b"one").hexdigest() == (await deposit).content.md5
        return
    with pytest.raises(DigestMismatch):
        await deposit
    assert (0, []) == (await engine.count(), engine.witness.approved)


async def test_a_taken_name_and_one_that_is_gone_leave_no_bytes(engine: Engine) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    with pytest.raises(Conflict):
        await engine.deposit(draft_of(), Mode.CREATE, b"two")
    with pytest.raises(NotFound):
        await engine.deposit(draft_of("b"), Mode.REPLACE, b"two")
    for mode in (Mode.REPLACE, Mode.PUT):
        with pytest.raises(PreconditionFailed):
            await engine.deposit(draft_of(), mode, b"two", expected=uuid4())
        made = await engine.deposit(draft_of(), mode, b"new", expected=made.content.id)
    assert (3, b"new") == (await engine.count(), await engine.content(made))


async def test_of_many_who_put_a_new_name_nobody_is_refused(engine: Engine) -> None:
    puts = [engine.deposit(draft_of(), Mode.PUT, bytes([n])) for n in range(4)]
    done = await asyncio.gather(*puts)
    assert len({record.id for record in done}) == 1
    last = await engine.files.find(HERE, "a")
    assert last in done
    assert len(await engine.content(last)) == 1


async def test_a_file_is_filled_as_it_is_and_with_what_comes_along(engine: Engine) -> None:
    pending = await engine.files.create(access_to(HERE), replace(draft_of(), attributes={"k": 1}))
    assert "me" == pending.creator
    draft = Draft(HERE, "a", "c/d", {"j": 2}, pending.id)
    with pytest.raises(PreconditionFailed):
        await engine.deposit(draft, Mode.FILL, b"one", matching={"k": 2})
    filled = await engine.deposit(draft, Mode.FILL, b"one", matching={"k": 1})
    assert ("c/d", {"k": 1, "j": 2}, "me") == (
        filled.content_type,
        filled.attributes,
        filled.creator,
    )
    assert 1 == await engine.count()


# Room.


async def test_room_is_reserved_while_bytes_come_and_given_back(
    engine: Engine, database: Database, connection: asyncpg.Connection
) -> None:
    account = Account(HERE.kind, HERE.owner)
    await Quotas(database).change(account, {Resource.BYTES: 10**9}, actor="test")
    held = "select coalesce(sum(bytes), 0) from reservations where kind = $1 and owner = $2"
    expected = 5 * 1024 * 1024
    async with engine.files.stage(HERE, expected_bytes=expected) as writer:
        assert expected == await connection.fetchval(held, HERE.kind, HERE.owner)
        await writer.write(b"one")
    assert 0 == await connection.fetchval(held, HERE.kind, HERE.owner)


# Changes of what is there.


Change_ = Callable[[Filestore, FileRecord, UUID | None], Awaitable[object]]
CHANGES: Mapping[str, tuple[Change_, str]] = {
    "amend": (lambda f, r, e: f.amend(access_to(HERE, r.name), {"k": 2}, expected=e), "amended"),
    "amend by id": (
        lambda f, r, e: f.amend(access_to(HERE, r.name), {"k": 2}, expected=e, file_id=r.id),
        "amended",
    ),
    "transfer": (
        lambda f, r, e: f.transfer(access_to(HERE), r, THERE, "b", attributes={"k": 2}, expected=e),
        "received",
    ),
    "remove": (lambda f, r, e: f.remove(access_to(HERE, r.name), expected=e), "removed"),
    "remove by id": (
        lambda f, r, e: f.remove(access_to(HERE, r.name), expected=e, file_id=r.id),
        "removed",
    ),
}


@pytest.mark.parametrize(("change", "event"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_of_the_expected_bytes_told_and_noted(
    engine: Engine, connection: asyncpg.Connection, change: Change_, event: str
) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    engine.witness.changes.clear()
    with pytest.raises(PreconditionFailed):
        await change(engine.files, made, uuid4())
    assert FileChanged(HERE, "a") in engine.witness.changes, "it may have been done"
    assert made == await engine.files.find(HERE, "a")
    engine.witness.changes.clear()
    done = await change(engine.files, made, made.content.id)
    assert FileChanged(HERE, "a") in engine.witness.changes
    if isinstance(done, FileRecord):
        assert {"k": 2} == done.attributes
    last = "select event || ' by ' || actor from audit order by id desc limit 1"
    assert f"{event} by me" == await connection.fetchval(last)


async def test_a_file_is_amended_if_it_is_what_it_should_be(engine: Engine) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    access = access_to(HERE, "a")
    amended = await engine.files.amend(access, {"k": 1})
    assert {"k": 1} == amended.attributes
    with pytest.raises(PreconditionFailed):
        await engine.files.amend(access, {"k": 3}, matching={"k": 2}, file_id=made.id)
    await engine.files.amend(access, {"k": 2}, matching={"k": 1}, file_id=made.id)
    assert {"k": 2} == (await engine.files.find(HERE, "a")).attributes


async def test_a_page_that_is_removed_says_who_did_it(
    engine: Engine, connection: asyncpg.Connection
) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    assert 1 == await engine.files.remove_many(access_to(HERE), [made.id])
    assert "me" == await connection.fetchval("select actor from audit order by id desc limit 1")


async def test_files_are_listed_by_page_and_one_by_one(engine: Engine) -> None:
    made = [await engine.deposit(draft_of(name), Mode.CREATE, b"x") for name in "abc"]
    listing = Listing(HERE, offset=1, limit=1)
    page = await engine.files.list(listing)
    assert (3, made[1:2]) == (page.total, list(page.items))
    async with aclosing(engine.files.walk(listing)) as files:
        assert made[1:] == [record async for record in files]
    everything = ordered("list_files", "name", descending=False)
    values: tuple[object, ...] = (HERE.kind, HERE.owner, "", {}, None, 0)
    assert made == list(await engine.files.select(everything, *values))
    async with aclosing(engine.files.stream(everything, *values)) as files:
        assert made == [record async for record in files]


# Bytes that are not as they were stored.


async def test_what_is_in_quarantine_is_not_opened(engine: Engine) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    damaged = replace(made, blob=replace(made.content, quarantined=True))
    for way in (engine.files.open, engine.files.locate):
        with pytest.raises(InQuarantine):
            await way(damaged)
    assert [] == engine.witness.suspected
    assert await engine.files.locate(made) is None, "memory has no place"


async def test_bytes_that_are_gone_are_suspected_however_they_are_asked_for(
    engine: Engine, database: Database, tmp_path: Path
) -> None:
    async with open_disk_store(tmp_path / "data") as disk:
        engine = engine_of(database, disk)
        made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
        place = await engine.files.locate(made)
        assert place is not None
        assert b"one" == (tmp_path / "data" / "blobs" / place.path).read_bytes()
        await disk.remove(made.content.scope, made.content.id)
        for number, way in enumerate((engine.files.open, engine.files.locate), 1):
            with pytest.raises(BlobMissing):
                await way(made)
            assert [made.content] * number == engine.witness.suspected
        engine.files.suspect(made)
        assert 3 == len(engine.witness.suspected)
        fault = Fault(Damage.DAMAGED, "seen")
        await engine.files.convict(made, fault)
        assert [(made.content, fault)] == engine.witness.convicted


# Whoever leaves, and a database that leaves.


async def test_a_commit_under_way_is_waited_for_though_its_client_left(engine: Engine) -> None:
    await asyncio.wait_for(engine.files.drain(10), 1)  # there is none
    engine.witness.decided.clear()
    client = asyncio.create_task(engine.deposit(draft_of(), Mode.CREATE, b"one"))
    await engine.witness.asked.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    await asyncio.wait_for(engine.files.drain(0.01), 5)  # no longer than it was told
    ending = asyncio.create_task(engine.files.drain(10))
    await asyncio.sleep(0)
    assert not ending.done()
    engine.witness.decided.set()
    await ending
    assert b"one" == await engine.content(await engine.files.find(HERE, "a"))


@asynccontextmanager
async def cut_off(url: str, *losses: Loss) -> AsyncIterator[Engine]:
    """An engine that loses its connections so."""
    async with (
        running_pgproxy(url) as (proxy, dsn),
        open_database(dsn, sql_folders(), connections=2) as database,
    ):
        for loss in losses:
            proxy.plan(loss)
        yield engine_of(database)
        assert len(losses) == proxy.lost


async def test_a_commit_whose_answer_was_lost_is_looked_up(
    engine: Engine, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    add = "insert into files ("
    async with cut_off(database_url, Loss(add, "after")) as lossy:
        made = await lossy.deposit(draft_of(), Mode.CREATE, b"one")
        assert made == await engine.files.find(HERE, "a")
        assert b"one" == await lossy.content(made)
    assert "commit outcome unknown" in caplog.text
    async with cut_off(database_url, Loss(add, "before")) as lossy:
        with pytest.raises(CatalogueUnavailable):
            await lossy.deposit(draft_of("b"), Mode.CREATE, b"two")
        assert 1 == await lossy.count(), "nobody knows, so the bytes stay"
        assert [FileChanged(HERE, "b")] == lossy.witness.changes


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_removal_whose_answer_was_lost_is_looked_up(
    engine: Engine, database_url: str, by_id: bool
) -> None:
    made = await engine.deposit(draft_of(), Mode.CREATE, b"one")
    file_id = made.id if by_id else None
    async with cut_off(database_url, Loss("COMMIT", "before"), Loss("COMMIT", "after")) as lossy:
        with pytest.raises(CatalogueUnavailable):
            await lossy.files.remove(access_to(HERE, "a"), file_id=file_id)
        assert made == await engine.files.find(HERE, "a")
        await lossy.files.remove(access_to(HERE, "a"), file_id=file_id)
    with pytest.raises(NotFound):
        await engine.files.find(HERE, "a")
