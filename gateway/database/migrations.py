"""The schema, brought up to date: forward only, by numbered files that are never edited.

The shared files come first, then those of each dialect; ``0001_files.sql`` is a shared one,
``<dialect>/0001_orders.sql`` a dialect's. What a dialect that is not mounted has applied stays.

Gateways of two releases serve from one database while they are replaced one by one. So a migration
only adds what an earlier gateway need not know of; one that takes something away from it is named
``NNNN_what.contract.sql``, and a gateway that does not know it refuses to serve.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Final

import asyncpg

from gateway.database.pool import connecting, database_errors
from gateway.database.servers import Servers
from gateway.database.statements import SqlFolder, shared_folder
from gateway.model.errors import StartupFailed

_LOCK: Final = 0x66_69_6C_65_73_74  # "filest": any constant that nobody else uses
_TABLE: Final = """
create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now())
"""
_CONTRACT: Final = ".contract.sql"
_NOTE: Final = "insert into schema_migrations (name, checksum) values ($1, $2)"


async def migrate(
    dsn: str,
    folders: Sequence[SqlFolder] = (),
    *,
    wait_seconds: float = 30.0,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Bring the schema up to date, forward only, one transaction per migration.

    It has the shared migrations, and those of these dialects' ``folders`` after them.

    Safe on several machines at once, and through a pooler: a lock of each transaction lets one
    work and the others find it done. Raises ``StartupFailed`` if an applied migration was edited
    since, or if the database has been made for newer gateways alone.
    """
    async with connected(dsn, wait_seconds) as connection:
        mounted = (shared_folder(), *folders)
        wanted, names = _migrations(mounted), {folder.name for folder in mounted}
        while name := await _apply_next(connection, wanted, names):
            tell(name)


async def missing_migrations(
    dsn: str, folders: Sequence[SqlFolder] = (), *, wait_seconds: float = 30.0
) -> list[str] | None:
    """The names of those not applied yet; ``None`` if the database is no gateway's. Only looks.

    Raises as ``migrate``.
    """
    async with connected(dsn, wait_seconds) as connection:
        return await missing_of(connection, folders)


async def missing_of(
    connection: asyncpg.Connection, folders: Sequence[SqlFolder]
) -> list[str] | None:
    """The same on a connection."""
    mounted = (shared_folder(), *folders)
    if not await connection.fetchval("select to_regclass('schema_migrations')"):
        return None
    applied, known = await _applied(connection), _checksums(_migrations(mounted))
    check_applied(applied, known, {folder.name for folder in mounted})
    return [name for name in known if name not in applied]


@contextlib.asynccontextmanager
async def connected(dsn: str, wait_seconds: float) -> AsyncIterator[asyncpg.Connection]:
    """One connection. Raises ``CatalogueUnavailable`` with the server's own words."""
    with connecting(dsn):
        connection = await Servers(dsn, pooled=True).connect(wait_seconds)
    try:
        with database_errors():
            yield connection
    finally:
        await connection.close()


def _migrations(folders: Sequence[SqlFolder]) -> dict[str, str]:
    """Every migration's text by its name, in the order in which they are applied."""
    return {
        folder.own(file.name): file.read_text(encoding="utf-8")
        for folder in folders
        for file in folder.files("migrations")
    }


async def _apply_next(
    connection: asyncpg.Connection, wanted: Mapping[str, str], mounted: Collection[str]
) -> str | None:
    """Apply the first that is missing; its name, or ``None`` if there is none."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({_LOCK})")
        await connection.execute(_TABLE)
        applied, known = await _applied(connection), _checksums(wanted)
        check_applied(applied, known, mounted)
        name = next((name for name in wanted if name not in applied), None)
        if name is not None:
            await connection.execute(wanted[name])
            await connection.execute(_NOTE, name, known[name])
    return name


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch("select name, checksum from schema_migrations")
    return {row["name"]: row["checksum"] for row in rows}


def check_applied(
    applied: Mapping[str, str], known: Mapping[str, str], mounted: Collection[str] = ("",)
) -> None:
    """Raise ``StartupFailed`` unless the applied migrations are ours, unedited, or only add.

    Those of a dialect that is not ``mounted`` are its own affair.
    """
    for name, checksum in applied.items():
        if name not in known:
            if name.rpartition("/")[0] not in mounted or not name.endswith(_CONTRACT):
                continue
            raise StartupFailed(
                f"the database has migration {name}, which this gateway does not know: it is newer"
            )
        if known[name] != checksum:
            raise StartupFailed(f"migration {name} was edited after it was applied")


def _checksums(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
