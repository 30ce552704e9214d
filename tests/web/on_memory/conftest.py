"""The gateway of these tests keeps its blobs in memory: every body goes as a stream of pieces.

nginx before it asks to send by itself, as it does everywhere, and is not let.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.nginx import ACCEL, Nginx
from tests.tools.ports import HOST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service on the memory store, told to let nginx send blobs."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        store="memory",
    ) as running:
        yield running


@pytest.fixture(scope="module", params=("direct", "nginx"))
def way(request: pytest.FixtureRequest) -> str:
    """How a test's requests reach the gateway."""
    return str(request.param)


@pytest.fixture(scope="module")
def port(way: str, gateway: GatewayProcess, nginx: Nginx) -> int:
    """The port of the gateway itself, or of nginx."""
    return {"direct": gateway.port, "nginx": nginx.port}[way]
