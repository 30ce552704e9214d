"""What an operator wants to know about the database, asked once. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.database.migrations import connected, missing_of
from gateway.database.pool import place_of
from gateway.database.statements import SqlFolder

_ASK: Final = """
select current_setting('server_version') as version,
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int as connections,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
       extract(epoch from clock_timestamp())::float8 as now,
       pg_is_in_recovery() or current_setting('transaction_read_only')::bool as read_only
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """The server and what of a gateway is in its database.

    ``missing`` are migrations not applied yet, ``None`` if the database is no gateway's.
    """

    place: str
    version: str
    connections: int
    used: int
    seconds_ahead: float
    read_only: bool
    missing: list[str] | None
    last: str
    fingerprint: bytes | None


async def facts_of(dsn: str, folders: Sequence[SqlFolder] = ()) -> Facts:
    """What there is to know. Raises ``CatalogueUnavailable``, ``StartupFailed`` as migrations."""
    async with connected(dsn, wait_seconds=10.0) as connection:
        began = time.time()
        row = await connection.fetchrow(_ASK)
        assert row is not None, "a select without from has one row"
        here = (began + time.time()) / 2
        missing = await missing_of(connection, folders)
        known = missing is not None and "0002_identity.sql" not in missing
        return Facts(
            place=place_of(dsn),
            version=row["version"],
            connections=row["connections"],
            used=row["used"],
            seconds_ahead=row["now"] - here,
            read_only=row["read_only"],
            missing=missing,
            last=await connection.fetchval("select max(name) from schema_migrations")
            if known
            else "",
            fingerprint=await connection.fetchval("select fingerprint from deployment")
            if known
            else None,
        )
