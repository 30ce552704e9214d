"""``limit=0``: all files, in memory that does not depend on how many there are."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.tools.client import Client

MANY = 3000  # more than a chunk, more than is fetched at a time


async def fill(connection: asyncpg.Connection, owner: str, count: int) -> None:
    await connection.execute(
        """
        with made as (
            insert into blobs (id, kind, owner, size, sha256)
            select gen_random_uuid(), 'things', $1, n, sha256('x') from generate_series(1, $2) n
            returning id, size
        )
        insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator)
        select gen_random_uuid(), 'things', $1, 'file-' || size, id, 'a/b',
               jsonb_build_object('time', size, 'metadata', jsonb_build_object('n', size)), 'me'
        from made
        """,
        owner,
        count,
    )
    await connection.execute(
        "insert into usage (kind, owner, slice, files, bytes) values ('things', $1, 0, $2, 0)",
        owner,
        count,
    )


@pytest.fixture
async def thing(user: Client) -> dict[str, Any]:
    return await user.thing()


async def listed(nobody: Client, thing: dict[str, Any], query: str) -> dict[str, Any]:
    said = await nobody.ask("GET", f"/files?{query}", Authorization=f"Thing {thing['key']}")
    assert (200, "application/json") == (said.status, said.headers["Content-Type"])
    return dict(said.json)


async def test_all_files_are_what_their_pages_are(
    nobody: Client, thing: dict[str, Any], connection: asyncpg.Connection
) -> None:
    await fill(connection, thing["id"], MANY)
    whole = await listed(nobody, thing, "limit=0&order=time&dir=asc")
    assert (MANY, 0, 0) == (whole["total"], whole["limit"], whole["offset"])
    assert [f"file-{n}" for n in range(1, MANY + 1)] == [file["name"] for file in whole["files"]]
    assert whole["files"] == whole["files_info"]
    page = await listed(nobody, thing, "limit=200&offset=2000&order=time&dir=asc")
    assert page["files"] == whole["files"][2000:2200]
    rest = await listed(nobody, thing, "limit=0&offset=2990&name=FILE&dir=asc")
    assert (MANY, "FILE", whole["files"][2990:]) == (rest["total"], rest["name"], rest["files"])


async def test_no_files_are_empty_lists(nobody: Client, thing: dict[str, Any]) -> None:
    whole = await listed(nobody, thing, "limit=0")
    assert {"total": 0, "files": [], "files_info": []}.items() <= whole.items()


async def test_a_list_that_breaks_off_is_not_taken_for_whole(
    nobody: Client, thing: dict[str, Any], connection: asyncpg.Connection
) -> None:
    await fill(connection, thing["id"], 40_000)
    headers = {"Authorization": f"Thing {thing['key']}"}
    async with nobody.session.get(f"{nobody.url}/files?limit=0", headers=headers) as reply:
        await reply.content.readexactly(1)
        await _end_streams(connection)
        with pytest.raises(aiohttp.ClientError):
            await reply.read()
    assert {"total": 40_000}.items() <= (await listed(nobody, thing, "limit=1")).items()


async def _end_streams(connection: asyncpg.Connection) -> None:
    """As if the database server had ended the connection that the list is read from."""
    ended = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()"
        " and datname = current_database() and state = 'idle in transaction'"
    )
    while not await connection.fetchval(ended):
        await asyncio.sleep(0.01)
