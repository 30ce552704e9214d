"""What happens to a file is in the outbox if and only if it is committed, in no API's words."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.port import NO_BLOB
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database
from gateway.model.errors import Conflict, Failure, PreconditionFailed
from gateway.model.file import FileName, Scope
from tests.contract.test_catalogue import blob_of, draft_of

THING = UUID(int=5)
TOLD, UNTOLD = Scope("things", str(THING)), Scope("groups", "g1")


@pytest.fixture
async def files(database: Database, connection: asyncpg.Connection) -> PostgresFiles:
    """Files of a thing that has a webhook for them, and of a group that has none."""
    await connection.execute(f"""
        insert into users (id, email, password_hash) values ('{UUID(int=1)}', 'a@b.example', 'x');
        insert into things (id, owner_id, name, key_digest, key_sealed)
            values ('{THING}', '{UUID(int=1)}', '', sha256('key'), '');
        insert into webhooks (id, thing_id, name, url, host, format, messages, files)
            values ('{UUID(int=9)}', '{THING}', '', 'http://a.example/', 'a.example', 'json',
                    false, true);
    """)
    for scope in (TOLD, UNTOLD):
        await database.run("add_scope", scope.kind, scope.owner)
    return PostgresFiles(database, garbage_grace_seconds=3600)


async def queued(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("select event, body from deliveries order by id")
    assert {"files"} >= {row["event"] for row in rows}
    return [json.loads(row["body"]) for row in rows]


async def events(connection: asyncpg.Connection) -> list[tuple[str, int | None]]:
    return [(told["event"], told["size"]) for told in await queued(connection)]


async def test_every_change_of_bytes_is_told_once(
    files: PostgresFiles, connection: asyncpg.Connection
) -> None:
    record = await files.add(draft_of(scope=TOLD), blob_of(b"1"), creator="me")
    await files.replace(draft_of(scope=TOLD), blob_of(b"22"), creator="me")
    await files.fill(record.id, blob_of(b"333"), creator="me", expected=None)
    await files.amend(record.id, {"k": 1}, actor="me")
    await files.remove(FileName(TOLD, "a.bin"), actor="me")
    expected = [("created", 1), ("replaced", 2), ("replaced", 3), ("removed", None)]
    assert expected == await events(connection)
    first = (await queued(connection))[0]
    assert (TOLD, "a.bin", "application/octet-stream") == (
        Scope(first["kind"], first["owner"]),
        first["name"],
        first["content_type"],
    )


async def test_a_file_without_bytes_is_told_of_when_it_has_some(
    files: PostgresFiles, connection: asyncpg.Connection
) -> None:
    pending = await files.add(draft_of(scope=TOLD), None, creator="me")
    never = await files.add(draft_of("dir", TOLD), None, creator="me")
    await files.transfer(never.id, UNTOLD, actor="me")
    await files.remove(never.id, actor="me")
    assert [] == await events(connection)
    await files.fill(pending.id, blob_of(b"1"), creator="me", expected=NO_BLOB)
    assert [("created", 1)] == await events(connection)


async def test_to_each_scope_a_file_that_changes_hands_comes_or_goes(
    files: PostgresFiles, connection: asyncpg.Connection
) -> None:
    record = await files.add(draft_of(scope=UNTOLD), blob_of(b"1"), creator="me")
    await files.transfer(record.id, TOLD, "b.bin", actor="me")
    await files.transfer(record.id, UNTOLD, "c.bin", actor="me")
    told = [(e["event"], e["name"], e["size"]) for e in await queued(connection)]
    assert [("created", "b.bin", 1), ("removed", "b.bin", None)] == told


async def test_each_file_of_a_page_that_is_removed_is_told_of(
    files: PostgresFiles, connection: asyncpg.Connection
) -> None:
    made = [await files.add(draft_of(n, TOLD), blob_of(), creator="me") for n in "abc"]
    await connection.execute("truncate deliveries")
    await files.remove_many([record.id for record in made], actor="me")
    assert list("abc") == sorted(event["name"] for event in await queued(connection))


async def test_what_is_not_committed_is_not_told(
    files: PostgresFiles, database: Database, connection: asyncpg.Connection
) -> None:
    record = await files.add(draft_of(scope=TOLD), blob_of(b"1"), creator="me")
    condemned = blob_of()
    assert await PostgresBlobLedger(database).condemn_orphan(condemned.id, TOLD)
    with pytest.raises(Conflict):
        await files.add(draft_of(scope=TOLD), blob_of(), creator="me")
    with pytest.raises(Failure):
        await files.replace(draft_of(scope=TOLD), condemned, creator="me")
    with pytest.raises(PreconditionFailed):
        await files.fill(record.id, blob_of(), creator="me", expected=uuid4())
    with pytest.raises(PreconditionFailed):
        await files.remove(record.id, actor="me", expected=uuid4())
    assert [("created", 1)] == await events(connection)


async def test_an_event_is_written_by_the_transaction_that_it_tells_of(
    files: PostgresFiles, connection: asyncpg.Connection
) -> None:
    """Whatever dies at whatever moment then leaves both or neither."""
    record = await files.add(draft_of(scope=TOLD), blob_of(b"1"), creator="me")
    await files.fill(record.id, blob_of(b"1"), creator="me", expected=None)
    other = await files.add(draft_of(scope=UNTOLD), blob_of(b"1"), creator="me")
    await files.transfer(other.id, TOLD, "moved", actor="me")
    await files.remove(record.id, actor="me")
    told = await connection.fetch("select xmin::text from deliveries order by id")
    noted = await connection.fetch("select xmin::text from audit where kind = 'things' order by id")
    assert 4 == len(told)
    assert told == noted
