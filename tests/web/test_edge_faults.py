"""Edge mode while what it depends on is replaced, killed and restarted: no wrong byte, no late read."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from gateway.database.embedded import embedded_server
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import RawConnection, raw_connection

BOUND = 2.0
SLACK = 1.0
SIZE = 200_000
VERSIONS = [Firmware(seed, SIZE + seed) for seed in range(70, 76)]
CONTENTS = {image.content for image in VERSIONS}


class Postgres:
    """A server of the test's own, which it may crash and start again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.dsn = stack.enter_context(embedded_server(folder, watched=False, superuser=True))

    async def crash(self) -> None:
        """As by a power cut of the database alone: nothing is finished or said."""
        [file] = self._folder.glob("**/postmaster.pid")
        pid = int(file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)

    def start(self) -> None:
        """On the same data, under the same name."""
        assert self.dsn == self._stack.enter_context(
            embedded_server(self._folder, watched=False, superuser=True)
        )


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    with ExitStack() as stack:
        yield Postgres(tmp_path / "postgres", stack)


@pytest.fixture
async def gateway(tmp_path: Path, postgres: Postgres) -> AsyncIterator[GatewayProcess]:
    (tmp_path / "gateway").mkdir()
    async with running_gateway(
        tmp_path / "gateway",
        database_server=postgres.dsn,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
    ) as running:
        yield running


@pytest.fixture
async def edge(tmp_path: Path, gateway: GatewayProcess) -> AsyncIterator[Nginx]:
    upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
    async with running_nginx(tmp_path / "edge", upstream=upstream, blobs=blobs, edge=True) as nginx:
        yield nginx


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@dataclass
class Fleet:
    """Devices that fetch one file over and over, in pieces of any size, resuming with If-Range.

    A read is of the moment at which it is asked for: how late a busy machine hears the answer is no edge's doing.
    """

    port: int
    path: str
    headers: Mapping[str, str]
    last_read: float = 0.0
    images: list[bytes] = field(default_factory=list)
    failures: list[tuple[float, int, bytes]] = field(default_factory=list)
    _over: bool = False

    async def device(self, seed: int) -> None:
        random_ = random.Random(seed)
        while not self._over:
            async with raw_connection(self.port) as connection:
                image = await self._fetch(connection, random_)
            if image is not None:
                assert image in CONTENTS
                self.images.append(image)

    async def _fetch(self, connection: RawConnection, random_: random.Random) -> bytes | None:
        """One image, or ``None`` if it was refused on the way."""
        etag, held = "", b""
        while not self._over:
            step = random_.choice([1000, 4096, 30_000, 70_000])
            asked = {**self.headers, "Range": f"bytes={len(held)}-{len(held) + step - 1}"}
            if etag:
                asked["If-Range"] = etag
            began = time.monotonic()
            answer = await connection.ask("GET", self.path, asked.items())
            if answer.status not in (200, 206):
                self.failures.append((time.monotonic(), answer.status, answer.body))
                await asyncio.sleep(0.02)
                return None
            self.last_read = began
            held = held + answer.body if answer.status == 206 else answer.body
            etag = answer.head.one("ETag")
            size = answer.head.all("Content-Range")
            if answer.status == 200 or len(held) == int(size[0].rpartition("/")[2]):
                return held
        return None

    @contextmanager
    def flying(self, devices: int) -> Iterator[None]:
        """Devices at work in the block. What one of them found wrong is raised at ``land``."""
        self._tasks = [asyncio.create_task(self.device(seed)) for seed in range(devices)]
        try:
            yield
        finally:
            self._over = True

    async def land(self) -> None:
        await asyncio.gather(*self._tasks)

    async def until_read(self, images: int = 1) -> None:
        """Until that many more images are complete."""
        wanted = len(self.images) + images
        while len(self.images) < wanted:
            for task in self._tasks:
                if task.done():
                    await task
            await asyncio.sleep(0.01)

    async def until_refused(self) -> None:
        """Until nothing is read any more, or it should have been so long since."""
        deadline = time.monotonic() + 2 * (BOUND + SLACK)
        while time.monotonic() < min(self.last_read + 0.5, deadline):
            await asyncio.sleep(0.01)


async def published(
    gateway: GatewayProcess, http: aiohttp.ClientSession, edge: Nginx
) -> tuple[Thing, Fleet]:
    thing = await (await sign_in(http, gateway.url)).thing()
    content = VERSIONS[0].content
    await upload(http, f"{gateway.url}/files", thing.headers, "fw.bin", content)
    return thing, Fleet(edge.port, "/filestore/files/fw.bin", thing.headers)


async def test_a_file_replaced_under_load_is_always_one_version_whole(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession
) -> None:
    thing, fleet = await published(gateway, http, edge)
    url = f"{gateway.url}/files/fw.bin"
    with fleet.flying(6):
        for image in VERSIONS[1:]:
            await fleet.until_read(5)
            await upload(http, url, thing.headers, "fw.bin", image.content, method="PUT")
        while VERSIONS[-1].content not in fleet.images:
            await fleet.until_read()
    await fleet.land()
    assert fleet.failures == []
    assert len(set(fleet.images)) > 1


async def test_a_killed_gateway_stops_the_edge_within_the_bound_and_starts_it_again(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession
) -> None:
    _, fleet = await published(gateway, http, edge)
    with fleet.flying(6):
        await fleet.until_read(5)
        await gateway.kill9()
        killed = time.monotonic()
        await fleet.until_refused()
        assert fleet.last_read - killed <= BOUND + SLACK
        await gateway.start()
        await fleet.until_read(5)
    await fleet.land()
    assert {(status, body) for _, status, body in fleet.failures} == {
        (502, b'{"error":"the gateway is not available"}')
    }


async def test_what_was_revoked_before_the_gateway_died_is_not_read_on(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession
) -> None:
    thing, fleet = await published(gateway, http, edge)
    with fleet.flying(6):
        await fleet.until_read(5)
        url = f"{gateway.url}/files/fw.bin"
        async with http.delete(url, headers=thing.headers) as answer:
            assert answer.status == 204
        revoked = time.monotonic()
        await gateway.kill9()
        await fleet.until_refused()
        await gateway.start()
        await asyncio.sleep(BOUND)
    await fleet.land()
    assert fleet.last_read - revoked <= BOUND + SLACK
    assert fleet.failures[-1][1] == 404


async def test_a_restarted_database_brings_no_wrong_byte_and_no_late_read(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, postgres: Postgres
) -> None:
    """Once with the right, once just after it was revoked."""
    thing, fleet = await published(gateway, http, edge)
    with fleet.flying(6):
        await fleet.until_read(5)
        await postgres.crash()
        crashed = time.monotonic()
        await fleet.until_refused()
        assert fleet.last_read - crashed <= BOUND + SLACK
        await asyncio.to_thread(postgres.start)
        await fleet.until_read(5)

        async with http.delete(f"{gateway.url}/files/fw.bin", headers=thing.headers) as answer:
            assert answer.status == 204
        revoked = time.monotonic()
        await postgres.crash()
        await asyncio.to_thread(postgres.start)
        await asyncio.sleep(BOUND + SLACK)
        while fleet.failures[-1][1] != 404:
            await asyncio.sleep(0.01)
    await fleet.land()
    assert fleet.last_read - revoked <= BOUND + SLACK
    assert {status for _, status, _ in fleet.failures} <= {404, 503}
    assert all("error" in json.loads(body) for _, _, body in fleet.failures)
