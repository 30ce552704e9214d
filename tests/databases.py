"""A real PostgreSQL for tests: one server per process that runs tests, one migrated database per module,
emptied before each test that asks for it.

A server of its own costs a process 0.8 s, and a test may then end every connection to it. Nothing
here has to survive a power cut, so this server never waits for the disk; a gateway's embedded one does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from tests.tools.deployment import sql_folders
from tests.tools.gateway import MIGRATED, database_of, new_database

# The variable that names a server to use, prepared, in place of one of our own (``make mutation``).
SERVER = "TESTS_POSTGRES"

# Rows are deleted and not truncated: thirty empty tables cost more than a few rows. A large table would
# keep what was deleted, and change what the planner thinks of it.
_EMPTY = """
do $$ declare
    entry record;
begin
    set local session_replication_role = replica;
    for entry in select oid, relname from pg_class
                  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
                    and relname <> 'schema_migrations'
    loop
        if pg_relation_size(entry.oid) > 100000 then
            execute format('truncate %I cascade', entry.relname);
        else
            execute format('delete from %I', entry.relname);
        end if;
    end loop;
end $$
"""


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of an administrative database on a server that is gone after the run."""
    if SERVER in os.environ:
        yield os.environ[SERVER]
        return
    with embedded_server(tmp_path_factory.mktemp("postgres"), superuser=True) as dsn:
        prepare_server(dsn)
        yield dsn


def prepare_server(dsn: str) -> None:
    """Make a new server what the tests expect."""
    asyncio.run(_execute(dsn, "alter system set fsync = off"))
    asyncio.run(_execute(dsn, "select pg_reload_conf()"))
    asyncio.run(_execute(dsn, f"create database {MIGRATED}"))
    asyncio.run(migrate(database_of(dsn, MIGRATED), sql_folders()))


@pytest.fixture(scope="module")
def database_url(postgres_server: str) -> Iterator[str]:
    """The DSN of a migrated database that no other module uses."""
    dsn = asyncio.run(new_database(postgres_server, copied=True))
    yield dsn
    if SERVER in os.environ:  # that server sees thousands of runs
        name = dsn.partition("?")[0].rpartition("/")[2]
        asyncio.run(_execute(postgres_server, f"drop database {name} with (force)"))


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
