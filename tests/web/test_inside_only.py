"""Whose a key is, is told by nginx to the inside alone, on whatever spelling of the address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.nginx import Nginx, running_nginx
from tests.tools.ports import HOST, free_port

AS_FROM = "X-As-From"
PASSED_ON = 502
"""Nobody is behind this nginx: what it lets through comes back so."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:
    """The shipped one, which believes a test about where a request comes from."""
    folder: Path = tmp_path_factory.mktemp("inside")
    believed = f"        set_real_ip_from {HOST};\n        real_ip_header {AS_FROM};\n"
    async with running_nginx(
        folder, upstream=f"{HOST}:{free_port()}", blobs=folder, server=believed
    ) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/identify", "/filestore/identify", "/svcthings//identify/"])
@pytest.mark.parametrize(
    ("status", "address"),
    [
        pytest.param(PASSED_ON, HOST, id="this machine"),
        pytest.param(PASSED_ON, "10.1.2.3", id="a private network"),
        pytest.param(PASSED_ON, "192.168.7.7", id="another"),
        pytest.param(PASSED_ON, "fd00::1", id="a private network of IPv6"),
        pytest.param(403, "203.0.113.9", id="a stranger"),
        pytest.param(403, "172.32.0.1", id="beside a private network"),
        pytest.param(403, "2001:db8::1", id="a stranger of IPv6"),
    ],
)
async def test_only_the_inside_asks_whose_a_key_is(
    nginx: Nginx, status: int, address: str, path: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{nginx.url}{path}", json={"token": "x"}, headers={AS_FROM: address}) as said,
    ):
        assert status == said.status, await said.text()
