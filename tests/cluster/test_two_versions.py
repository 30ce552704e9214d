"""A gateway serves while a newer one migrates the database that both use."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from gateway.commands.schema import prepare
from gateway.database.migrations import missing_migrations
from gateway.database.pool import Database, open_database
from gateway.model.errors import CatalogueUnavailable, StartupFailed
from tests.faults.house import House, new_thing, open_house
from tests.tools.deployment import deployment_of, sql_folders
from tests.tools.firmware import Firmware
from tests.tools.gateway import new_database

OLD, NEW = Firmware(1, 3_000).content, Firmware(2, 4_000).content
_ADD = """
do $$ declare entry record;
begin
    for entry in select oid::regclass as name from pg_class
                  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
    loop
        execute format('alter table %s add column added_later text', entry.name);
    end loop;
    for entry in select oid::regclass as name, rtrim(pg_get_viewdef(oid), ';') as text from pg_class
                  where relnamespace = 'public'::regnamespace and relkind = 'v'
    loop
        execute format('create or replace view %s as select q.*, null::text as seen_later from (%s) q',
                       entry.name, entry.text);
    end loop;
end $$;
insert into schema_migrations (name, checksum) values ('9999_added_later.sql', '');
"""


async def asked(house: House, method: str, name: str, content: bytes | None = None) -> int:
    """A status; a 503 is asked again once, as its ``Retry-After`` says."""
    said = await house.ask(method, name, content)
    if said.status == 503:
        assert said.headers["Retry-After"]
        said = await house.ask(method, name, content)
    return said.status


async def in_transaction(database: Database) -> None:
    """What is prepared on the only connection; within a transaction it cannot be prepared anew."""
    async with database.transaction() as session:
        assert await session.row("find_file_by_id", uuid4()) is None


async def live(house: House, name: str) -> list[int]:
    return [
        await asked(house, "POST", name, OLD),
        await asked(house, "PUT", name, NEW),
        await asked(house, "GET", name),
        await asked(house, "GET", ""),
        await asked(house, "DELETE", name),
        await asked(house, "GET", name),
    ]


async def test_a_gateway_goes_on_while_something_is_added_to_every_table_and_view(
    postgres_server: str, tmp_path: Path
) -> None:
    dsn = await new_database(postgres_server, copied=True)
    async with open_database(dsn, sql_folders()) as opened:
        thing = await new_thing(opened)
    async with open_house(
        dsn, tmp_path, thing, database_connections=1, read_cache_seconds=0
    ) as house:
        before = await live(house, "before")
        database = house.stores.messaging.database
        await in_transaction(database)
        connection = await asyncpg.connect(dsn)
        await connection.execute(_ADD)
        await connection.close()
        with pytest.raises(CatalogueUnavailable):
            await in_transaction(database)
        await in_transaction(database)
        assert [201, 200, 200, 200, 204, 404] == before == await live(house, "after")
    assert [] == await missing_migrations(dsn, sql_folders())


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        pytest.param("select 1", None, id="as it is"),
        pytest.param(
            "insert into schema_migrations values ('9999_added.sql', '')", None, id="newer"
        ),
        pytest.param(
            "insert into schema_migrations values ('9999_gone.contract.sql', '')",
            "9999_gone.contract.sql, which this gateway does not know",
            id="too new",
        ),
        pytest.param(
            "delete from schema_migrations where name = '0025_leases.sql'",
            "lacks 1 migrations, 0025_leases.sql first: run `filestore-gateway migrate`",
            id="too old",
        ),
        pytest.param("drop table schema_migrations", "lacks all tables", id="of nobody"),
    ],
)
async def test_a_gateway_that_may_not_migrate_only_looks(
    postgres_server: str, statement: str, refused: str | None
) -> None:
    dsn, told = await new_database(postgres_server, copied=True), list[str]()
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()
    prepared = prepare(deployment_of(migrate_at_start=False), dsn, told.append)
    if refused is None:
        return await prepared
    with pytest.raises(StartupFailed, match=refused):
        await prepared
    assert [] == told
    return None
