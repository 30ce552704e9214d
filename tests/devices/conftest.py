"""A device with a thing's key, before the same gateway and nginx as the download tests have."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, User, upload
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, Head, RawConnection, raw_connection
from tests.web.conftest import admin, base_url, edge, http, nginx, port, thing, way

__all__ = ["admin", "base_url", "edge", "http", "nginx", "port", "thing", "way"]

IMAGE = Firmware(70, 300_000)
SIZE = IMAGE.size
MD5 = hashlib.md5(IMAGE.content, usedforsecurity=False).hexdigest()
NAME = "firmware-1.2.3.bin"
_ENCODED = ("Transfer-Encoding", "Content-Encoding", "Set-Cookie")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service with MD5 and several ranges switched on, which some of these clients need."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        md5=True,
        several_ranges=True,
    ) as running:
        yield running


@dataclass(frozen=True)
class Device:
    """A client of one file: its place, and requests as its firmware writes them."""

    port: int
    thing: Thing | User
    path: str = f"/filestore/files/{NAME}"

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}{self.path}"

    @property
    def key(self) -> str:
        """The credential as a header line, which stands last in every request here.

        nRF's, SWUpdate's and Zephyr's downloaders cannot send one; a proxy on their side adds it.
        """
        return f"Authorization: {self.thing.headers['Authorization']}"

    async def ask(self, raw: RawConnection, request: str, **values: object) -> Answer:
        """Send the request, a line each, and read what comes; nothing is added but the credential."""
        lines = request.format(path=self.path, host=self.host, **values).strip().splitlines()
        await raw.send("\r\n".join([*lines, self.key, "", ""]).encode())
        answer = await raw.read_answer(method=lines[0].partition(" ")[0])
        assert answer.head.version == "HTTP/1.1" or lines[0].endswith("HTTP/1.0")
        check_frame(answer.head)
        return answer

    async def ask_anew(self, request: str, **values: object) -> Answer:
        """The same on a connection of its own."""
        async with raw_connection(self.port) as raw:
            return await self.ask(raw, request, **values)


def check_frame(head: Head) -> None:
    """Requirements 4, 7 and 9."""
    assert head.size < 640
    if head.status in {200, 206}:
        assert int(head.one("Content-Length")) > 0
        assert [head.all(name) for name in _ENCODED] == [[], [], []]


def check_part(answer: Answer, first: int, last: int) -> None:
    """Requirement 2: a 206 with just these bytes, and the numeric total."""
    assert answer.status == 206
    assert answer.head.one("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert answer.head.one("Content-Length") == str(last - first + 1)
    assert answer.body == IMAGE.read(first, last - first + 1)


def check_whole(answer: Answer) -> None:
    """Requirement 2: a 200 with everything."""
    assert (answer.status, answer.head.all("Content-Range")) == (200, [])
    assert answer.head.one("Content-Length") == str(SIZE)
    assert answer.body == IMAGE.content


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(gateway: GatewayProcess, http: aiohttp.ClientSession, thing: Thing) -> Thing:
    """A thing that has the image."""
    await upload(http, f"{gateway.url}/files", thing.headers, NAME, IMAGE.content)
    return thing


@pytest.fixture
def device(port: int, published: Thing) -> Device:
    """The device, directly before the gateway or behind nginx."""
    return Device(port, published)


@pytest_asyncio.fixture(loop_scope="module")
async def raw(port: int) -> AsyncIterator[RawConnection]:
    """The connection that a device keeps open."""
    async with raw_connection(port) as connection:
        yield connection
