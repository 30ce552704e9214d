"""The catalogue by itself: new files committed together, or each by itself.

Two catalogues, one with the fast way off, get the same new files at the same time: names that are
taken, by a file or by each other, scopes that are not there, ids of tombstones, more than a quota
allows, rights that have gone, senders that leave.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from gateway.catalogue import together
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.catalogue.together import TogetherCommits
from gateway.database.pool import Database
from gateway.model.digest import Digest
from gateway.model.errors import Forbidden, GatewayError
from gateway.model.file import Blob, Draft, FileRecord, Scope
from gateway.model.guard import Guard, guarding
from gateway.process.holder import HOLDER, Holder
from gateway.settings.fastways import FastWay
from tests.chance import choices

SCOPES = (Scope("things", "t1"), Scope("things", "t2"))
FULL, GONE = Scope("groups", "full"), Scope("things", "gone")
TAKEN = "taken"
TOMBSTONE = UUID(int=7)
_ROOM = 3

_TABLES = "files, blobs, usage, audit, quotas, scopes, vacated, payers"
_SEEN = (
    "select f.kind, f.owner, f.name, f.content_type, f.attributes::text, f.creator, b.size, "
    "encode(b.sha256, 'hex'), b.kind, f.modified_at >= f.created_at from files f "
    "join blobs b on b.id = f.blob_id order by 1, 2, 3"
)
_COUNTED = "select kind, owner, sum(files), sum(bytes) from usage group by 1, 2 order by 1, 2"
_AUDITED = "select event, kind, owner, name, actor from audit order by 1, 2, 3, 4, 5"


@dataclass(frozen=True, slots=True)
class New:
    """A file to be; the number of who sends it, and what becomes of its right and of its sender."""

    scope: Scope
    name: str
    size: int
    blob_id: UUID
    holder: int
    is_refused: bool
    leaves: bool


def files(seed: str) -> list[New]:
    """Sixty, of four senders. What one of them sends is new and allowed; of the others' not all."""
    pick = choices(seed)
    return [_file(pick, number) for number in range(60)]


def _file(pick: Random, number: int) -> New:
    if (holder := number % 4) > 1:
        size, blob_id = pick.randrange(10**6), UUID(int=100 + number)
        refused = holder == 2 and number % 12 == 6  # and nothing else is wrong with it
        return New(pick.choice(SCOPES), f"own-{number}", size, blob_id, holder, refused, False)
    scope = pick.choice((*SCOPES, *SCOPES, *SCOPES, FULL, GONE))
    name = TAKEN if pick.random() < 0.1 else f"n{pick.randrange(40)}"
    blob_id = TOMBSTONE if pick.random() < 0.05 else UUID(int=100 + number)
    refused = pick.random() < 0.1
    leaves = scope != FULL and pick.random() < 0.05
    if leaves or scope == FULL or blob_id == TOMBSTONE:
        name = f"own-{number}"  # or it would matter who comes first
    return New(scope, name, pick.randrange(10**6), blob_id, holder, refused, leaves)


async def prepared(connection: asyncpg.Connection) -> None:
    """Scopes, a file whose name is taken in each, a tombstone, and a quota."""
    await connection.execute(f"truncate {_TABLES} cascade")
    for scope in (*SCOPES, FULL):
        await connection.execute("insert into scopes values ($1, $2)", scope.kind, scope.owner)
    await connection.execute(
        "insert into blobs (id, kind, owner, size, condemned_until) "
        "values ($1, 'things', 't1', 1, now())",
        TOMBSTONE,
    )
    quota = "insert into quotas (kind, owner, resource, amount) values ($1, $2, 'files', $3)"
    await connection.execute(quota, FULL.kind, FULL.owner, _ROOM)


async def added(catalogue: PostgresFiles, new: New) -> str:
    """One of them; what its sender is told."""

    async def prove() -> None:
        await asyncio.sleep(0)
        if new.is_refused:
            raise Forbidden()

    HOLDER.set(Holder(str(new.holder)))
    draft = Draft(new.scope, new.name, "text/plain", {"size": new.size})
    blob = Blob(new.blob_id, new.scope, new.size, Digest(f"{new.size:064x}"))
    due = new.is_refused or new.holder == 2 or new.size % 3 == 0
    alike = (new.holder, new.is_refused) if new.size % 2 else None
    with guarding(Guard((str(new.holder),), prove, lambda: due, alike)):
        try:
            record = await catalogue.add(draft, blob, creator=str(new.holder))
        except GatewayError as exc:
            return type(exc).__name__
    assert isinstance(record, FileRecord)
    right = (record.scope, record.name, record.blob) == (new.scope, new.name, blob)
    return f"made {right}"


async def outcome(
    database: Database, connection: asyncpg.Connection, wanted: list[New], *, as_one: bool
) -> tuple[object, ...]:
    """What each was told, as far as it does not matter who comes first; what there is then."""
    await prepared(connection)
    before = PostgresFiles(database, garbage_grace_seconds=60, together=False)
    await before.add(_TAKEN, _blob_of_taken(), creator="before")
    catalogue = PostgresFiles(database, garbage_grace_seconds=60, together=as_one)
    tasks = [asyncio.create_task(added(catalogue, new)) for new in wanted]
    await asyncio.sleep(0)
    for new, task in zip(wanted, tasks, strict=True):
        if new.leaves:  # what was sent by then, and may be a file
            task.cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    each = Counter(
        (str(new.scope), new.name if new.scope != FULL else "", "" if new.leaves else str(said))
        for new, said in zip(wanted, told, strict=True)
    )
    left = {new.name for new in wanted if new.leaves}
    rows = [tuple(row) for row in await connection.fetch(_SEEN)]
    return (
        sorted(each.items()),
        sorted(row[:3] for row in rows if row[1] != FULL.owner and row[2] not in left),
        [tuple(row) for row in await connection.fetch(_COUNTED)] != [],
        await _is_consistent(connection),
    )


_TAKEN = Draft(SCOPES[0], TAKEN, "text/plain", {})


def _blob_of_taken() -> Blob:
    return Blob(UUID(int=8), SCOPES[0], 5, Digest("5" * 64))


async def _is_consistent(connection: asyncpg.Connection) -> bool:
    """Whether counters, audit and blobs say what the rows of files say."""
    rows = await connection.fetch(_SEEN)
    by_scope = Counter((row[0], row[1]) for row in rows)
    counted = {(row[0], row[1]): row[2] for row in await connection.fetch(_COUNTED)}
    audited = Counter(tuple(row)[1:4] for row in await connection.fetch(_AUDITED))
    blobs = await connection.fetchval("select count(*) from blobs where condemned_until is null")
    return (
        dict(by_scope) == counted
        and audited == Counter(tuple(row)[:3] for row in rows)
        and blobs == len(rows)
        and all(row[9] for row in rows)
        and all(f'"size": {row[6]}' in row[4] or row[5] == "before" for row in rows)
    )


@pytest.mark.parametrize("seed", ["commits/0", "commits/1", "commits/2"])
async def test_nobody_can_tell_with_whom_a_file_was_committed(
    database: Database, connection: asyncpg.Connection, seed: str
) -> None:
    wanted = files(seed)
    plain = await outcome(database, connection, wanted, as_one=False)
    fast = await outcome(database, connection, wanted, as_one=True)
    assert plain == fast
    assert plain[-1]
    assert "made True" in {said for (_, _, said), _ in plain[0]}  # type: ignore[attr-defined]


def mix_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets what the one before it wanted to be called."""
    right = Database.change_all

    async def wrong(self: Database, statement: str, *columns: Any) -> Any:
        if statement == "add_files":
            columns = (*columns[:5], columns[5][1:] + columns[5][:1], *columns[6:])
        return await right(self, statement, *columns)

    monkeypatch.setattr(Database, "change_all", wrong)


def refuse_all_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was together with one that is refused is refused, too."""

    async def wrong(self: TogetherCommits, *values: object) -> Any:
        raise Forbidden()

    monkeypatch.setattr(TogetherCommits, "_alone", wrong)


def forget_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """No right is proved for those that go together."""
    monkeypatch.setattr(together, "_of_all", lambda _: None)


def prove_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every right is taken for the first's."""
    right = together._of_all

    def wrong(batch: list[Any]) -> Guard | None:
        for new in batch:
            new.guard.alike = "all"
        return right(batch)

    monkeypatch.setattr(together, "_of_all", wrong)


DEFECTS = {
    FastWay.COMMIT_TOGETHER: (mix_up_rows, refuse_all_for_one, forget_guards, prove_one_for_all)
}


@pytest.mark.parametrize("plant", DEFECTS[FastWay.COMMIT_TOGETHER])
async def test_a_defect_is_noticed(
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    wanted = files("commits/0")
    plain = await outcome(database, connection, wanted, as_one=False)
    plant(monkeypatch)
    assert plain != await outcome(database, connection, wanted, as_one=True)
    assert plain == await outcome(database, connection, wanted, as_one=False)
