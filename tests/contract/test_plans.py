"""Finding and changing a file costs the same however many there are: nothing reads a table."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from gateway.database.statements import read_statements
from tests.contract.test_catalogue import _fill

ID = "00000000-0000-0000-0000-000000000001"
PLACE = "'things', 't1'"
UPLOAD = f"'{ID}', 1, '\\x00', null, 'things', 't1', 'a/b', '{{}}', 'me', 0"

CALLS = {
    "find_file": f"{PLACE}, 'a'",
    "find_file_in_scopes": "'{things,things}', '{t1,t2}', 'a'",
    "find_file_by_id": f"'{ID}'",
    "find_file_of_blob": f"'{ID}'",
    "lock_file": f"{PLACE}, 'a'",
    "share_scopes_of_files": f"'{{{ID}}}', '{{things/t1}}'",
    "lock_files": f"'{{{ID}}}'",
    "add_file": f"'{ID}', {PLACE}, 'a', {UPLOAD}",
    "replace_file": f"'{ID}', {PLACE}, 'a', {UPLOAD}, '{ID}', 1",
    "amend_file": f"'{ID}', '{{}}', 'me'",
    "transfer_file": f"'{ID}', {PLACE}, 'a', 'me', 0",
    "remove_files": f"'{{{ID}}}', 1, 'me', 0",
    "purge_blobs": f"'{{{ID}}}'",
    "existing_blobs": f"'{{{ID}}}'",
    "live_blobs_after": f"'{ID}', 10",
}


@pytest.fixture(scope="module")
def plans(database_url: str) -> dict[str, str]:
    """How PostgreSQL runs each statement over many files, at first and when it knows it well."""
    return asyncio.run(_explain(database_url))


async def _explain(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    statements, found = read_statements(), dict[str, str]()
    try:
        await _fill(connection)
        for name, values in CALLS.items():
            await connection.execute(f"prepare {name} as {statements[name].rstrip(';')}")
            for repetition in (1, 10):
                call = f"explain execute {name} ({values})"
                *_, rows = [await connection.fetch(call) for _ in range(repetition)]
                found[f"{name} {repetition}"] = "\n".join(row[0] for row in rows)
    finally:
        await connection.close()
    return found


@pytest.mark.parametrize("repetition", [1, 10])
@pytest.mark.parametrize("name", CALLS)
def test_a_statement_comes_to_its_rows_by_an_index(
    plans: dict[str, str], name: str, repetition: int
) -> None:
    plan = plans[f"{name} {repetition}"]
    assert "Seq Scan on files" not in plan, plan
    assert "Seq Scan on blobs" not in plan, plan
