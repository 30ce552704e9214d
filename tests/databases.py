"""A real PostgreSQL for tests: one server per run, one migrated database per module, emptied
before each test that asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest

from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from tests.tools.deployment import sql_folders

_EMPTY = """
do $$ begin
    execute (select 'truncate ' || string_agg(quote_ident(tablename), ', ') || ' cascade'
               from pg_tables
              where schemaname = 'public' and tablename <> 'schema_migrations');
end $$
"""


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of an administrative database on a server that is gone after the run."""
    with embedded_server(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def database_url(postgres_server: str) -> str:
    """The DSN of a migrated database that no other module uses."""
    name = f"t{uuid4().hex}"
    asyncio.run(_execute(postgres_server, f"create database {name}"))
    url = postgres_server.replace("/postgres?", f"/{name}?")
    assert url != postgres_server
    asyncio.run(migrate(url, sql_folders()))
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, empty."""
    await _execute(database_url, _EMPTY)
    async with open_database(database_url, sql_folders(), connections=20) as opened:
        yield opened


@pytest.fixture
async def connection(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for looking behind the gateway's back."""
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


async def _execute(url: str, text: str) -> None:
    opened = await asyncpg.connect(url)
    try:
        await opened.execute(text)
    finally:
        await opened.close()
