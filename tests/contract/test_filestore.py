"""The engine over a real catalogue: bytes, rows and the news of both, whatever happens to a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from gateway.blobs.memory import MemoryBlobStore
from gateway.catalogue.port import NO_BLOB
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database
from gateway.filestore import Deposit, Filestore, Mode
from gateway.identity.port import Sealed
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.change import Change, FileChanged
from gateway.model.errors import Conflict, NotFound, PreconditionFailed
from gateway.model.file import Draft, FileRecord, Scope
from gateway.upkeep.check import check

HERE, THERE = Scope("things", "t1"), Scope("groups", "g1")
ME = Principal(PrincipalKind.USER, "me", "user")


@dataclass
class Witness:
    """Hears every change; as the hook, agrees to everything."""

    changes: list[Change] = field(default_factory=list)

    def on_change(self, change: Change) -> None:
        self.changes.append(change)

    def on_connected(self) -> None: ...

    def on_disconnected(self) -> None: ...

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        return lasting

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """It may."""


@dataclass
class Engine:
    """A filestore, and what stands behind it."""

    files: Filestore
    blobs: MemoryBlobStore
    ledger: PostgresBlobLedger
    witness: Witness

    async def deposit(
        self,
        draft: Draft,
        mode: Mode,
        content: bytes,
        *,
        expected: UUID | None = None,
        staged_in: Scope = HERE,
    ) -> FileRecord:
        async with self.files.stage(staged_in) as writer:
            await writer.write(content)
            deposit = Deposit(access_to(draft.scope), draft, mode, expected=expected)
            return await self.files.deposit(deposit, writer)

    async def content(self, record: FileRecord) -> bytes:
        reader = await self.files.open(record)
        try:
            return bytes(await reader.read(0, record.content.size))
        finally:
            reader.close()

    async def is_sound(self) -> bool:
        report = await check(self.blobs, self.ledger)
        return not report.findings


def access_to(scope: Scope, name: str = "") -> Access:
    return Access(ME, Action.CREATE, "test", scope, name)


def draft_of(name: str = "a", scope: Scope = HERE, file_id: UUID | None = None) -> Draft:
    return Draft(scope, name, "a/b", {}, file_id)


@pytest.fixture
async def engine(database: Database) -> Engine:
    for scope in (HERE, THERE):
        await database.run("add_scope", scope.kind, scope.owner)
    blobs, ledger, witness = MemoryBlobStore(), PostgresBlobLedger(database), Witness()
    rows = PostgresFiles(database, garbage_grace_seconds=3600)
    return Engine(Filestore(blobs, rows, ledger, witness, witness), blobs, ledger, witness)


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
