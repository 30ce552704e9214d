"""Gateways on one database and one folder: every fast way off, every one on, every one on and broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.differential.held import holder_of
from tests.differential.trio import Trio
from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST

KINDS = {
    "plain": ("gateway", "off"),
    "fast": ("gateway", "all"),
    "broken": ("tests.differential.defects", "all"),
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trio(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Trio]:
    """The three, told that nginx may send for them."""
    folder = tmp_path_factory.mktemp("trio")
    database = await new_database(postgres_server)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(name: str) -> GatewayProcess:
            module, ways = KINDS[name]
            return await stack.enter_async_context(
                running_gateway(
                    folder,
                    database_server=None,
                    module=module,
                    database_url=database,
                    secret="s" * 40,
                    fast_ways=ways,
                    read_cache_seconds=60,
                    accel=ACCEL,
                    several_ranges=True,
                    trusted_proxies=f"{HOST}/32",
                    access_log=False,
                )
            )

        judge = await start("plain")  # makes the schema and the administrator
        others = await asyncio.gather(start("fast"), start("broken"))
        plain, fast, broken = [
            await holder_of(name, gateway, session, judge)
            for name, gateway in zip(KINDS, (judge, *others), strict=True)
        ]
        yield Trio(plain, fast, broken)
