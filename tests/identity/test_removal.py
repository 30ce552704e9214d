"""A thing or group that goes takes its files along: rows at once, bytes by the sweeper."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database
from gateway.identity.registry import Registry
from gateway.model.access import Principal
from gateway.model.digest import Digest
from gateway.model.errors import NotFound
from gateway.model.file import Blob, Draft, FileName, Scope
from tests.identity.conftest import MakeUser, make_group, make_thing
from tests.tools.waiting import PATIENCE_SECONDS


@dataclass(frozen=True)
class Owner:
    """Something that owns files, and who may remove it."""

    kind: str
    id: UUID
    caller: Principal

    async def remove(self, registry: Registry) -> None:
        await getattr(registry, self.kind).remove(self.caller, self.id)


@pytest.fixture(params=["things", "groups"])
async def owner(request: pytest.FixtureRequest, registry: Registry, user: MakeUser) -> Owner:
    caller = await user("test@email.com")
    if request.param == "things":
        return Owner("things", (await make_thing(registry, caller)).id, caller)
    return Owner("groups", await make_group(registry, caller), caller)


async def upload(connection: asyncpg.Connection, owner: Owner, name: str) -> UUID:
    """The rows of one file, as a committing upload writes them."""
    blob = uuid4()
    await connection.execute(
        "insert into blobs (id, kind, owner, size, sha256) values ($1, $2, $3, 1, $4)",
        blob,
        owner.kind,
        str(owner.id),
        bytes(32),
    )
    await connection.execute(
        "insert into files (id, kind, owner, name, blob_id, content_type, creator)"
        " values ($1, $2, $3, $4, $5, 'text/plain', 'me')",
        uuid4(),
        owner.kind,
        str(owner.id),
        name,
        blob,
    )
    return blob


async def test_files_go_and_their_blobs_are_condemned(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    await upload(connection, owner, "a.bin")
    await upload(connection, owner, "b.bin")
    await owner.remove(registry)
    assert 0 == await connection.fetchval("select count(*) from files")
    assert 0 == await connection.fetchval("select count(*) from scopes where kind <> 'users'")
    minutes = "extract(epoch from condemned_until - now()) / 60"
    graces = [row[0] for row in await connection.fetch(f"select {minutes} from blobs")]
    assert [True, True] == [59 < grace <= 60 for grace in graces]


async def test_files_of_others_stay(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    other = Owner("things", (await make_thing(registry, owner.caller)).id, owner.caller)
    kept = await upload(connection, other, "a.bin")
    await owner.remove(registry)
    assert [(kept, None)] == [
        tuple(r) for r in await connection.fetch("select id, condemned_until from blobs")
    ]
    assert 1 == await connection.fetchval("select count(*) from files")


async def test_an_earlier_condemnation_keeps_its_time(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "insert into blobs (id, kind, owner, size, condemned_until) values ($1, $2, $3, 1, 'epoch')",
        uuid4(),
        owner.kind,
        str(owner.id),
    )
    await owner.remove(registry)
    assert await connection.fetchval("select condemned_until = 'epoch' from blobs")


async def test_a_removal_that_fails_changes_nothing(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    """
    The last statement of the transaction is made to fail: thing or group, files and blobs stay.
    """
    await upload(connection, owner, "a.bin")
    await connection.execute("alter table audit add constraint broken check (event <> 'removed')")
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.remove(registry)
    await connection.execute("alter table audit drop constraint broken")
    assert 1 == await connection.fetchval(f"select count(*) from {owner.kind}")
    assert 1 == await connection.fetchval("select count(*) from files")
    assert 1 == await connection.fetchval(
        "select count(*) from blobs where condemned_until is null"
    )


async def test_an_upload_that_commits_during_the_removal_is_condemned_too(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    """
    The removal waits for the upload's transaction, and must then see the upload's blob.
    """
    async with connection.transaction():
        await upload(connection, owner, "late.bin")
        removal = asyncio.create_task(owner.remove(registry))
        await _until_somebody_waits(connection)
    await removal
    assert 0 == await connection.fetchval("select count(*) from files")
    assert 0 == await connection.fetchval(
        "select count(*) from blobs where condemned_until is null"
    )


async def test_an_upload_that_comes_too_late_is_refused(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    await owner.remove(registry)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with connection.transaction():
            await upload(connection, owner, "late.bin")


async def test_a_removal_amid_uploads_and_removals_deadlocks_with_none_of_them(
    registry: Registry, database: Database, user: MakeUser, connection: asyncpg.Connection
) -> None:
    """
    Every one of them either succeeds or finds nothing there, and nothing stays alive behind.
    """
    files = PostgresFiles(database, garbage_grace_seconds=60)
    caller = await user("test@email.com")
    for _ in range(3):
        owner = Owner("things", (await make_thing(registry, caller)).id, caller)
        scope = Scope("things", str(owner.id))
        churning = [asyncio.create_task(_churn(files, scope, f"{n}.bin")) for n in range(16)]
        await asyncio.sleep(0.05)
        try:
            await owner.remove(registry)
        finally:
            await _end(churning)
        assert [True] * 16 == [isinstance(task.exception(), NotFound) for task in churning]
    assert 0 == await connection.fetchval("select count(*) from files")
    assert 0 == await connection.fetchval(
        "select count(*) from blobs where condemned_until is null"
    )


async def _churn(files: PostgresFiles, scope: Scope, name: str) -> None:
    """Adds, replaces and removes one file until its scope is gone, which raises."""
    draft = Draft(scope, name, "text/plain")
    while True:
        await files.add(draft, _blob(scope), creator="me")
        await files.replace(draft, _blob(scope), creator="me")
        await files.remove(FileName(scope, name), actor="me")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the tasks to fail by themselves; cut them short if they do not."""
    await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _blob(scope: Scope) -> Blob:
    return Blob(uuid4(), scope, 1, Digest("ab" * 32))


async def test_what_happened_is_written_down(
    registry: Registry, owner: Owner, connection: asyncpg.Connection
) -> None:
    await owner.remove(registry)
    assert [("created", owner.kind, owner.caller.id), ("removed", owner.kind, owner.caller.id)] == [
        tuple(row)
        for row in await connection.fetch("select event, kind, actor from audit order by id")
    ]


async def test_memberships_go_with_either_side(
    registry: Registry, database: Database, owner: Owner, connection: asyncpg.Connection
) -> None:
    await owner.remove(registry)
    assert 0 == await connection.fetchval("select count(*) from group_users")
    assert 0 == await connection.fetchval("select count(*) from group_things")


async def _until_somebody_waits(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await connection.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.01)
