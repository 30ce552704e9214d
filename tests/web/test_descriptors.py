"""More clients than descriptors: those that came first are served, the others wait, nothing spins."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.ports import HOST
from tests.tools.warm import ROOT

DESCRIPTORS = 256
STRANGERS = 400
IMAGE = Firmware(seed=3, size=1024 * 1024)
PATH = "/files/a.bin"
MODULE = "tests.tools.few_descriptors"
WATCHED_SECONDS = 2.0
SOME_SECONDS = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
async def gateway(
    tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GatewayProcess]:
    """A gateway that may have few descriptors."""
    monkeypatch.setenv("TESTS_DESCRIPTORS", str(DESCRIPTORS))
    async with running_gateway(
        tmp_path,
        database_server=postgres_server,
        module=MODULE,
        max_connections_per_address=STRANGERS,
    ) as running:
        yield running


@contextmanager
def strangers(port: int) -> Iterator[None]:
    """Many who connect and say nothing."""
    with ExitStack() as stack:
        for _ in range(STRANGERS):
            stack.enter_context(socket.create_connection((HOST, port), timeout=SOME_SECONDS))
        yield


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def metric(session: aiohttp.ClientSession, url: str, name: str) -> float:
    async with session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


async def check_served(session: aiohttp.ClientSession, url: str, thing: Thing) -> None:
    """A download and an upload, which need descriptors of the reserve."""
    async with session.get(url + PATH, headers=thing.headers) as answer:
        assert IMAGE.content == await answer.read()
    await upload(session, url + PATH, thing.headers, "a.bin", IMAGE.content, method="PUT")


async def paused(gateway: GatewayProcess) -> None:
    """Until the log says that nobody is accepted."""
    async with asyncio.timeout(SOME_SECONDS):
        while "no descriptors left for clients" not in gateway.log:
            await asyncio.sleep(0.02)


async def test_clients_beyond_the_limit_wait_and_cost_nothing(gateway: GatewayProcess) -> None:
    url = gateway.url
    async with signed_in(url) as admin, aiohttp.ClientSession() as stranger:
        thing, session = await admin.thing(), admin.session
        await upload(session, f"{url}/files", thing.headers, "a.bin", IMAGE.content)
        with strangers(gateway.port):
            await paused(gateway)
            before = processor_seconds(gateway.pid)
            await asyncio.sleep(WATCHED_SECONDS)
            assert processor_seconds(gateway.pid) - before < WATCHED_SECONDS / 10
            await check_served(session, url, thing)
            assert await metric(session, url, "gateway_connections") < DESCRIPTORS
            with pytest.raises(TimeoutError):
                await stranger.get(f"{url}/health", timeout=aiohttp.ClientTimeout(total=0.5))
        async with asyncio.timeout(SOME_SECONDS):
            async with stranger.get(f"{url}/health") as answer:
                assert 200 == answer.status
            while await metric(session, url, "gateway_connections") > 2:
                await asyncio.sleep(0.02)
    assert 1 == gateway.log.count("no descriptors left for clients")
    assert "Traceback" not in gateway.log


async def test_too_few_descriptors_are_refused_in_one_line(
    tmp_path: Path, postgres_server: str
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "TESTS_DESCRIPTORS": "128",
        "GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "GATEWAY_DATABASE_URL": await new_database(postgres_server, copied=True),
        "GATEWAY_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, "serve"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    last = said.decode().splitlines()[-1]
    expected = "filestore-gateway: 192 open files are needed at least (ulimit -n), not 128"
    assert (1, expected) == (process.returncode, last)


async def test_one_address_has_so_many_connections_and_others_have_theirs(
    tmp_path: Path, postgres_server: str
) -> None:
    """Whoever leaves gives back what they had."""
    most = 20
    async with (
        running_gateway(
            tmp_path, database_server=postgres_server, max_connections_per_address=most
        ) as gateway,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        ) as neighbour,
    ):
        with ExitStack() as stack:
            come = [
                stack.enter_context(socket.create_connection((HOST, gateway.port), SOME_SECONDS))
                for _ in range(2 * most)
            ]
            async with asyncio.timeout(SOME_SECONDS):
                while "too many connections of one address" not in gateway.log:
                    await asyncio.sleep(0.01)
                async with neighbour.get(f"{gateway.url}/health") as answer:
                    assert answer.status == 200
            assert (
                sum(is_closed(sock) for sock in come) >= most - 2
            )  # the test has one or two itself
            assert gateway.log.count("too many connections of one address") == 1
        async with asyncio.timeout(SOME_SECONDS), aiohttp.ClientSession() as back:
            while not await answers(back, gateway.url):
                await asyncio.sleep(0.01)


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has."""
    sock.settimeout(0.05)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


async def answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
