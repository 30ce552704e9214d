"""The database before a gateway serves from it: its schema, and the way that news take.

Rule: migrations and whatever is of a session go to the server itself, never through a pooler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway.database.changes import check_heard
from gateway.database.migrations import migrate, missing_migrations
from gateway.model.errors import StartupFailed
from gateway.settings.core import Settings
from gateway.wiring import Deployment, direct_dsn

_PATIENCE_SECONDS: Final = 10.0
_POOLED: Final = (
    "GATEWAY_DATABASE_URL leads through a pooler that gives each transaction another connection: "
    "set GATEWAY_DATABASE_POOLED=true, and GATEWAY_DATABASE_DIRECT_URL to PostgreSQL itself"
)
_ELSEWHERE: Final = (
    "GATEWAY_DATABASE_DIRECT_URL does not hear what is announced at GATEWAY_DATABASE_URL: it leads "
    "to another database, or through a pooler, too"
)


class SchemaBehind(StartupFailed):
    """The database has to be migrated first, by whoever does that."""


async def prepare(deployment: Deployment, dsn: str, tell: Callable[[str], None]) -> None:
    """Have a database to serve from: migrated, if that is ours to do, and one that tells news.

    Raises ``SchemaBehind`` and ``StartupFailed``; ``CatalogueUnavailable`` if it is away.
    """
    if deployment.settings.migrate_at_start:
        await bring_up_to_date(deployment, dsn, tell)
    else:
        direct = direct_dsn(deployment.settings, dsn)
        check_schema(await missing_migrations(direct, deployment.sql))
    await check_news(deployment.settings, dsn)


def check_schema(missing: Sequence[str] | None) -> None:
    """Raise ``SchemaBehind`` unless nothing is missing; ``None``: all is."""
    if missing is None or missing:
        first = f"{len(missing)} migrations, {missing[0]} first" if missing else "all tables"
        raise SchemaBehind(
            f"the database lacks {first}: run `filestore-gateway migrate`, or a `serve` that may"
        )


async def bring_up_to_date(deployment: Deployment, dsn: str, tell: Callable[[str], None]) -> None:
    """Migrate. Raises as ``migrate``."""
    await migrate(direct_dsn(deployment.settings, dsn), deployment.sql, tell=tell)


async def check_news(settings: Settings, dsn: str, *, seconds: float = _PATIENCE_SECONDS) -> None:
    """Raise ``StartupFailed`` with what to do if changes would not be heard in so many seconds.

    The embedded server is our own: there is nothing between it and us. Raises
    ``CatalogueUnavailable`` if the database is away.
    """
    if settings.database_url is None:
        return
    direct = direct_dsn(settings, dsn)
    try:
        if settings.database_direct_url is None or not settings.database_pooled:
            await check_heard(dsn, dsn, seconds=seconds)
    except StartupFailed as exc:
        raise StartupFailed(_POOLED) from exc
    try:
        if direct != dsn:
            await check_heard(dsn, direct, seconds=seconds)
    except StartupFailed as exc:
        raise StartupFailed(_ELSEWHERE) from exc
