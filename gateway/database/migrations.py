"""The schema, brought up to date: forward only, by numbered files that are never edited."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import asyncpg

from gateway.database.pool import database_errors, sql_files
from gateway.model.errors import Failure

_LOCK: Final = 0x66_69_6C_65_73_74  # "filest": any constant that nobody else uses


async def migrate(
    dsn: str, *, wait_seconds: float = 30.0, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Bring the schema up to date, forward only, one transaction per migration.

    Safe on several machines at once: an advisory lock lets one work and the others
    find it done. Raises ``Failure`` if an applied migration was edited since, or if the
    database is newer than this gateway.
    """
    with database_errors():
        connection = await asyncpg.connect(dsn, timeout=wait_seconds)
    try:
        with database_errors():
            await connection.execute("select pg_advisory_lock($1)", _LOCK)
            await _apply_missing(connection, tell)
    finally:
        await connection.close()


async def _apply_missing(connection: asyncpg.Connection, tell: Callable[[str], None]) -> None:
    await connection.execute(
        "create table if not exists schema_migrations ("
        " name text primary key,"
        " checksum text not null,"
        " applied_at timestamptz not null default now())"
    )
    applied = {
        r["name"]: r["checksum"]
        for r in await connection.fetch("select name, checksum from schema_migrations")
    }
    wanted = {file.name: file.read_text(encoding="utf-8") for file in sql_files("migrations")}
    check_applied(applied, {name: _checksum(text) for name, text in wanted.items()})
    for name, text in wanted.items():
        if name not in applied:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(
                    "insert into schema_migrations (name, checksum) values ($1, $2)",
                    name,
                    _checksum(text),
                )
            tell(name)


def check_applied(applied: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raise ``Failure`` unless the applied migrations are ours, unedited."""
    for name, checksum in applied.items():
        if name not in known:
            raise Failure(
                f"the database has migration {name}, which this gateway does not know: it is newer"
            )
        if known[name] != checksum:
            raise Failure(f"migration {name} was edited after it was applied")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
