"""Gateways on a PostgreSQL of others: behind a pooler, with a standby, over connections that go silent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from gateway.commands.schema import check_news
from gateway.database.changes import CHANNEL, listening, through
from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from gateway.database.servers import Servers
from gateway.model.change import Change, FileChanged
from gateway.model.errors import StartupFailed
from gateway.model.file import Scope
from tests.faults.house import House, new_thing, open_house
from tests.tools.deployment import deployment_of, sql_folders
from tests.tools.firmware import Firmware
from tests.tools.ports import HOST
from tests.tools.postgres import Pair, running_pair, running_pgbouncer
from tests.tools.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEW, OTHER = Firmware(1, 30_000).content, Firmware(2, 5_000).content
BOUND = 0.6


@dataclass(frozen=True, slots=True)
class Ways:
    """Two servers, one database on them, and how it is reached."""

    pair: Pair
    direct: str
    pooled: str
    other: str
    data: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ways() -> AsyncIterator[Ways]:
    """A migrated database: two gateways migrated it at once, through the pooler.

    Not below pytest's own folder, from which every other pytest of the machine shuts nobody out.
    """
    with tempfile.TemporaryDirectory(prefix="filestore-pair-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with (
            running_pair(folder / "pair") as pair,
            running_pgbouncer(folder / "pgbouncer", pair.primary.port) as port,
        ):
            await pair.primary.execute("create database fleet")
            pooled = f"postgresql://postgres@{HOST}:{port}/fleet?sslmode=disable"
            await asyncio.gather(*(migrate(pooled, sql_folders()) for _ in range(2)))
            yield Ways(pair, pair.primary.dsn("fleet"), pooled, pair.primary.dsn(), folder / "data")


@dataclass(slots=True)
class Heard:
    """A listener that keeps what it is told; ``hears`` is what it believes."""

    hears: bool = False
    lost: int = 0
    changes: list[Change] = field(default_factory=list)
    echoes: list[float | None] = field(default_factory=list)

    def on_change(self, change: Change) -> None:
        self.changes.append(change)

    def on_connected(self) -> None:
        self.hears = True

    def on_disconnected(self) -> None:
        self.lost += self.hears
        self.hears = False


@contextlib.asynccontextmanager
async def house_on(ways: Ways, dsn: str, **settings: Any) -> AsyncIterator[House]:
    async with open_database(ways.direct, sql_folders(), connections=1) as database:
        thing = await new_thing(database)
    async with open_house(dsn, ways.data, thing, **settings) as house:
        yield house


@contextlib.asynccontextmanager
async def pooled_database(ways: Ways) -> AsyncIterator[Database]:
    async with open_database(ways.pooled, sql_folders(), connections=4, pooled=True) as database:
        yield database


async def on_server(ways: Ways, text: str, *values: object) -> Any:
    """What the server says, asked by nobody of ours."""
    connection = await asyncpg.connect(ways.direct)
    try:
        return await connection.fetchval(text, *values)
    finally:
        await connection.close()


async def test_migrations_through_a_pooler_leave_no_lock_behind(ways: Ways) -> None:
    held = "select count(*) from pg_locks where locktype = 'advisory'"
    assert 0 == await on_server(ways, held)
    await migrate(ways.pooled, sql_folders())


async def test_gateways_behind_a_pooler_share_few_connections(ways: Ways) -> None:
    async with house_on(ways, ways.pooled, database_pooled=True) as house:

        async def live(number: int) -> None:
            name = f"f{number}"
            assert 201 == (await house.ask("POST", name, NEW)).status
            assert 200 == (await house.ask("PUT", name, OTHER)).status
            assert OTHER == (await house.ask("GET", name)).body
            assert 200 == (await house.ask("GET")).status

        await asyncio.gather(*map(live, range(20)))


async def test_a_stream_through_a_pooler_leaves_no_name_with_the_server(ways: Ways) -> None:
    """Another process, which chooses the same names, is given the same server's connection next."""
    left = "select count(*) from pg_prepared_statements where name <> ''"
    async with pooled_database(ways) as one, pooled_database(ways) as other:
        assert 0 < len([row async for row in one.stream("events_since", None, None)])
        async with other.session() as session:
            assert 0 == await session.connection.fetchval(left)


@pytest.mark.parametrize(
    ("url", "settings", "refused"),
    [
        pytest.param("direct", {}, None, id="PostgreSQL itself"),
        pytest.param("pooled", {}, "set GATEWAY_DATABASE_POOLED=true", id="pooler, nothing said"),
        pytest.param("pooled", {"database_pooled": True}, "PostgreSQL itself", id="no direct way"),
        pytest.param("pooled", {"to": "direct"}, "GATEWAY_DATABASE_POOLED", id="statements kept"),
        pytest.param("pooled", {"database_pooled": True, "to": "direct"}, None, id="both ways"),
        pytest.param(
            "pooled", {"database_pooled": True, "to": "other"}, "another database", id="elsewhere"
        ),
    ],
)
async def test_a_gateway_that_would_not_hear_of_changes_does_not_start(
    ways: Ways,
    url: str,
    settings: dict[str, object],
    refused: str | None,
) -> None:
    dsn, to = getattr(ways, url), settings.get("to")
    chosen = {n: v for n, v in settings.items() if n != "to"} | {"database_url": dsn}
    if to is not None:
        chosen["database_direct_url"] = getattr(ways, str(to))
    checked = check_news(deployment_of(**chosen).settings, dsn, seconds=BOUND)
    if refused is None:
        return await checked
    with pytest.raises(StartupFailed, match=refused):
        await checked
    return None


async def test_a_listener_behind_a_pooler_is_never_told_that_it_hears(ways: Ways) -> None:
    """``select 1`` succeeds on such a connection, and so does LISTEN."""
    heard = Heard()
    async with (
        pooled_database(ways) as database,
        listening(
            ways.pooled,
            heard,
            announce=through(database),
            bound_seconds=BOUND,
            watch=heard.echoes.append,
        ),
    ):
        await until(lambda: len(heard.echoes) >= 3)
    assert (False, 0, {None}) == (heard.hears, heard.lost, set(heard.echoes))


async def test_a_connection_that_goes_silent_is_found_within_the_bound(ways: Ways) -> None:
    heard, loop = Heard(), asyncio.get_running_loop()
    async with (
        pooled_database(ways) as database,
        listening(
            ways.direct,
            heard,
            announce=through(database),
            bound_seconds=BOUND,
            watch=heard.echoes.append,
        ),
    ):
        await until(lambda: heard.hears)
        await on_server(ways, "select pg_notify($1, $2)", CHANNEL, '["things", "a", "b"]')
        await until(lambda: bool(heard.changes))
        listener = "select pid from pg_stat_activity where query ilike 'listen%'"
        with stopped(await on_server(ways, listener)):
            began = loop.time()
            await until(lambda: not heard.hears)
            assert loop.time() - began < BOUND + 0.5, "some of it is the machine's"
        await until(lambda: heard.hears)
    assert [FileChanged(Scope("things", "a"), "b")] == heard.changes
    assert 0 < min(echo for echo in heard.echoes if echo is not None) < BOUND


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_host_that_swallows_packets_does_not_use_up_the_time_of_the_next(
    ways: Ways,
) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hole, loop = await asyncio.start_server(swallow, HOST, 0), asyncio.get_running_loop()
    port = hole.sockets[0].getsockname()[1]
    hosts = f"{HOST}:{port},{HOST}:{ways.pair.primary.port}"
    async with hole:
        dsn = f"postgresql://postgres@{hosts}/fleet?sslmode=disable&connect_timeout=1"
        async with open_database(dsn, wait_seconds=3, connections=4) as database:
            assert await database.value("any_table")
            began = loop.time()
            servers = Servers(dsn)
            assert [True] * 2 == [await answered(servers) for _ in range(2)]
            assert loop.time() - began < 1.9, "the one that answered is tried first from then on"


async def answered(servers: Servers) -> bool:
    connection = await servers.connect(3)
    await connection.close()
    return True


async def test_only_a_server_that_takes_writes_is_chosen_unless_another_is_asked_for(
    ways: Ways,
) -> None:
    ports = ways.pair.standby.port, ways.pair.primary.port
    both = f"postgresql://postgres@{HOST}:{ports[0]},{HOST}:{ports[1]}/fleet?sslmode=disable"
    for dsn, port in ((both, ports[1]), (f"{both}&target_session_attrs=standby", ports[0])):
        connection = await Servers(dsn).connect(5)
        assert str(port) == await connection.fetchval("show port")
        await connection.close()


async def test_a_standby_is_promoted_and_nothing_that_was_acknowledged_is_lost(ways: Ways) -> None:
    """The last of this file: the primary does not come back."""
    acknowledged, heard = dict[str, bytes](), Heard()
    dsn = ways.pair.dsn("fleet")
    async with (
        house_on(ways, dsn, database_connections=4, database_wait_seconds=2) as house,
        listening(
            dsn, heard, announce=through(house.stores.messaging.database), bound_seconds=BOUND
        ),
    ):
        await until(lambda: heard.hears)
        over = asyncio.Event()

        async def write(number: int) -> None:
            count = 0
            while not over.is_set():
                name, count = f"w{number}-{count}", count + 1
                content = Firmware(count, 2_000 + number).content
                said = await house.ask("POST", name, content)
                assert said.status in (201, 503), said.body
                if said.status == 201:
                    acknowledged[name] = content

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(write(number))
            await until(lambda: len(acknowledged) > 20)
            await ways.pair.fail_over()
            before = len(acknowledged)
            await until(lambda: len(acknowledged) > before + 20)
            over.set()
        for name, content in acknowledged.items():
            assert content == (await house.ask("GET", name)).body, name
        await until(lambda: heard.hears)
        assert 1 <= heard.lost
