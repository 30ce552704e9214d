"""Front servers that send by themselves: nginx told by X-Accel-Redirect, and nginx in edge mode.

The plain way has the same nginx before a gateway that lets it send nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chance import choices
from tests.differential.conversation import Conversation
from tests.differential.reads import Reads
from tests.differential.trio import Trio
from tests.tools.nginx import running_nginx
from tests.tools.ports import HOST

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 8
DEFECTS = {
    "the front server gets every read": "accel",
    "the edge is told of another version": "edge",
}


def made(number: int) -> Conversation:
    seed = f"front/{number}"
    return Reads(choices(seed)).undisturbed(seed)


CONVERSATIONS = [made(number) for number in range(COUNT)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fronts(
    trio: Trio, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Trio]]:
    """The three behind nginx, and behind nginx in edge mode."""
    async with AsyncExitStack() as stack:

        async def before(port: int, folder: Path, *, edge: bool) -> int:
            blobs = trio.plain.gateway.data_dir / "blobs"
            upstream = f"{HOST}:{port}"
            nginx = running_nginx(folder, upstream=upstream, blobs=blobs, edge=edge)
            return (await stack.enter_async_context(nginx)).port

        found = {}
        for way in ("accel", "edge"):
            ports = [
                await before(each.gateway.port, tmp_path_factory.mktemp(way), edge=way == "edge")
                for each in (trio.plain, trio.fast, trio.broken)
            ]
            found[way] = trio.behind(*ports)
        yield found


@pytest.mark.parametrize("way", ["accel", "edge"])
@pytest.mark.parametrize("number", range(COUNT))
async def test_nobody_can_tell_who_sends(fronts: dict[str, Trio], number: int, way: str) -> None:
    await fronts[way].check(CONVERSATIONS[number])


@pytest.mark.parametrize(("defect", "way"), DEFECTS.items())
async def test_a_defect_is_noticed(fronts: dict[str, Trio], defect: str, way: str) -> None:
    assert await fronts[way].is_noticed(defect, CONVERSATIONS)
