"""Migrations go forward only, are applied once, and are what this gateway knows."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from gateway.database.migrations import migrate
from gateway.model.errors import Failure
from tests.tools.gateway import new_database


async def applied(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select name from schema_migrations order by name")
    finally:
        await connection.close()
    return [row["name"] for row in rows]


async def change(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_several_gateways_that_start_at_once_apply_each_migration_once(
    postgres_server: str,
) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await asyncio.gather(*(migrate(dsn, tell=told.append) for _ in range(4)))
    assert "0001_files.sql" == told[0]
    assert sorted(told) == told == await applied(dsn)


async def test_a_database_that_is_up_to_date_is_left_alone(postgres_server: str) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await migrate(dsn)
    await migrate(dsn, tell=told.append)
    assert [] == told


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param(
            "insert into schema_migrations (name, checksum) values ('9999_later.sql', '')",
            "9999_later.sql, which this gateway does not know",
            id="the database is newer",
        ),
        pytest.param(
            "update schema_migrations set checksum = 'other' where name = '0001_files.sql'",
            "0001_files.sql was edited after it was applied",
            id="a migration was edited",
        ),
    ],
)
async def test_a_database_that_is_not_ours_is_refused(
    postgres_server: str, statement: str, reason: str
) -> None:
    dsn = await new_database(postgres_server)
    await migrate(dsn)
    await change(dsn, statement)
    with pytest.raises(Failure, match=reason):
        await migrate(dsn)
