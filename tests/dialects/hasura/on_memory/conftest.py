"""The gateway of these tests keeps its blobs in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import ADMIN, Hasura, Headers
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service on the memory store; this machine may say who asks."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        store="memory",
    ) as running:
        yield running


@pytest.fixture(scope="module", params=["direct"])
def way(request: pytest.FixtureRequest) -> str:
    """How a request reaches the gateway."""
    return str(request.param)


@pytest.fixture(scope="module")
def hasura(way: str, gateway: GatewayProcess) -> Hasura:
    """The routes at the gateway itself."""
    assert way == "direct"
    return Hasura(gateway.port)


@pytest.fixture(scope="module")
def caller() -> Headers:
    """The admin."""
    return ADMIN
