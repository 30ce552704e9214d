"""What is accepted as a name can be reached under it, on every route and by every method."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User, sign_in
from tests.tools.names import LIVES, faults, lives, part_of_table

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[InsideGateway]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    async with gateway_inside(folder, database_server=postgres_server) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(gateway: InsideGateway) -> AsyncIterator[User]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield await sign_in(session, gateway.url)


@pytest.mark.parametrize("turn", range(len(LIVES)), ids=LIVES)
@pytest.mark.timeout(600)  # many requests, one after the other
async def test_a_name_is_kept_to_its_end_or_refused_at_once(user: User, turn: int) -> None:
    """Created, listed, found in any case, read, replaced and deleted; or nothing is there.

    Each route takes its part of the names in turn; an exploration tries all of them on each.
    """
    live, names = tuple(LIVES.values())[turn], part_of_table(turn)
    found, taken = await faults(await lives(user), live, names)
    assert [] == found
    assert len(names) // 2 < taken < len(names)
