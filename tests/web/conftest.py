"""One real gateway per module, with a real nginx before it; every way gives a base URL."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, User, sign_in
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.place import Place
from tests.tools.ports import HOST

WAYS = ("direct", "nginx", "edge")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Published:
    """A file that a thing has: its bytes, its name, and where it is below a base URL."""

    image: Firmware
    name: str
    path: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service, told to let nginx send blobs."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        scrub_days=0,  # what a test puts into quarantine stays there
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(
    gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nginx]:
    """The deployed nginx before it."""
    upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
    folder: Path = tmp_path_factory.mktemp("nginx")
    async with running_nginx(folder, upstream=upstream, blobs=blobs) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nginx]:
    """The deployed nginx in edge mode."""
    upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
    folder: Path = tmp_path_factory.mktemp("edge")
    async with running_nginx(folder, upstream=upstream, blobs=blobs, edge=True) as running:
        yield running


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How a test's requests reach the gateway."""
    return str(request.param)


@pytest.fixture(scope="module")
def port(way: str, gateway: GatewayProcess, nginx: Nginx, edge: Nginx) -> int:
    """The port of the gateway itself, of nginx, of nginx in edge mode."""
    return {"direct": gateway.port, "nginx": nginx.port, "edge": edge.port}[way]


@pytest.fixture(scope="module")
def base_url(port: int) -> str:
    """The same as a URL."""
    return f"http://{HOST}:{port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that unpacks nothing."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(gateway: GatewayProcess, http: aiohttp.ClientSession) -> User:
    """The first administrator."""
    return await sign_in(http, gateway.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(admin: User) -> Thing:
    """A thing."""
    return await admin.thing()


@pytest.fixture
def place(gateway: GatewayProcess, http: aiohttp.ClientSession, thing: Thing, port: int) -> Place:
    """A name that no other test uses."""
    return Place(gateway, http, thing, port, f"fw-{next(_numbers)}.bin")
