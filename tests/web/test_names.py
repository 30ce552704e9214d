"""What is accepted as a name can be reached under it, on every route and by every method."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Every printable ASCII character but the slash, which parts names.
SIGNS = [c for c in string.printable if c.isprintable() and c != "/"]
NAMES = [f"a{sign}b.bin" for sign in SIGNS]
WORDS = ("a{x}.bin", "{name}", "{", "}{", "%7Bx%7D", "größe.bin", "ファイル.bin", "a" * 255)
BODY = b"firmware"


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


async def ask(user: User, method: str, path: str, headers: Any, **what: Any) -> tuple[int, bytes]:
    url = URL(user.url + path, encoded=True)
    async with user.session.request(method, url, headers=headers, **what) as reply:
        return reply.status, await reply.read()


def form(name: str) -> dict[str, Any]:
    """A form as browsers write it: three signs escaped, all others as they are (WHATWG)."""
    written = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{written}"\r\n\r\n'
    return {"data": head.encode() + BODY + b"\r\n--b--\r\n"}


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("name", [*NAMES, *WORDS])
async def test_on_the_routes_of_forms(user: User, name: str) -> None:
    """Stored under some name: under that one it is listed, found, read, replaced and deleted."""
    thing = await user.thing()
    group = await user.group("g", thing.id)
    for collection, headers in (
        ("/files", thing.headers),
        (f"/groups/{group}/files", user.headers),
    ):
        status, said = await ask(user, "POST", collection, {**headers, **FORM}, **form(name))
        if status != 201:
            assert status == 400, (name, said)
            assert (200, 0) == await total(user, collection, headers)
            continue
        stored = await stored_name(user, collection, headers)
        path = f"{collection}/{quote(stored, safe='')}"
        statuses = [(await ask(user, method, path, headers))[0] for method in ("GET", "HEAD")]
        statuses.append((await ask(user, "PUT", path, {**headers, **FORM}, **form("x")))[0])
        statuses.append((await ask(user, "PUT", path, headers, json={"metadata": {}}))[0])
        if collection != "/files":
            statuses.append(
                (await ask(user, "GET", f"/groupfiles/{quote(stored, safe='')}", thing.headers))[0]
            )
        assert {200} == set(statuses), (name, stored, statuses)
        assert 204 == (await ask(user, "DELETE", path, headers))[0]


async def total(user: User, collection: str, headers: Any) -> tuple[int, int]:
    async with user.session.get(f"{user.url}{collection}", headers=headers) as reply:
        return reply.status, (await reply.json())["total"]


async def stored_name(user: User, collection: str, headers: Any) -> str:
    async with user.session.get(f"{user.url}{collection}", headers=headers) as reply:
        (file,) = (await reply.json())["files"]
        return str(file["name"])


@pytest.mark.parametrize("name", [*NAMES, *WORDS])
async def test_on_the_routes_of_ids(user: User, name: str) -> None:
    path = f"/v1/file/{quote(name, safe='')}"
    assert 200 == (await ask(user, "POST", path, user.headers, data=BODY))[0]
    assert (200, BODY) == await ask(user, "GET", path, user.headers)
    for method in ("HEAD", "PUT", "DELETE"):
        assert (
            200
            == (await ask(user, method, path, user.headers, data=b"" if method != "PUT" else BODY))[
                0
            ]
        )
