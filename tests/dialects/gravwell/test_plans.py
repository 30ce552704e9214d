"""A GUID is found, and lists are read, by indexes: nothing reads the table of all files."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest

from benchmarks.user_files import fill, guid_of
from gateway.database.statements import read_statements
from tests.tools.deployment import sql_folders

OWNERS = [f"00000000-0000-4000-8000-{n:012}" for n in range(5)]
MANY = 8_000
INDEXES = {
    "gravwell_own": "owner = .*'guid'::text. =",
    "gravwell_shared": "gravwell_shares",
    "gravwell_global": "'guid'::text. =",
}


@pytest.fixture(scope="module")
def plans(database_url: str) -> dict[str, str]:
    """How PostgreSQL runs each statement over many files, at first and when it knows it well."""
    return asyncio.run(_explain(database_url))


async def _explain(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    statements, found = read_statements(sql_folders()), dict[str, str]()
    guid = guid_of("own", 1)
    calls = {
        "find": f"'{guid}', '{OWNERS[0]}', '{{{guid}/1,{guid}/2}}'",
        "list_visible": f"'{OWNERS[1]}', '{{1,2}}'",
    }
    try:
        await connection.execute(
            "insert into scopes select 'users', unnest($1::text[]) on conflict do nothing", OWNERS
        )
        await fill(connection, OWNERS[0], MANY, "own")
        await fill(connection, OWNERS[1], 50, "few")
        await fill(connection, OWNERS[2], 100, "global", to_all=True)
        await fill(connection, OWNERS[3], 100, "shared", gids=(1,))
        await connection.execute("analyze")
        for name, values in calls.items():
            text = statements[f"gravwell/{name}"].rstrip(";")
            await connection.execute(f"prepare {name} as {text}")
            for repetition in (1, 10):
                call = f"explain execute {name} ({values})"
                *_, rows = [await connection.fetch(call) for _ in range(repetition)]
                found[f"{name} {repetition}"] = "\n".join(row[0] for row in rows)
    finally:
        await connection.execute("delete from files where kind = 'users'")
        await connection.close()
    return found


@pytest.mark.parametrize("repetition", [1, 10])
@pytest.mark.parametrize("name", ["find", "list_visible"])
def test_files_are_not_read_from_end_to_end(
    plans: dict[str, str], name: str, repetition: int
) -> None:
    assert "Seq Scan on files" not in plans[f"{name} {repetition}"], plans[f"{name} {repetition}"]


@pytest.mark.parametrize("repetition", [1, 10])
@pytest.mark.parametrize(("index", "condition"), INDEXES.items())
def test_each_rank_of_precedence_comes_from_its_own_index(
    plans: dict[str, str], index: str, condition: str, repetition: int
) -> None:
    """By what it is of, so that none reads all that are shared, or all that are global."""
    plan = plans[f"find {repetition}"]
    assert re.search(rf"{index} .*\n *Index Cond: .*{condition}", plan), plan
