"""One real gateway per module, with a real nginx before it whose authentication layer is the test.

Modules that ask nothing of a process have the gateway inside their own (``INSIDE = True``), on the
plain handlers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User, sign_in
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

WAYS = ("direct", "nginx")
Headers = tuple[tuple[str, str], ...]
AnyGateway = GatewayProcess | InsideGateway

# A deployment whose authentication layer says what the test's client says of itself.
PASSED_ON = {
    "proxy_set_header X-Hasura-Role $filestore_asked_role;": "proxy_set_header X-Hasura-Role $http_x_hasura_role;"
} | {
    f'proxy_set_header {name} "";': f"proxy_set_header {name} $http_{name.lower().replace('-', '_')};"
    for name in (
        "X-Hasura-User-Id",
        "X-Hasura-User-Role",
        "X-Hasura-Allowed-Roles",
    )
}


def caller(role: str, user_id: int = 42) -> Headers:
    """The identity headers of a trusted proxy."""
    return (("X-Hasura-User-Id", str(user_id)), ("X-Hasura-Role", role))


ADMIN = caller("admin")
OCTETS = ("Content-Type", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Hasura:
    """The routes, one way or the other."""

    port: int
    prefix: str = ""

    async def ask(
        self, method: str, path: str, headers: Iterable[tuple[str, str]] = ADMIN, body: bytes = b""
    ) -> Answer:
        """A request on a connection of its own; ``path`` is what follows ``/v1/file``."""
        async with raw_connection(self.port) as connection:
            return await exchange(connection, method, f"{self.prefix}/v1/file{path}", headers, body)

    async def create(self, path: str, body: bytes, *headers: tuple[str, str]) -> Mapping[str, Any]:
        """A new file by an admin; what is said of it."""
        answer = await self.ask("POST", path, (*ADMIN, OCTETS, *headers), body)
        assert answer.status == 200, answer
        return dict(json.loads(answer.body))


async def exchange(
    connection: RawConnection,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes = b"",
) -> Answer:
    """One request and its answer; the length of a body is declared, unless it comes chunked."""
    fields = tuple(headers)
    framed = any(name in ("Transfer-Encoding", "Content-Length") for name, _ in fields)
    if not framed and (body or method in ("POST", "PUT")):
        fields = (*fields, ("Content-Length", str(len(body))))
    await connection.send_head(method, target, fields)
    await connection.send(body)
    return await connection.read_answer(method=method)


def check_refusal(answer: Answer, status: int, code: str, message: str) -> None:
    """Status, code and message, and nothing else."""
    assert answer.head.one("Content-Type") == "application/json"
    assert (status, {"code": code, "message": message}) == (answer.status, json.loads(answer.body))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[AnyGateway]:
    """The service with the module's ``SETTINGS``; this machine may say who asks."""
    settings = {"accel": ACCEL, "trusted_proxies": f"{HOST}/32"}
    settings |= getattr(request.module, "SETTINGS", {})
    inside = getattr(request.module, "INSIDE", False)
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        gateway_inside(folder, database_server=postgres_server, **settings)
        if inside
        else running_gateway(folder, database_server=postgres_server, **settings)
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(
    gateway: AnyGateway, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nginx]:
    """The deployed nginx before it, with an authentication layer."""
    folder: Path = tmp_path_factory.mktemp("nginx")
    async with running_nginx(
        folder,
        upstream=f"{HOST}:{gateway.port}",
        blobs=gateway.data_dir / "blobs",
        proxy_changes=PASSED_ON,
    ) as running:
        yield running


@pytest.fixture(scope="module", params=WAYS)
def hasura(request: pytest.FixtureRequest, gateway: AnyGateway, nginx: Nginx) -> Hasura:
    """The routes at the gateway itself, then at nginx."""
    return Hasura(gateway.port if request.param == "direct" else nginx.port)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that unpacks nothing."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(gateway: AnyGateway, http: aiohttp.ClientSession) -> User:
    """The first administrator of our registry."""
    return await sign_in(http, gateway.url)
