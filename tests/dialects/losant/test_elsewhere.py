"""Two gateways on one database: what ends at one has ended at the other, and they share the work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import sign_in
from tests.tools.waiting import until

in_one_loop = pytest.mark.asyncio(loop_scope="module")
# The credential cache keeps a proof this long, if it hears of nothing.
REMEMBERED_SECONDS = 60


@dataclass
class Pair:
    """Two gateways, and the administrator's token and application."""

    here: GatewayProcess
    there: GatewayProcess
    http: aiohttp.ClientSession
    token: str
    application: str

    async def ask(
        self,
        gateway: GatewayProcess,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = "",
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        url = gateway.url + path.replace("{app}", self.application)
        async with self.http.request(method, url, json=body, headers=headers) as said:
            return said.status, await said.json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Pair]:
    database_url = await new_database(postgres_server, copied=True)
    data_dir = tmp_path_factory.mktemp("shared")
    settings: dict[str, object] = {
        "database_url": database_url,
        "data_dir": data_dir,
        "secret": "s" * 32,
        "read_cache_seconds": REMEMBERED_SECONDS,
    }
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(
                running_gateway(
                    tmp_path_factory.mktemp(name),
                    database_server=None,
                    losant_upkeep_seconds=upkeep,
                    **settings,
                )
            )
            for name, upkeep in (("here", 0), ("there", 0.2))
        ]
        http = await stack.enter_async_context(aiohttp.ClientSession())
        admin = await sign_in(http, gateways[0].url)
        made = Pair(gateways[0], gateways[1], http, admin.token, "")
        status, said = await made.ask(made.here, "POST", "/applications", {"name": "a"})
        assert 201 == status
        made.application = said["id"]
        yield made


@pytest.mark.parametrize("how", ["deleted", "inactive"])
@in_one_loop
async def test_a_token_that_ends_here_has_ended_there(pair: Pair, how: str) -> None:
    body = {"name": "robot", "scope": ["privateFiles.get"]}
    _, made = await pair.ask(pair.here, "POST", "/applications/{app}/tokens", body)
    files, token = "/applications/{app}/privateFiles", made["token"]

    async def status_there() -> int:
        return (await pair.ask(pair.there, "GET", files, token=token))[0]

    assert [200, 200] == [await status_there(), await status_there()]
    path = f"/applications/{{app}}/tokens/{made['id']}"
    if how == "deleted":
        status, _ = await pair.ask(pair.here, "DELETE", path, {})
    else:
        status, _ = await pair.ask(pair.here, "PATCH", path, {"status": "inactive"})
    assert 200 == status
    assert 401 == (await pair.ask(pair.here, "GET", files, token=token))[0]

    async def refused_there() -> bool:
        return await status_there() == 401

    await until(refused_there, within=REMEMBERED_SECONDS / 6)


@in_one_loop
async def test_who_leaves_the_work_to_others_has_it_done_by_them(pair: Pair) -> None:
    files = "/applications/{app}/privateFiles"
    body = {"name": "d", "type": "directory"}
    _, made = await pair.ask(pair.here, "POST", files, body)
    status, _ = await pair.ask(pair.here, "POST", f"{files}/{made['id']}/move?name=e", {})
    assert 201 == status

    async def arrived() -> bool:
        _, said = await pair.ask(pair.here, "GET", files)
        return [("e", "completed")] == [(i["name"], i["status"]) for i in said["items"]]

    await until(arrived)
