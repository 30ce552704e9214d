"""What one gateway bears: requests at once, readers that stop, bodies that stall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.rawhttp import RawConnection, raw_connection
from tests.tools.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIG = Firmware(seed=7, size=64 * 1024 * 1024)
PATH = "/files/big.bin"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """A gateway with small limits."""
    async with running_gateway(
        tmp_path_factory.mktemp("limited"),
        database_server=postgres_server,
        max_concurrent_requests=3,
        max_concurrent_uploads=1,
        stall_seconds=1,
        download_stall_seconds=1,
    ) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(gateway: GatewayProcess) -> Thing:
    """A thing with a file that no socket buffer holds."""
    async with signed_in(gateway.url) as admin:
        created = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", created.headers, "big.bin", BIG.content)
    return created


async def stalled_download(connection: RawConnection, thing: Thing, path: str = PATH) -> None:
    """Ask for the file, read its head, and then nothing."""
    await connection.send_head("GET", path, thing.headers.items())
    assert (await connection.read_head()).status == 200


async def test_requests_beyond_the_limit_are_asked_to_come_back(
    gateway: GatewayProcess, thing: Thing
) -> None:
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        for _ in range(3):
            connection = await stack.enter_async_context(raw_connection(gateway.port))
            await stalled_download(connection, thing)
        async with session.get(gateway.url + PATH, headers=thing.headers) as refused:
            assert (429, "1") == (refused.status, refused.headers["Retry-After"])
            assert {"error": "too many requests"} == await refused.json()
        async with session.get(gateway.url + "/ready") as ready:
            assert ready.status == 200


async def test_a_reader_that_stops_is_cut_off(gateway: GatewayProcess, thing: Thing) -> None:
    """
    Its place is free again, and it never takes the part that it got for the whole.
    """
    path = f"/filestore{PATH}"  # by which no other test asks
    async with raw_connection(gateway.port) as connection:
        await stalled_download(connection, thing, path)
        await until(lambda: f'"path":"{path}","status":499' in gateway.log)
        received, _ = await connection.read_ending()
        assert len(received) < BIG.size


async def test_a_slow_reader_is_left_alone(gateway: GatewayProcess, thing: Thing) -> None:
    """
    Three times the stall time long it takes a little now and then, and nobody minds.
    """
    async with raw_connection(gateway.port) as connection:
        await stalled_download(connection, thing)
        for _ in range(15):
            await asyncio.sleep(0.2)
            for _ in range(16):
                assert await connection.read_some()


async def test_an_upload_that_stalls_is_refused_and_leaves_nothing(
    gateway: GatewayProcess, thing: Thing
) -> None:
    async with raw_connection(gateway.port) as connection:
        await connection.send_head(
            "POST",
            "/files",
            [
                *thing.headers.items(),
                ("Content-Type", "multipart/form-data; boundary=b"),
                ("Content-Length", "1000"),
            ],
        )
        await connection.send(
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\nabc'
        )
        answer = await connection.read_answer()
    assert (408, b'{"error":"the body arrived too slowly"}') == (answer.status, answer.body)
    assert [] == list((gateway.data_dir / "incoming").iterdir())


async def test_a_slow_sender_is_left_alone(gateway: GatewayProcess, thing: Thing) -> None:
    """Three times the stall time long a little of a large file comes now and then."""
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.bin"\r\n\r\n'
    body = begin + BIG.content + b"\r\n--b--\r\n"
    async with raw_connection(gateway.port) as connection:
        await connection.send_head(
            "POST",
            "/files",
            [
                *thing.headers.items(),
                ("Content-Type", "multipart/form-data; boundary=b"),
                ("Content-Length", str(len(body))),
            ],
        )
        for start in range(0, 5_000, 500):
            await connection.send(body[start : start + 500])
            await asyncio.sleep(0.3)
        await connection.send(body[5_000:])
        assert (await connection.read_answer()).status == 201


async def test_uploads_beyond_the_limit_are_asked_to_come_back(
    gateway: GatewayProcess, thing: Thing
) -> None:
    async with raw_connection(gateway.port) as connection, aiohttp.ClientSession() as session:
        head = [
            *thing.headers.items(),
            ("Content-Type", "multipart/form-data; boundary=b"),
            ("Content-Length", "1000"),
            ("Expect", "100-continue"),
        ]
        await connection.send_head("POST", "/files", head)
        assert (await connection.read_head()).status == 100
        form = aiohttp.FormData()
        form.add_field("file", b"abc", filename="f.bin")
        async with session.post(
            gateway.url + "/files", data=form, headers=thing.headers
        ) as refused:
            assert (429, "1") == (refused.status, refused.headers["Retry-After"])


@pytest.mark.parametrize("close", ["closes", "resets"])
async def test_an_upload_whose_client_leaves_at_once_takes_no_place(
    tmp_path: Path, postgres_server: str, close: str
) -> None:
    """
    Its head, the part of its body that came and its end may reach us in one moment.
    """
    async with (
        running_gateway(tmp_path, database_server=postgres_server, stall_seconds=300) as gateway,
        signed_in(gateway.url) as admin,
    ):
        thing = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", thing.headers, "a.bin", b"a")
        for _ in range(20):
            await asyncio.gather(
                *(leave_at_once(gateway.port, thing, reset=close == "resets") for _ in range(10))
            )

        async def has_noticed() -> bool:
            return not await uploads_in_flight(admin.session, gateway)

        await until(has_noticed)
        assert [] == list((gateway.data_dir / "incoming").iterdir())


async def leave_at_once(port: int, thing: Thing, *, reset: bool) -> None:
    """Begin to replace the file, and go."""
    async with raw_connection(port) as connection:
        head = [
            *thing.headers.items(),
            ("Content-Type", "multipart/form-data; boundary=b"),
            ("Content-Length", "1000"),
        ]
        await connection.send_head("PUT", "/files/a.bin", head)
        await connection.send(b"--b\r\n")
        if reset:
            connection.reset()


async def uploads_in_flight(session: aiohttp.ClientSession, gateway: GatewayProcess) -> float:
    """How many uploads the gateway thinks are being received."""
    async with session.get(f"{gateway.url}/metrics") as said:
        lines = (await said.text()).splitlines()
    [value] = [line for line in lines if line.startswith("gateway_uploads_in_flight ")]
    return float(value.split()[1])
