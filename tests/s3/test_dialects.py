"""A file of each API in a bucket: stored, read whole and in part, resumed, removed."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.gravwell import FILES, put_user_file
from tests.tools.losant import new_application
from tests.tools.mainflux import User, sign_in, upload
from tests.tools.s3store import s3_settings
from tests.tools.seaweed import Engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL, LARGE = Firmware(31, 70_001), Firmware(32, 7 * 1024 * 1024 + 77)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service with its blobs in the store."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    told = s3_settings(engine.endpoint, "smoke")
    async with running_gateway(folder, database_server=postgres_server, **told) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that unpacks nothing."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(gateway: GatewayProcess, http: aiohttp.ClientSession) -> User:
    """The first administrator."""
    return await sign_in(http, gateway.url)


async def of_a_thing(admin: User, image: Firmware) -> tuple[str, dict[str, str]]:
    """The address of a thing's new file and the credential for it."""
    thing = await admin.thing()
    await upload(admin.session, f"{admin.url}/files", thing.headers, "a.bin", image.content)
    return f"{admin.url}/files/a.bin", thing.headers


async def of_gravwell(admin: User, image: Firmware) -> tuple[str, dict[str, str]]:
    guid = await put_user_file(admin, image.content, Name="a.bin")
    return f"{admin.url}{FILES}/{guid}", admin.headers


async def of_hasura(admin: User, image: Firmware) -> tuple[str, dict[str, str]]:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(image.content), filename="a.bin")
    url = f"{admin.url}/v1/file"
    async with admin.session.post(url, data=form, headers=admin.headers) as answer:
        made = await answer.json()
    return f"{url}/{made['file_id']}", admin.headers


async def of_losant(admin: User, image: Firmware) -> tuple[str, dict[str, str]]:
    application = await new_application(admin)
    made = await application.publish("a.bin", image.content)
    return await application.link(made), {}


@pytest.mark.parametrize(
    ("publish", "image"),
    [
        pytest.param(of_a_thing, SMALL, id="mainflux, one request"),
        pytest.param(of_a_thing, LARGE, id="mainflux, parts"),
        pytest.param(of_gravwell, SMALL, id="gravwell"),
        pytest.param(of_hasura, SMALL, id="hasura"),
        pytest.param(of_losant, LARGE, id="losant, parts"),
    ],
)
async def test_a_file_is_stored_read_resumed_and_removed(
    admin: User, publish: Any, image: Firmware
) -> None:
    url, headers = await publish(admin, image)
    async with admin.session.get(url, headers=headers) as answer:
        assert (200, image.content) == (answer.status, await answer.read())
        etag = answer.headers["ETag"]
    begun = image.size // 3
    for header, start, stop in (
        (f"bytes=5-{5 + 4095}", 5, 5 + 4096),
        (f"bytes={begun}-", begun, image.size),
        ("bytes=-17", image.size - 17, image.size),
    ):
        asked = {**headers, "Range": header, "If-Range": etag}
        async with admin.session.get(url, headers=asked) as answer:
            assert 206 == answer.status
            assert f"bytes {start}-{stop - 1}/{image.size}" == answer.headers["Content-Range"]
            assert image.content[start:stop] == await answer.read()
    async with admin.session.head(url, headers=headers) as answer:
        assert (200, str(image.size)) == (answer.status, answer.headers["Content-Length"])


async def test_a_removed_file_leaves_nothing_in_the_bucket(
    admin: User, gateway: GatewayProcess
) -> None:
    url, headers = await of_a_thing(admin, SMALL)
    async with admin.session.delete(url, headers=headers) as answer:
        assert 204 == answer.status
    async with admin.session.get(url, headers=headers) as answer:
        assert 404 == answer.status
    status, said = await gateway.run("check", "--json")
    assert (0, True) == (status, '"findings":[]' in said), said
