"""Suite E: two gateways on one disk and database, and everybody at once.

A payload carries its version, so that a body mixed of two, or one that never was current, is
seen. Sweeps without grace and checks run beside.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.database.pool import Database
from gateway.upkeep.check import check, scrub
from gateway.upkeep.sweep import GracePeriods, sweep
from gateway.wiring import Stores
from tests.contract.abilities import inventory_of
from tests.faults.house import House, new_thing, open_house
from tests.tools.firmware import Firmware
from tests.tools.gateway import running_gateway

SECRET = "s" * 32
VERSION_BYTES = 8


def payload(version: int, size: int = 200_000) -> bytes:
    """The version, and then bytes that only this version has."""
    return version.to_bytes(VERSION_BYTES, "big") + Firmware(version, size).content


def version_of(body: bytes) -> int:
    """The version a body is, whole. Raises ``AssertionError`` if it is a mixture or a part."""
    version = int.from_bytes(body[:VERSION_BYTES], "big")
    whole = payload(version)
    assert hashlib.sha256(whole).digest() == hashlib.sha256(body).digest()
    return version


@dataclass(frozen=True, slots=True)
class Pair:
    """Two gateways behind which is one thing; a request goes to either."""

    urls: tuple[str, str]
    session: aiohttp.ClientSession
    headers: dict[str, str]
    stores: Stores

    async def ask(
        self, turn: int, method: str, name: str, content: bytes | None = None
    ) -> tuple[int, bytes]:
        """The status and body of what gateway ``turn % 2`` answers."""
        form = None
        if content is not None:
            form = aiohttp.FormData()
            form.add_field("file", io.BytesIO(content), filename=name)
        path = "/files" if method == "POST" else f"/files/{name}"
        async with self.session.request(
            method, self.urls[turn % 2] + path, data=form, headers=self.headers
        ) as answer:
            return answer.status, await answer.read()


@pytest.fixture
async def pair(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    headers, connector = await new_thing(database), aiohttp.TCPConnector(limit=0)
    shared: dict[str, Any] = {
        "database_server": None,
        "database_url": database_url,
        "secret": SECRET,
        "sweep_interval_seconds": 0.05,
        "garbage_grace_seconds": 5,
        "read_cache_seconds": 0,
    }
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    async with (
        running_gateway(tmp_path / "one", **shared, data_dir=tmp_path / "data") as one,
        running_gateway(tmp_path / "two", **shared, data_dir=tmp_path / "data") as two,
        _opened(database_url, tmp_path / "data", headers) as house,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield Pair((one.url, two.url), session, headers, house.stores)


@asynccontextmanager
async def _opened(dsn: str, data_dir: Path, headers: dict[str, str]) -> AsyncIterator[House]:
    async with open_house(dsn, data_dir, headers) as house:
        yield house


async def assert_sound(stores: Stores) -> None:
    assert (await check(stores.blobs, stores.ledger)).sound
    assert [] == (await scrub(stores.blobs, stores.ledger)).findings


async def test_of_two_hundred_posts_of_one_name_exactly_one_is_created(pair: Pair) -> None:
    answers = await asyncio.gather(
        *(pair.ask(n, "POST", "fw.bin", payload(n, 20_000)) for n in range(200))
    )
    statuses = [status for status, _ in answers]
    assert Counter({201: 1, 409: 199}) == Counter(statuses)
    _, body = await pair.ask(0, "GET", "fw.bin")
    assert payload(statuses.index(201), 20_000) == body
    await assert_sound(pair.stores)
    assert 1 == len([stored async for stored in inventory_of(pair.stores.blobs).walk()])


async def test_of_concurrent_puts_some_winner_is_there_whole(pair: Pair) -> None:
    await pair.ask(0, "POST", "fw.bin", payload(0))
    answers = await asyncio.gather(
        *(pair.ask(n, "PUT", "fw.bin", payload(n)) for n in range(1, 41))
    )
    assert {200} == {status for status, _ in answers}
    found = [version_of((await pair.ask(turn, "GET", "fw.bin"))[1]) for turn in (0, 1)]
    assert found[0] == found[1] > 0
    await assert_sound(pair.stores)


async def test_of_concurrent_puts_that_expect_the_same_version_one_wins(pair: Pair) -> None:
    await pair.ask(0, "POST", "fw.bin", payload(0))
    digest = hashlib.sha256(payload(0)).digest()
    etag = f'"{base64.urlsafe_b64encode(digest).decode().rstrip("=")}"'
    conditional = replace(pair, headers={**pair.headers, "If-Match": etag})
    answers = await asyncio.gather(
        *(conditional.ask(n, "PUT", "fw.bin", payload(n)) for n in range(1, 41))
    )
    statuses = [status for status, _ in answers]
    assert Counter({200: 1, 412: 39}) == Counter(statuses)
    _, body = await pair.ask(0, "GET", "fw.bin")
    assert statuses.index(200) + 1 == version_of(body)


async def test_readers_see_one_version_each_while_it_is_replaced(pair: Pair) -> None:
    """And no reader that begins after an acknowledgement sees what was there before."""
    await pair.ask(0, "POST", "fw.bin", payload(0))
    acknowledged, begun, done = 0, 0, False
    seen = set[int]()

    async def write() -> None:
        nonlocal acknowledged, begun, done
        for version in range(1, 40):
            begun = version
            assert (await pair.ask(version, "PUT", "fw.bin", payload(version)))[0] == 200
            acknowledged = version
        done = True

    async def read(turn: int) -> None:
        while not done:
            oldest = acknowledged
            status, body = await pair.ask(turn, "GET", "fw.bin")
            assert status == 200
            assert oldest <= version_of(body) <= begun
            seen.add(version_of(body))

    async def keep_house() -> None:
        while not done:
            await sweep(pair.stores.blobs, pair.stores.ledger, GracePeriods(3600, 3600))
            assert (await check(pair.stores.blobs, pair.stores.ledger)).sound

    await asyncio.gather(write(), keep_house(), *(read(turn) for turn in range(4)))
    assert len(seen) > 3
    await assert_sound(pair.stores)


async def test_a_sweep_without_grace_breaks_no_promise(pair: Pair) -> None:
    """It may take an upload's blob before the row comes; then the upload fails, in the open."""
    done = False

    async def sweep_wildly() -> None:
        while not done:
            await sweep(pair.stores.blobs, pair.stores.ledger, GracePeriods(-1, -1))

    async def client(number: int) -> list[str]:
        kept = []
        for n in range(12):
            name = f"f{number}-{n}"
            status, _ = await pair.ask(n, "POST", name, payload(number * 100 + n))
            assert status in (201, 500)
            if status == 201:
                kept.append(name)
        return kept

    sweeping = asyncio.create_task(sweep_wildly())
    kept = [name for names in await asyncio.gather(*map(client, range(6))) for name in names]
    done = True
    await sweeping
    for turn, name in enumerate(kept):
        status, body = await pair.ask(turn, "GET", name)
        assert status == 200
        number, n = map(int, name[1:].split("-"))
        assert number * 100 + n == version_of(body)
    await assert_sound(pair.stores)
