"""What one user takes, by however many things, leaves some for everybody else: places for uploads,
for requests, for passwords, connections to the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from gateway.database import pool as database_pool
from gateway.database.pool import Database
from gateway.identity.secrets import Passwords
from gateway.model.errors import CatalogueUnavailable, TooMany
from gateway.process.holder import HOLDER, Holder
from gateway.traffic.turns import Turns
from gateway.web.middleware import MIDDLEWARE
from gateway.web.server.listen import listen
from gateway.web.server.options import Options
from tests.tools.gateway import new_database, running_gateway
from tests.tools.inside import open_application
from tests.tools.mainflux import sign_in, signed_in, upload
from tests.tools.ports import HOST
from tests.tools.rawhttp import multipart, raw_connection
from tests.tools.waiting import PATIENCE_SECONDS

PLACES = 8
KEPT = 2


async def test_whoever_holds_most_places_gets_no_more_and_others_do(
    tmp_path: Path, postgres_server: str
) -> None:
    disposition = 'Content-Disposition: form-data; name="file"; filename="fw.bin"'
    headers, body = multipart([(disposition, bytes(1 << 20))])
    async with (
        running_gateway(
            tmp_path, database_server=postgres_server, max_concurrent_uploads=PLACES
        ) as gateway,
        aiohttp.ClientSession() as session,
        signed_in(gateway.url) as admin,
        AsyncExitStack() as stack,
    ):
        said = {"email": "greedy@test.test", "password": "correct-horse"}
        async with session.post(f"{gateway.url}/users", json=said) as answer:
            assert answer.status == 201
        greedy = await sign_in(session, gateway.url, said["email"], said["password"])
        things = [await greedy.thing() for _ in range(PLACES - KEPT)]
        connections = [
            await stack.enter_async_context(raw_connection(gateway.port)) for _ in things
        ]
        for raw, thing in zip(connections, things, strict=True):
            await raw.send_head("POST", "/files", [*thing.headers.items(), *headers])
            await raw.send(body[: 1 << 19])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(list((gateway.data_dir / "incoming").iterdir())) < len(things):
                await asyncio.sleep(0.01)
        one_more = await greedy.thing()
        async with raw_connection(gateway.port) as raw:
            await raw.send_head("POST", "/files", [*one_more.headers.items(), *headers])
            assert (await raw.read_answer()).status == 429
        thing = await admin.thing()
        await upload(session, f"{gateway.url}/files", thing.headers, "fw.bin", b"content")
        await connections[0].send(body[1 << 19 :])
        assert (await connections[0].read_answer()).status == 201
        await upload(session, f"{gateway.url}/files", one_more.headers, "fw.bin", b"content")


async def test_connections_to_the_database_are_given_in_turns(postgres_server: str) -> None:
    """Whoever keeps the server busy waits behind themselves; the others do not wait for them."""
    pool = await asyncpg.create_pool(postgres_server, min_size=5, max_size=5)
    statements = {"nap": "select pg_sleep(0.5)", "one": "select 1"}
    database = Database(pool, statements, wait_seconds=30, places=Turns(5, kept=1))
    ended = list[str]()

    async def ask(name: str, statement: str) -> None:
        HOLDER.set(Holder(name))
        await database.value(statement)
        ended.append(name)

    try:
        flood = [asyncio.create_task(ask("greedy", "nap")) for _ in range(9)]
        await asyncio.sleep(0)
        await asyncio.create_task(ask("other", "one"))
        assert ended == ["other"], "a place was left"
        await asyncio.gather(*flood)
    finally:
        await pool.close()


async def test_a_list_that_takes_long_is_ended_on_the_server(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_pool, "_LIST_SECONDS", 0.2)
    pool = await asyncpg.create_pool(postgres_server, min_size=1, max_size=2)
    statements = {
        "x/list_all": "select pg_sleep(20)",
        "left": "select count(*) from pg_stat_activity where query = 'select pg_sleep(20)' and state = 'active'",
    }
    database = Database(pool, statements, wait_seconds=30)
    HOLDER.set(Holder("somebody"))
    try:
        with pytest.raises(CatalogueUnavailable):
            await database.rows("x/list_all")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await database.value("left"):
                await asyncio.sleep(0.02)
    finally:
        await pool.close()


async def test_log_ins_are_taken_in_turns() -> None:
    """A hundred of one address, and one of another, which is not the last."""
    passwords, order = Passwords(threads=1, waiting=99), list[str]()

    async def log_in(address: str) -> None:
        HOLDER.set(Holder(address))
        with contextlib.suppress(TooMany):
            await passwords.hash("correct-horse")
            order.append(address)

    flood = [asyncio.create_task(log_in("flood")) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.create_task(log_in("honest"))
    assert len(order) <= 5
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    passwords.close()


async def test_each_of_several_requests_in_one_write_waits_for_its_turn(
    tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection asks for the first one's turn, the middleware for the others'."""
    asked = list[str | None]()
    database_url = await new_database(postgres_server, copied=True)
    async with open_application(tmp_path, database_url) as app, served(app) as port:
        turn = app[MIDDLEWARE].rounds.turn

        async def counted(address: str | None) -> None:
            asked.append(address)
            await turn(address)

        monkeypatch.setattr(app[MIDDLEWARE].rounds, "turn", counted)
        async with raw_connection(port) as raw:
            for together in (1, 5):
                await raw.send(together * b"GET /health HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                for _ in range(together):
                    assert (await raw.read_answer()).status == 200
    assert asked == [HOST] * 4


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[int]:
    """Over connections of our own; the port."""
    middleware = app[MIDDLEWARE]
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        options = Options(middleware.refuse_unparsed, 5, rounds=middleware.rounds)
        server = await listen(app, sock, options, shutdown_seconds=1)
        try:
            yield sock.getsockname()[1]
        finally:
            await server.stop()
