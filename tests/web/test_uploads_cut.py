"""A right that has gone cuts uploads and ends reads: with two workers, behind nginx, and behind it in edge mode.

Whichever worker hears of the change, and whoever made it: the client is told within two seconds, while
half of its body is still to come, and nothing is left. Others' uploads go on. One that takes too long
altogether is cut as well. What each worker would know for an hour is read no more after the same two seconds
(``tests/dialects/test_forgetting.py`` has every kind of change).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.inside import gateway_inside
from tests.tools.mainflux import sign_in
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST
from tests.tools.rawhttp import RawConnection, multipart, raw_connection
from tests.tools.waiting import PATIENCE_SECONDS, until
from tests.web import test_rights_at_commit as rights
from tests.web.test_rights_at_commit import CUT_SECONDS, Have, Scene, Step

pytestmark = pytest.mark.asyncio(loop_scope="module")
scene = rights.scene

# At once, over connections of their own, so that each worker has some.
UPLOADS = 4
READ_SECONDS = 3.0  # an edge keeps what it was told for two
DISPOSITION = 'Content-Disposition: form-data; name="file"; filename="{}.bin"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """Two workers, told to let nginx send blobs."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        workers=2,
        read_cache_seconds=3600,
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("expected", "have", "end"),
    [
        (403, rights.a_thing, rights.another_key),
        (404, rights.a_group, rights.out_of_the_group),
        (403, rights.a_group, rights.only_viewer),
        (401, rights.a_group, rights.another_password),
        (401, rights.a_group, rights.logged_out),
        (401, rights.an_api_key, rights.key_revoked),
        (401, rights.an_api_key, rights.locked),
        (403, rights.administration, rights.no_administrator),
        (401, rights.user_files, rights.locked),
    ],
    ids=lambda case: getattr(case, "__name__", str(case)),
)
async def test_uploads_to_every_worker_end_with_the_right(
    scene: Scene, port: int, expected: int, have: Have, end: Step
) -> None:
    path = await have(scene)
    before = scene.stored()
    innocent = await scene.admin.thing()
    async with AsyncExitStack() as stack:
        others = await half_sent(stack, port, "/files", innocent.headers, "innocent")
        opened = [
            await half_sent(stack, port, path, scene.headers, str(number))
            for number in range(1 if path.startswith("/v1/") else UPLOADS)
        ]
        await until(lambda: len(scene.incoming()) == len(opened) + 1)
        await end(scene)
        async with asyncio.timeout(CUT_SECONDS):
            answers = [await raw.read_answer() for raw, _ in opened]
        assert {answer.status for answer in answers} == {expected}
        await until(lambda: len(scene.incoming()) == 1)
        raw, rest = others
        await raw.send(rest)
        assert (await raw.read_answer()).status == 201
    assert len(scene.stored() - before) == 1


async def test_what_every_worker_knew_is_read_no_more_whatever_is_in_front(
    scene: Scene, port: int
) -> None:
    await check_forgotten(scene, port, 403, rights.a_thing, rights.another_key)


@pytest.mark.parametrize(
    ("expected", "have", "end"),
    [
        (404, rights.a_group, rights.out_of_the_group),
        (401, rights.an_api_key, rights.key_revoked),
        (401, rights.user_files, rights.locked),
    ],
    ids=lambda case: getattr(case, "__name__", str(case)),
)
async def test_what_every_worker_knew_is_read_no_more(
    scene: Scene, expected: int, have: Have, end: Step
) -> None:
    await check_forgotten(scene, scene.gateway.port, expected, have, end)


async def check_forgotten(scene: Scene, port: int, expected: int, have: Have, end: Step) -> None:
    _, path = await rights.target(scene, await have(scene), old=True)
    assert {200} == await read_by_many(port, path, scene.headers)
    await end(scene)

    async def is_over() -> bool:
        return {expected} == await read_by_many(port, path, scene.headers)

    await until(is_over, within=READ_SECONDS)


async def read_by_many(port: int, path: str, headers: dict[str, str]) -> set[int]:
    """The statuses, over connections of their own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:

        async def read() -> int:
            async with session.get(f"http://{HOST}:{port}{path}", headers=headers) as answer:
                await answer.read()
                return answer.status

        return set(await asyncio.gather(*(read() for _ in range(2 * UPLOADS))))


async def half_sent(
    stack: AsyncExitStack, port: int, path: str, headers: dict[str, str], name: str
) -> tuple[RawConnection, bytes]:
    """A connection over which half of an upload went, and the other half."""
    said, body = multipart([(DISPOSITION.format(name), rights.CONTENT)])
    raw = await stack.enter_async_context(raw_connection(port))
    await raw.send_head("POST", path, [*headers.items(), *said])
    await raw.send(body[: len(body) // 2])
    return raw, body[len(body) // 2 :]


async def test_an_upload_that_takes_too_long_is_cut(tmp_path: Path, postgres_server: str) -> None:
    """
    It comes fast enough, and would never end.
    """
    async with (
        gateway_inside(tmp_path, database_server=postgres_server, upload_seconds=0.5) as gateway,
        aiohttp.ClientSession() as session,
        AsyncExitStack() as stack,
    ):
        thing = await (await sign_in(session, gateway.url)).thing()
        raw, rest = await half_sent(stack, gateway.port, "/files", thing.headers, "endless")
        async with asyncio.timeout(PATIENCE_SECONDS):
            answering = asyncio.create_task(raw.read_answer())
            while not answering.done():
                await raw.send(rest[:100])
                await asyncio.sleep(0.05)
            assert (await answering).status == 408
        assert not list((gateway.data_dir / "incoming").glob("*.part"))
