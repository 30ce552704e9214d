"""Migrations go forward only, are applied once, and are what this gateway knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from gateway.database.migrations import migrate, missing_migrations
from gateway.database.statements import SqlFolder
from gateway.model.errors import StartupFailed
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
    """They take turns; who commits first need not be the first to say so."""
    dsn, told = await new_database(postgres_server), list[str]()
    await asyncio.gather(*(migrate(dsn, tell=told.append) for _ in range(4)))
    assert sorted(told) == await applied(dsn)


async def test_a_database_that_is_up_to_date_is_left_alone(postgres_server: str) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await migrate(dsn)
    await migrate(dsn, tell=told.append)
    assert [] == told


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param(
            "insert into schema_migrations (name, checksum) values ('9999_x.contract.sql', '')",
            "9999_x.contract.sql, which this gateway does not know",
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
    with pytest.raises(StartupFailed, match=reason):
        await migrate(dsn)


async def test_what_a_newer_gateway_only_added_is_let_alone(postgres_server: str) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await migrate(dsn)
    await change(dsn, "insert into schema_migrations (name, checksum) values ('9999_x.sql', '')")
    await migrate(dsn, tell=told.append)
    assert ([], []) == (told, await missing_migrations(dsn))


@pytest.fixture
def toy(tmp_path: Path) -> SqlFolder:
    """A dialect with one migration of its own, on a table that all share."""
    (tmp_path / "migrations").mkdir()
    text = "create index toy_sizes on blobs (size);"
    (tmp_path / "migrations" / "0001_sizes.sql").write_text(text, encoding="utf-8")
    return SqlFolder("toy", tmp_path)


async def test_a_dialects_migrations_come_after_the_shared_ones_under_its_name(
    postgres_server: str, toy: SqlFolder
) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await migrate(dsn, [toy], tell=told.append)
    assert ("0001_files.sql", "toy/0001_sizes.sql") == (told[0], told[-1])
    assert sorted(told) == await applied(dsn)


async def test_a_dialect_comes_to_a_database_that_exists_and_may_leave_it(
    postgres_server: str, toy: SqlFolder
) -> None:
    dsn, told = await new_database(postgres_server), list[str]()
    await migrate(dsn)
    await migrate(dsn, [toy], tell=told.append)
    assert ["toy/0001_sizes.sql"] == told
    await migrate(dsn)  # without it
    await change(
        dsn, "insert into schema_migrations (name, checksum) values ('toy/2.contract.sql', '')"
    )
    with pytest.raises(
        StartupFailed, match=r"toy/2\.contract\.sql, which this gateway does not know"
    ):
        await migrate(dsn, [toy])
