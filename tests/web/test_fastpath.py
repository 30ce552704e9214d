"""Ranges sent at once and by a handler are the same to whoever asks, in any order and at any pace.

Two gateways on one database and one folder: one keeps what it looked up, the other never does, so
that each of its answers has gone the ordinary way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.ports import answers
from tests.tools.rawhttp import Answer, Head, RawConnection, raw_connection
from tests.tools.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 4_000_000
IMAGE = Firmware(31, SIZE)
PATH = "/files/image.bin"
LARGEST = 256 * 1024
FILLING = 30
IDLE_SECONDS = 1
COUNTED = 'gateway_requests_total{dialect="mainflux",method="GET",status="206"}'


@dataclass(frozen=True, slots=True)
class Pair:
    """The two, and who has the image."""

    keeping: GatewayProcess
    asking: GatewayProcess
    thing: Thing


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Pair]:
    """Both, with the image."""
    folder = tmp_path_factory.mktemp("pair")
    shared = {"database_url": await new_database(postgres_server), "secret": "s" * 40}
    async with (
        running_gateway(
            folder,
            database_server=None,
            read_cache_seconds=60,
            keepalive_seconds=IDLE_SECONDS,
            **shared,
        ) as keeping,
        running_gateway(folder, database_server=None, read_cache_seconds=0, **shared) as asking,
        signed_in(keeping.url) as admin,
    ):
        thing = await admin.thing()
        await upload(
            admin.session, f"{keeping.url}/files", thing.headers, "image.bin", IMAGE.content
        )
        yield Pair(keeping, asking, thing)


def headers_of(pair: Pair, wanted: str) -> list[tuple[str, str]]:
    return [*pair.thing.headers.items(), ("Range", wanted)]


async def ask(connection: RawConnection, pair: Pair, wanted: str) -> Answer:
    return await connection.ask("GET", PATH, headers_of(pair, wanted))


def shown(head: Head) -> tuple[object, ...]:
    """Everything that is the same from one second to the next."""
    fields = [(name, value) for name, value in head.headers if name not in {"Date", "X-Request-Id"}]
    return head.version, head.status, head.reason, fields


def part(first: int, last: int) -> bytes:
    return IMAGE.content[first : last + 1]


RANGES = [
    *("bytes=0-0", "bytes=0-4095", "bytes=4096-8191", "bytes=-1", f"bytes={SIZE - 5}-"),
    *(f"bytes=1-{64 * 1024}", f"bytes=0-{64 * 1024}", f"bytes=5-{LARGEST + 4}"),
    *(f"bytes=0-{LARGEST}", "bytes=0-", f"bytes={SIZE}-", "bytes=2-1", "bytes=0-1,3-4", "x=0-1"),
    *("bytes=0-99999999999999999999", " bytes=0-7", "BYTES=0-7"),
]


@pytest.mark.parametrize("wanted", RANGES)
async def test_the_answers_are_the_same(pair: Pair, wanted: str) -> None:
    async with raw_connection(pair.keeping.port) as connection:
        await ask(connection, pair, "bytes=0-0")  # from here on it is known
        kept = await ask(connection, pair, wanted)
    async with raw_connection(pair.asking.port) as connection:
        asked = await ask(connection, pair, wanted)
    assert shown(asked.head) == shown(kept.head)
    assert asked.body == kept.body


async def test_requests_sent_in_one_go_are_answered_in_their_order(pair: Pair) -> None:
    """Plain ones among others, in every mixture."""
    spans = [(n * 1000, n * 1000 + (300_000 if n % 3 == 0 else 500)) for n in range(40)]
    async with raw_connection(pair.keeping.port) as connection:
        await ask(connection, pair, "bytes=0-0")
        for first, last in spans:
            await connection.send_head("GET", PATH, headers_of(pair, f"bytes={first}-{last}"))
            if first % 5000 == 0:
                await asyncio.sleep(0.001)
        for first, last in spans:
            answer = await connection.read_answer()
            assert (206, part(first, last)) == (answer.status, answer.body)


async def test_an_answer_that_takes_longer_than_connections_may_idle_is_whole(pair: Pair) -> None:
    """The connection goes on after it, and ends when it really is idle."""
    async with raw_connection(pair.keeping.port, receive_buffer=4096) as connection:
        await fill(connection, pair)
        await asyncio.sleep(2.5 * IDLE_SECONDS)
        for n in range(FILLING):
            assert part(n, n + LARGEST - 1) == (await connection.read_answer()).body
        async with asyncio.timeout(30):
            assert (b"", "eof") == await connection.read_ending()


async def fill(connection: RawConnection, pair: Pair) -> None:
    """Ask, one after the other, for more than the connection's buffers take, and read nothing."""
    for n in range(FILLING):
        await connection.send_head("GET", PATH, headers_of(pair, f"bytes={n}-{n + LARGEST - 1}"))
        await asyncio.sleep(0.02)


async def test_a_connection_lasts_for_as_long_as_it_is_used(pair: Pair) -> None:
    async with raw_connection(pair.keeping.port) as connection:
        for _ in range(9):
            assert 206 == (await ask(connection, pair, "bytes=0-0")).status
            await asyncio.sleep(IDLE_SECONDS / 4)
        async with asyncio.timeout(30):
            assert (b"", "eof") == await connection.read_ending()


async def test_each_is_counted_and_logged_once(tmp_path: Path, postgres_server: str) -> None:
    async with (
        running_gateway(tmp_path, database_server=postgres_server) as gateway,
        signed_in(gateway.url) as admin,
    ):
        thing = await admin.thing()
        await upload(
            admin.session, f"{gateway.url}/files", thing.headers, "image.bin", IMAGE.content
        )
        pair = Pair(gateway, gateway, thing)
        async with raw_connection(gateway.port) as connection:
            for n in range(10):
                await ask(connection, pair, f"bytes={n}-{n + 9}")
        assert 10 == await counted(admin.session, gateway)
        assert 100 == await counted(admin.session, gateway, "gateway_sent_bytes_total")
    lines = [json.loads(line) for line in gateway.log.splitlines() if '"range":"bytes=' in line]
    assert [f"bytes={n}-{n + 9}" for n in range(10)] == [line["range"] for line in lines]
    assert 10 == len({line["request_id"] for line in lines})
    [same] = {tuple(line[name] for name in ("dialect", "status", "path", "peer")) for line in lines}
    assert ("mainflux", 206, PATH, "127.0.0.1") == same


async def counted(
    session: aiohttp.ClientSession, gateway: GatewayProcess, name: str = COUNTED
) -> float:
    async with session.get(f"{gateway.url}/metrics") as said:
        lines = (await said.text()).splitlines()
    [value] = [line for line in lines if line.startswith(f"{name} ")]
    return float(value.split()[1])


async def test_a_stop_waits_for_what_is_under_way(tmp_path: Path, postgres_server: str) -> None:
    async with (
        running_gateway(tmp_path, database_server=postgres_server) as gateway,
        signed_in(gateway.url) as admin,
    ):
        thing = await admin.thing()
        await upload(
            admin.session, f"{gateway.url}/files", thing.headers, "image.bin", IMAGE.content
        )
        pair = Pair(gateway, gateway, thing)
        async with raw_connection(gateway.port) as connection:
            await ask(connection, pair, "bytes=0-0")  # from here on it is known
        async with raw_connection(gateway.port, receive_buffer=4096) as connection:
            await fill(connection, pair)
            stopping = asyncio.create_task(gateway.terminate())
            await until(lambda: refuses(gateway.port))
            whole = 0
            with contextlib.suppress(ConnectionError):
                while head := await next_head(connection):
                    body = await connection.read_body(head)
                    assert part(whole, whole + LARGEST - 1) == body
                    whole += 1
            assert 0 == await stopping
        assert whole >= 1


async def refuses(port: int) -> bool:
    """Whether nobody new is let in."""
    return not await answers(port)


async def next_head(connection: RawConnection) -> Head | None:
    """``None`` if the connection ended after a whole answer."""
    try:
        return await connection.read_head()
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise
        return None
