"""Suite D: the database goes away at the worst moments.

What was committed is answered as such and downloadable, what was not is no file, nobody knows is
503; and never is a blob deleted that a committed row names.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from gateway.database.pool import Database, database_errors
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.errors import CatalogueUnavailable, CommitUnknown, GatewayError
from gateway.model.file import Draft, Scope
from gateway.upkeep.check import check
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.contract.abilities import inventory_of
from tests.faults.house import House, new_thing, open_house
from tests.tools.firmware import Firmware
from tests.tools.pgproxy import Loss, Moment, PostgresProxy, running_pgproxy

OLD, NEW = Firmware(1, 30_000).content, Firmware(2, 40_000).content
ADD, REPLACE, BEGIN, COMMIT = "insert into files (", "update files set\n", "BEGIN", "COMMIT"
NO_GRACE = GracePeriods(-1, -1)


@pytest.fixture
async def proxy_and_dsn(
    database: Database, database_url: str
) -> AsyncIterator[tuple[PostgresProxy, str]]:
    async with running_pgproxy(database_url) as both:
        yield both


@pytest.fixture
def proxy(proxy_and_dsn: tuple[PostgresProxy, str]) -> PostgresProxy:
    return proxy_and_dsn[0]


@pytest.fixture
async def house(
    proxy_and_dsn: tuple[PostgresProxy, str], database: Database, tmp_path: Path
) -> AsyncIterator[House]:
    thing = await new_thing(database)
    async with open_house(
        proxy_and_dsn[1],
        tmp_path / "data",
        thing,
        database_connections=4,
        database_wait_seconds=1,
        read_cache_seconds=0,
    ) as house:
        yield house


async def settled(connection: asyncpg.Connection) -> None:
    """Wait until no statement of a gateway is running on the server any more."""
    busy = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'filestore-gateway' and state <> 'idle'"
    )
    while await connection.fetchval(busy):
        await asyncio.sleep(0.01)


async def assert_every_row_has_its_blob(house: House) -> None:
    report = await check(house.stores.blobs, house.stores.ledger)
    assert report.sound


@pytest.mark.parametrize(
    ("moment", "status"),
    [pytest.param("before", 503, id="not asked"), pytest.param("after", 201, id="answer lost")],
)
async def test_a_new_file_whose_commit_is_unknown_is_looked_up(
    house: House, proxy: PostgresProxy, moment: Moment, status: int
) -> None:
    proxy.plan(Loss(ADD, moment))
    said = await house.ask("POST", "fw.bin", NEW)
    assert (1, status) == (proxy.lost, said.status), said.body
    assert [] == house.parts()
    got = await house.ask("GET", "fw.bin")
    assert (200, NEW) == (got.status, got.body) if status == 201 else got.status == 404
    if status == 503:
        assert said.is_worded_failure
        assert "1" == said.headers["Retry-After"]
        await sweep(house.stores.blobs, house.stores.ledger, NO_GRACE)
        assert [] == house.blobs()
    await assert_every_row_has_its_blob(house)
    assert 201 == (await house.ask("POST", "next.bin", NEW)).status


@pytest.mark.parametrize(
    ("text", "moment", "status"),
    [
        pytest.param(BEGIN, "before", 503, id="begin"),
        pytest.param(REPLACE, "before", 503, id="statement not asked"),
        pytest.param(REPLACE, "after", 503, id="statement's answer lost"),
        pytest.param(COMMIT, "before", 503, id="commit not asked"),
        pytest.param(COMMIT, "after", 200, id="commit's answer lost"),
    ],
)
async def test_a_replacement_whose_connection_is_lost_is_whole_or_nothing(
    house: House, proxy: PostgresProxy, text: str, moment: Moment, status: int
) -> None:
    await house.ask("POST", "fw.bin", OLD)
    before = house.blobs()
    proxy.plan(Loss(text, moment))
    said = await house.ask("PUT", "fw.bin", NEW)
    assert (1, status) == (proxy.lost, said.status), said.body
    assert (NEW if status == 200 else OLD) == (await house.ask("GET", "fw.bin")).body
    if text != COMMIT:
        assert before == house.blobs()
    await sweep(house.stores.blobs, house.stores.ledger, NO_GRACE)
    await assert_every_row_has_its_blob(house)
    assert 200 == (await house.ask("PUT", "fw.bin", NEW)).status


@pytest.mark.parametrize(
    ("moment", "status", "after"),
    [pytest.param("before", 503, 200, id="not asked"), pytest.param("after", 204, 404, id="lost")],
)
async def test_a_removal_whose_commit_is_unknown_is_looked_up(
    house: House, proxy: PostgresProxy, moment: Moment, status: int, after: int
) -> None:
    await house.ask("POST", "fw.bin", OLD)
    proxy.plan(Loss(COMMIT, moment))
    assert status == (await house.ask("DELETE", "fw.bin")).status
    assert after == (await house.ask("GET", "fw.bin")).status


@pytest.mark.parametrize(("method", "text"), [("POST", ADD), ("PUT", COMMIT)])
async def test_a_commit_that_nobody_waits_for_tells_no_lie(
    house: House, proxy: PostgresProxy, connection: asyncpg.Connection, method: str, text: str
) -> None:
    """The server may or may not have done it when we look; what we said must be true after."""
    for n in range(10):
        name = f"f{n}"
        if method == "PUT":
            await house.ask("POST", name, OLD)
        proxy.plan(Loss(text, "sent"))
        status = (await house.ask(method, name, NEW)).status
        await settled(connection)
        got = await house.ask("GET", name)
        if status == 503:
            assert got.body == NEW or got.status == 404 or got.body == OLD
        else:
            assert ((201 if method == "POST" else 200), NEW) == (status, got.body)
    assert 10 == proxy.lost
    await assert_every_row_has_its_blob(house)


@pytest.mark.parametrize(("method", "text"), [("POST", ADD), ("PUT", COMMIT)])
async def test_nothing_is_deleted_while_nobody_can_be_asked(
    house: House, proxy: PostgresProxy, method: str, text: str
) -> None:
    """The commit happened, its answer is lost, and the database is gone: 503, the blob stays."""
    if method == "PUT":
        await house.ask("POST", "fw.bin", OLD)
    proxy.plan(Loss(text, "after", dead=True))
    said = await house.ask(method, "fw.bin", NEW)
    assert (503, True) == (said.status, said.is_worded_failure)
    proxy.revive()
    assert NEW == (await house.ask("GET", "fw.bin")).body
    await assert_every_row_has_its_blob(house)


async def test_a_dead_database_is_a_503_and_nothing_is_stored(
    house: House, proxy: PostgresProxy
) -> None:
    proxy.die()
    for method, name, content in (("POST", "a", NEW), ("GET", "a", None), ("DELETE", "a", None)):
        said = await house.ask(method, name, content)
        assert (503, True) == (said.status, said.is_worded_failure)
    assert ([], []) == (house.parts(), house.blobs())
    proxy.revive()
    assert 201 == (await house.ask("POST", "a", NEW)).status


async def test_a_database_that_dies_during_the_body_leaves_nothing_behind(
    house: House, proxy: PostgresProxy
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield NEW
        proxy.die()
        yield NEW

    form = aiohttp.FormData()
    form.add_field("file", body(), filename="fw.bin")
    async with house.session.post(f"{house.url}/files", data=form, headers=house.headers) as answer:
        assert 503 == answer.status
    assert ([], []) == (house.parts(), house.blobs())
    proxy.revive()
    assert 404 == (await house.ask("GET", "fw.bin")).status


def said_by_server(sqlstate: str) -> asyncpg.PostgresError:
    """What asyncpg makes of that, whether it knows it or not."""
    error = asyncpg.PostgresError.new({"S": "FATAL", "C": sqlstate, "M": "said"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    "error",
    [
        *(pytest.param(kind("x"), id=kind.__name__) for kind in (OSError, ConnectionResetError)),
        *(pytest.param(kind("x"), id=kind.__name__) for kind in (TimeoutError, BrokenPipeError)),
        pytest.param(asyncpg.InterfaceError("connection is closed"), id="closed"),
        pytest.param(asyncpg.ConnectionDoesNotExistError("closed in the middle"), id="cut"),
        pytest.param(asyncpg.InternalClientError("out of step"), id="out of step"),
        *(
            pytest.param(said_by_server(state), id=what)
            for state, what in (
                ("08006", "connection failure"),
                ("08P01", "a pooler's word"),
                ("25006", "a standby"),
                ("25P03", "idle in a transaction for too long"),
                ("25P04", "a transaction that took too long"),
                ("28000", "no entry any more"),
                ("3D000", "no such database any more"),
                ("40001", "not in this order"),
                ("40P01", "deadlock"),
                ("53100", "disk full"),
                ("53300", "too many connections"),
                ("55P03", "a lock that took too long"),
                ("57014", "a statement that took too long"),
                ("57P01", "told to end"),
                ("57P02", "another's crash"),
                ("57P03", "not ready yet"),
                ("57P05", "idle for too long"),
                ("57P99", "of a server to come"),
                ("58030", "its disk"),
            )
        ),
    ],
)
def test_a_database_that_may_be_asked_again_is_said_to_be_away(error: Exception) -> None:
    with pytest.raises(CatalogueUnavailable), database_errors():
        raise error


@pytest.mark.parametrize(
    "sqlstate",
    [
        pytest.param("42P01", id="no such table"),
        pytest.param("23514", id="a check"),
        pytest.param("22003", id="out of range"),
        pytest.param("XX001", id="corrupted"),
    ],
)
def test_what_no_repetition_mends_is_a_fault_of_ours(sqlstate: str) -> None:
    with pytest.raises(asyncpg.PostgresError), database_errors():
        raise said_by_server(sqlstate)


async def test_an_exhausted_pool_is_a_503(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with open_house(
        database_url,
        tmp_path,
        await new_thing(database),
        database_connections=1,
        database_wait_seconds=0.2,
    ) as house:
        async with house.stores.files._database.session():
            said = await house.ask("POST", "fw.bin", NEW)
        assert (503, "1") == (said.status, said.headers["Retry-After"])
        assert ([], []) == (house.parts(), house.blobs())
        assert 201 == (await house.ask("POST", "fw.bin", NEW)).status


async def test_connections_that_die_at_random_lose_nothing_that_was_acknowledged(
    house: House, connection: asyncpg.Connection
) -> None:
    choice, acknowledged, done = random.Random(5), dict[str, bytes](), asyncio.Event()

    def tries() -> Iterator[int]:
        """Some, and more on a machine that is too busy to commit anything between two deaths."""
        return itertools.takewhile(lambda n: n < 15 or not acknowledged, range(500))

    async def client(number: int) -> None:
        for n in tries():
            name, content = f"f{number}-{n % 5}", Firmware(number * 100 + n, 5_000).content
            method = "PUT" if name in acknowledged else "POST"
            status = (await house.ask(method, name, content)).status
            if status in (200, 201):
                acknowledged[name] = content
            elif status != 409:
                assert 503 == status
                acknowledged.pop(name, None)  # it may be either version now

    async def terminate() -> None:
        while not done.is_set():
            await asyncio.sleep(choice.random() * 0.03)
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                " and datname = current_database() and application_name = 'filestore-gateway'"
                " and random() < 0.5"
            )

    killing = asyncio.create_task(terminate())
    await asyncio.gather(*(client(number) for number in range(4)))
    done.set()
    await killing
    assert acknowledged
    for name, content in acknowledged.items():
        assert content == await read_back(house, name)
    await sweep(house.stores.blobs, house.stores.ledger, NO_GRACE)
    await assert_every_row_has_its_blob(house)


async def read_back(house: House, name: str) -> bytes:
    """The file, once the gateway has noticed the last of the connections that were killed."""
    async with asyncio.timeout(30):
        while (said := await house.ask("GET", name)).status == 503:
            await asyncio.sleep(0.01)
    return said.body


# Cancellation.


async def _scope(database: Database) -> Scope:
    scope = Scope("things", uuid4().hex)
    await database.run("add_scope", scope.kind, scope.owner)
    return scope


async def _deposit(house: House, scope: Scope, name: str, content: bytes) -> None:
    access = Access(
        Principal(PrincipalKind.THING, "t", "thing"), Action.CREATE, "test", scope, name
    )
    deposit = Deposit(access, Draft(scope, name, "a/b"), Mode.PUT)
    async with house.files.stage(scope) as writer:
        for start in range(0, len(content), 70_000):
            await writer.write(content[start : start + 70_000])
        await house.files.deposit(deposit, writer)


@pytest.mark.parametrize(
    "victim", [pytest.param("request", id="the request"), pytest.param("all", id="everything")]
)
async def test_an_upload_cancelled_at_any_moment_is_whole_or_nothing(
    house: House, database: Database, victim: str
) -> None:
    """``all`` is what the end of an event loop does, also to the commits under way."""
    scope, choice, outcomes = await _scope(database), random.Random(7), set[bool]()
    content, before = Firmware(9, 2_500_000).content, house.descriptors()
    for n in range(60):
        task = asyncio.create_task(_deposit(house, scope, f"f{n}", content))
        await asyncio.sleep(choice.random() * 0.03)
        task.cancel()
        if victim == "all":
            for commit in tuple(house.files._commits):
                commit.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*house.files._commits, return_exceptions=True)
        record = await house.stores.files.find(scope, f"f{n}")
        outcomes.add(record is not None)
        if record is not None:
            assert len(content) == await inventory_of(house.stores.blobs).size_of(
                scope, record.content.id
            )
    assert {True, False} == outcomes
    assert [] == house.parts()
    assert before == house.descriptors()
    await assert_every_row_has_its_blob(house)


async def test_a_download_cancelled_while_its_blob_is_opened_keeps_no_descriptor(
    house: House, database: Database
) -> None:
    scope = await _scope(database)
    await _deposit(house, scope, "f", b"content")
    record = await house.files.find(scope, "f")
    before = house.descriptors()
    for n in range(50):
        opening = asyncio.create_task(house.files.open(record))
        for _ in range(n % 3):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            (await opening).close()
    reader = await house.files.open(record)  # queued behind whatever still opens
    reader.close()
    await asyncio.sleep(0.05)
    assert before == house.descriptors()


async def test_a_refused_commit_removes_its_blob(house: House, database: Database) -> None:
    with pytest.raises(GatewayError):
        await _deposit(house, Scope("things", "gone"), "f", b"content")
    assert ([], []) == (house.parts(), house.blobs())


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(asyncio.CancelledError(), id="cancelled"),
        pytest.param(asyncpg.InternalServerError("reset"), id="server error"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_connection_that_cannot_be_given_back_undoes_no_commit(
    house: House, method: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "PUT":
        await house.ask("POST", "fw.bin", OLD)
    release = asyncpg.pool.Pool.release

    async def fail(pool: asyncpg.Pool, connection: Any, *, timeout: float | None = None) -> None:
        await release(pool, connection, timeout=timeout)
        raise error

    monkeypatch.setattr(asyncpg.pool.Pool, "release", fail)
    status = (await house.ask(method, "fw.bin", NEW)).status
    monkeypatch.undo()
    assert (201 if method == "POST" else 200) == status
    assert NEW == (await house.ask("GET", "fw.bin")).body
    await assert_every_row_has_its_blob(house)


@pytest.mark.parametrize("ticks", range(12))
async def test_whoever_is_cancelled_while_a_connection_goes_back_ends(
    database: Database, ticks: int
) -> None:
    async def ask_for_ever() -> None:
        while True:
            await database.rows("claim_webhooks", uuid4(), 1.0, [], 1, [])
            asked.set()

    asked = asyncio.Event()
    task = asyncio.create_task(ask_for_ever())
    await asked.wait()  # connected and prepared: from here on a round is a few steps of the loop
    for _ in range(200):
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=2)
        assert task.done()
        task = asyncio.create_task(ask_for_ever())
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("way", ["change", "transaction"])
async def test_a_commit_whose_caller_is_cancelled_afterwards_is_not_taken_for_a_refusal(
    database: Database, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user: tuple[object, ...] = (uuid4(), f"{uuid4().hex}@gateway.test", "hash", {}, True, False)
    release = asyncpg.pool.Pool.release

    async def cancelled(
        pool: asyncpg.Pool, connection: Any, *, timeout: float | None = None
    ) -> None:
        await release(pool, connection, timeout=timeout)
        monkeypatch.undo()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def add() -> None:
        if way == "change":
            await database.change("add_user", *user)
            return
        async with database.transaction() as session:
            await session.run("add_user", *user)

    monkeypatch.setattr(asyncpg.pool.Pool, "release", cancelled)
    with pytest.raises(CommitUnknown):
        await asyncio.create_task(add())
    assert await database.row("user_by_id", user[0]) is not None
