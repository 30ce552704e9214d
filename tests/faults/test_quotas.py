"""Quotas where two gateways serve one database, and where one of them dies.

Real processes; the sums are looked at behind their backs.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from gateway.quotas.reservations import LEASE_SECONDS
from tests.contract.test_quotas import KEPT, TRUTH
from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import Thing, sign_in
from tests.tools.waiting import until

KiB, MiB = 1024, 1024 * 1024
LIMIT = 12 * MiB
SET_LIMIT = "insert into quotas values ('things', $1, 'bytes', $2)"


@dataclass
class Pair:
    """Two gateways on one data directory and database."""

    gateways: tuple[GatewayProcess, GatewayProcess]
    session: aiohttp.ClientSession
    rows: asyncpg.Connection

    async def thing(self) -> Thing:
        """One that may have ``LIMIT`` bytes."""
        thing = await (await sign_in(self.session, self.gateways[1].url)).thing()
        await self.rows.execute(SET_LIMIT, thing.id, LIMIT)
        return thing

    async def put(
        self, place: int, thing: Thing, name: str, size: int, *, declared: bool = True
    ) -> int:
        """The status; 0 if the connection ended first."""

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(0, size, 256 * KiB):
                yield bytes(min(size, 256 * KiB))

        url = f"{self.gateways[place].url}/files/{name}"
        headers = {**thing.headers, "Content-Type": "application/octet-stream"}
        body = io.BytesIO(bytes(size)) if declared else pieces()
        with contextlib.suppress(aiohttp.ClientError):
            async with self.session.put(url, data=body, headers=headers) as answer:
                return answer.status
        return 0

    async def held(self, thing: Thing) -> tuple[int, int]:
        """Bytes that are there, and those that are reserved, as of one moment."""
        row = await self.rows.fetchrow(
            "select (select coalesce(sum(size), 0) from blobs"
            "         where kind = 'things' and owner = $1)::bigint,"
            "       (select coalesce(sum(bytes), 0) from reservations"
            "         where kind = 'things' and owner = $1)::bigint",
            thing.id,
        )
        assert row is not None
        return int(row[0]), int(row[1])

    async def assert_account_is_rows(self) -> None:
        assert await self.rows.fetch(TRUTH) == await self.rows.fetch(KEPT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Pair]:
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    dsn = await new_database(postgres_server, copied=True)
    shared = {"database_url": dsn, "data_dir": folders[0] / "both", "secret": "s" * 32}
    async with (
        running_gateway(folders[0], database_server=postgres_server, **shared) as one,
        running_gateway(folders[1], database_server=postgres_server, **shared) as two,
        aiohttp.ClientSession() as session,
    ):
        rows = await asyncpg.connect(dsn)
        yield Pair((one, two), session, rows)
        await rows.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_two_gateways_never_pass_the_limit_together(pair: Pair) -> None:
    """Forty uploads of all kinds race; at every moment what is there and reserved is within it."""
    statuses: list[int] = []
    thing = await pair.thing()

    async def upload(n: int) -> None:
        size = (3 * MiB, 300 * KiB, 2 * MiB, MiB)[n % 4]
        statuses.append(await pair.put(n % 2, thing, f"f{n % 9}", size, declared=n % 3 != 0))

    async def watch() -> int:
        most = 0
        while len(statuses) < 40:
            most = max(most, sum(await pair.held(thing)))
        return most

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(upload(n) for n in range(40)))
    assert LIMIT >= await watching > LIMIT // 2
    # 409: another made a file of that name at the same moment.
    assert {200, 201, 409, 507} >= set(statuses) - {0}
    assert 507 in statuses

    async def is_released() -> bool:
        return (await pair.held(thing))[1] == 0

    await until(is_released)
    await pair.assert_account_is_rows()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_killed_gateway_had_reserved_comes_back(pair: Pair) -> None:
    """kill -9 in the middle of an upload: its room is nobody's for a lease, then it is there again."""
    never, thing = asyncio.Event(), await pair.thing()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(2 * MiB)
        await never.wait()

    async def hold() -> int:
        headers = {"Content-Length": str(10 * MiB), "Content-Type": "text/plain", **thing.headers}
        url = f"{pair.gateways[0].url}/files/held"
        async with pair.session.put(url, data=endless(), headers=headers) as answer:
            return answer.status

    async def is_reserved() -> bool:
        return (await pair.held(thing))[1] == 10 * MiB

    holding = asyncio.create_task(hold())
    await until(is_reserved)
    assert 507 == await pair.put(1, thing, "late", 4 * MiB)
    await pair.gateways[0].kill9()
    with pytest.raises(aiohttp.ClientError):
        await holding
    assert 507 == await pair.put(1, thing, "late", 4 * MiB)
    left = "select max(extract(epoch from expires_at - now()))::float8 from reservations"
    assert 0 < await pair.rows.fetchval(left) <= LEASE_SECONDS
    await pair.gateways[0].start()
    over = f"update reservations set expires_at = expires_at - interval '{LEASE_SECONDS} s'"
    await pair.rows.execute(over)
    assert 201 == await pair.put(0, thing, "late", 4 * MiB)
    assert 201 == await pair.put(1, thing, "later", 8 * MiB)
    await pair.assert_account_is_rows()


@pytest.mark.asyncio(loop_scope="module")
async def test_an_administrator_sets_limits_by_the_command(pair: Pair) -> None:
    thing = await pair.thing()
    account, one = f"things/{thing.id}", pair.gateways[1]
    status, said = await one.run("admin", "quota", account, "--set", "bytes=1MiB,files=unlimited")
    assert (0, account) == (status, json.loads(said)["account"])
    limits = {row["of"]: row["limit"] for row in json.loads(said)["quotas"]}
    assert (MiB, None) == (limits["bytes"], limits["files"])
    assert 507 == await pair.put(0, thing, "a", MiB + 1)
    assert 201 == await pair.put(0, thing, "a", MiB)
    assert (1, "") == await one.run("admin", "quota", f"things/{thing.id[::-1]}")
