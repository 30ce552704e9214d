"""No request leaves objects that keep each other: what it was made of is free when it is over.

Else the collector would have to find them, which takes longer the more is connected, and meanwhile
nobody is served. An exception that its own frame still names is such a cycle: its traceback has the frame.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.client import Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside

TIMES = 7
MOST = 10
"""For each request; aiohttp leaves six of one that has no route. A frame in a cycle brings twenty."""

REQUESTS: list[tuple[int, str, object]] = [
    (404, "GET /nowhere", ...),
    (405, "DELETE /tokens", ...),
    (404, "GET /things/00000000-0000-4000-8000-000000000000", ...),
    (404, "GET /files/none", ...),
    (404, "POST /identify", {"token": "x"}),
    (401, "POST /tokens", {"email": "nobody@example.com", "password": "password"}),
    (400, "POST /things", "no thing"),
    (404, "POST /connect", {"thing_ids": ["x" * 36], "channel_ids": ["x" * 36]}),
    (400, "GET /things?limit=x", ...),
    (200, "GET /things", ...),
    (201, "POST /things", {"name": "x"}),
    (200, "GET /metrics", ...),
    (404, "GET /v1/file/00000000-0000-4000-8000-000000000000", ...),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("cycles")
    async with (
        gateway_inside(folder, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        said = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        made = await Client(session, gateway.url).ask("POST", "/tokens", said)
        gc.freeze()  # what other tests have left is not looked at each time
        yield Client(session, gateway.url, made.json["token"])
    gc.unfreeze()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("expected", "route", "body"), REQUESTS, ids=[route for _, route, _ in REQUESTS]
)
async def test_a_request_leaves_no_cycle(
    user: Client, expected: int, route: str, body: object
) -> None:
    method, _, path = route.partition(" ")
    thing = {"Authorization": f"Thing {(await user.thing())['key']}"}
    headers = thing if path.startswith("/files") else {}
    for _ in range(2):
        await user.ask(method, path, body, **headers)
    gc.collect()
    gc.disable()
    try:
        for _ in range(TIMES):
            assert expected == (await user.ask(method, path, body, **headers)).status
        await asyncio.sleep(0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(each).__name__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()
    assert left.total() <= MOST * TIMES, left
