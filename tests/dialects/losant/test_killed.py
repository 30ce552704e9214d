"""Trees that are moved and removed by a service that is killed meanwhile: complete, once, in the end.

``GATEWAY_TESTS_TREE_FILES`` says how many files they have: 300, unless somebody has the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from tests.dialects.losant.test_trees import MISCOUNTED
from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import sign_in
from tests.tools.waiting import until

in_one_loop = pytest.mark.asyncio(loop_scope="module")
FILES = int(os.environ.get("GATEWAY_TESTS_TREE_FILES", "300"))
DIRECTORIES = 12
WAIT_SECONDS = 30 + FILES / 50


@dataclass
class Tree:
    """A tree of files that have bytes, and a connection to look behind the service."""

    gateway: GatewayProcess
    http: aiohttp.ClientSession
    token: str
    application: str
    rows: asyncpg.Connection

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        url = f"{self.gateway.url}/applications/{self.application}{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, url, json=body, headers=headers) as said:
            return said.status, await said.json()

    async def value(self, text: str, *values: object) -> Any:
        return await self.rows.fetchval(text, self.application, *values)

    async def moved(self) -> int:
        return int(
            await self.value(
                "select count(*) from files where owner = $1 and attributes ->> 'parent' like '/there%'"
            )
        )

    async def left(self) -> int:
        return int(await self.value("select count(*) from files where owner = $1"))

    async def idle(self) -> bool:
        return not await self.value(
            "select exists (select from losant_jobs where application = $1)"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tree(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Tree]:
    folder: Path = tmp_path_factory.mktemp("tree")
    database_url = await new_database(postgres_server, copied=True)
    async with (
        running_gateway(
            folder, database_server=None, database_url=database_url, losant_upkeep_seconds=0.2
        ) as gateway,
        aiohttp.ClientSession() as http,
    ):
        admin = await sign_in(http, gateway.url)
        rows = await asyncpg.connect(database_url)
        made = Tree(gateway, http, admin.token, "", rows)
        headers = {"Authorization": f"Bearer {admin.token}"}
        async with http.post(
            f"{gateway.url}/applications", json={"name": "tree"}, headers=headers
        ) as said:
            made.application = (await said.json())["id"]
        await plant(made)
        yield made
        await rows.close()


async def plant(tree: Tree) -> None:
    """Directories in directories; the files have rows as uploads leave them, and bytes on the disk."""
    parents = ["/top/"]
    status, _ = await tree.ask("POST", "/privateFiles", {"name": "top", "type": "directory"})
    assert 201 == status
    for number in range(DIRECTORIES):
        parent = parents[number // 3]
        body = {"name": f"d{number}", "type": "directory", "parentDirectory": parent}
        assert 201 == (await tree.ask("POST", "/privateFiles", body))[0]
        parents.append(f"{parent}d{number}/")
    rows = await tree.rows.fetch(PLANT, tree.application, parents, FILES)
    await tree.rows.execute(SLOWLY)
    folder = tree.gateway.data_dir / "blobs" / "applications" / tree.application
    folder.mkdir(parents=True)
    for row in rows:
        (folder / str(row["blob_id"])).write_bytes(CONTENT)


# So that a busy machine has the time to kill it half-way.
SLOWLY = """
create function slowly() returns trigger language plpgsql as $$
begin perform pg_sleep(0.01); return coalesce(new, old); end $$;
create trigger slowly before update or delete on files for each row execute function slowly();
"""
PLANT = """
with made as (
    select gen_random_uuid() as id, gen_random_uuid() as blob_id, n,
           ($2::text[])[1 + n % cardinality($2::text[])] as parent
    from generate_series(1, $3) n
), laid as (
    insert into blobs (id, kind, owner, size, sha256)
    select blob_id, 'applications', $1, 4, sha256('tree') from made
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    values ('applications', $1, 99, $3, 4 * $3)
)
insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator)
select id, 'applications', $1, substr(replace(id::text, '-', ''), 1, 24), blob_id, 'text/plain',
       jsonb_build_object('type', 'file', 'parent', parent, 'name', 'f' || n, 'status', 'completed',
           'generation', 1, 'upload', null, 'expires', null, 'into', null, 'size', 4,
           'dimensions', null, 'author', repeat('0', 24), 'author_type', 'user'), ''
from made returning blob_id
"""


async def read_along(tree: Tree, stop: asyncio.Event) -> int:
    """Download until told to stop: the bytes, or a refusal, but nothing else; how many came whole."""
    whole = 0
    while not stop.is_set():
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            _, listed = await tree.ask("GET", "/privateFiles?type=file&perPage=3")
            for item in listed.get("items", ()):
                async with tree.http.get(item["url"]) as said:
                    content = await said.read()
                    assert said.status in (200, 403, 404, 500, 503), content
                    assert said.status != 200 or content == CONTENT
                    whole += said.status == 200
        await asyncio.sleep(0.01)
    return whole


async def killed_twice(tree: Tree, at: Sequence[Callable[[], Awaitable[bool]]]) -> None:
    """Kill the service at each of these moments, and let it finish in its next lives."""
    for moment in at:
        await until(moment, within=WAIT_SECONDS)
        await tree.gateway.kill9()
        assert not await tree.idle(), "it was done before it was killed"
        await tree.gateway.start()
    await until(tree.idle, within=WAIT_SECONDS)


@in_one_loop
async def test_a_tree_that_is_moved_arrives_whole_and_once(tree: Tree) -> None:
    before = await tree.value(NAMES)
    stop = asyncio.Event()
    reader = asyncio.create_task(read_along(tree, stop))
    status, moved = await tree.ask("POST", f"/privateFiles/{await top(tree)}/move?name=there", {})
    assert 201 == status

    async def some() -> bool:
        return await tree.moved() > FILES // 10

    async def most() -> bool:
        return await tree.moved() > FILES // 2

    await killed_twice(tree, (some, most))
    stop.set()
    assert 0 < await reader
    assert [name.replace("/top/", "/there/", 1) for name in before] == await tree.value(NAMES)
    assert FILES + DIRECTORIES + 1 == await tree.left()
    _, seen = await tree.ask("GET", f"/privateFiles/{moved['id']}")
    assert "completed" == seen["status"]
    assert 0 == await tree.value(STEPS)
    await check_bytes(tree, FILES)


@in_one_loop
async def test_a_tree_that_is_removed_goes_whole_with_its_bytes(tree: Tree) -> None:
    stop = asyncio.Event()
    reader = asyncio.create_task(read_along(tree, stop))
    whole = await tree.left()
    status, _ = await tree.ask("DELETE", f"/privateFiles/{await top(tree)}", {})
    assert 200 == status

    async def some() -> bool:
        return await tree.left() < whole * 0.9

    async def most() -> bool:
        return await tree.left() < whole * 0.5

    await killed_twice(tree, (some, most))
    stop.set()
    await reader
    assert 0 == await tree.left()
    await check_bytes(tree, 0)


async def check_bytes(tree: Tree, live: int) -> None:
    """Every file has its bytes, and no others are left but those that wait for their grace."""
    status, said = await tree.gateway.run("check")
    assert 0 == status, said
    assert [] == await tree.rows.fetch(MISCOUNTED)
    assert live == await tree.value(
        "select count(*) from blobs where owner = $1 and condemned_until is null"
    )
    assert 0 == await tree.value(
        "select count(*) from files f where owner = $1 and blob_id is not null and not exists ("
        "select from blobs b where b.id = f.blob_id and b.condemned_until is null)"
    )


async def top(tree: Tree) -> str:
    """The id of the tree."""
    _, listed = await tree.ask("GET", "/privateFiles?directory=/")
    [item] = listed["items"]
    return str(item["id"])


CONTENT = b"tree"
NAMES = """
select array_agg(path order by path collate "C") from (
    select attributes ->> 'parent' || (attributes ->> 'name') || case attributes ->> 'type'
           when 'directory' then '/' else '' end as path
    from files where owner = $1) paths
"""
STEPS = """
select count(*) from losant_steps s left join losant_jobs j on j.id = s.job and j.application = $1
"""
