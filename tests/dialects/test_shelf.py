"""A dialect from outside: nothing in ``gateway/`` knows of Shelf, and it has all that the others have.

Its process is the real one, on a real PostgreSQL; ``tests.dialects.shelf`` says what it brings.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from gateway.app import described
from tests.dialects.shelf.dialect import SHELF, WITH_SHELF
from tests.openapi.test_document import operations, references
from tests.tools.gateway import (
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    GatewayProcess,
    environment_of,
    new_database,
    running_gateway,
)
from tests.tools.rawhttp import raw_connection
from tests.tools.warm import ROOT

in_one_loop = pytest.mark.asyncio(loop_scope="module")

MODULE = "tests.dialects.shelf"
LARGEST = 300


@dataclass
class User:
    """Somebody with a token, before the shelf."""

    http: aiohttp.ClientSession
    url: str
    token: str

    async def ask(self, method: str, path: str, **wanted: Any) -> tuple[int, str, str]:
        """Status, type and text of the response."""
        headers = {"Authorization": f"Bearer {self.token}", **wanted.pop("headers", {})}
        async with self.http.request(
            method, self.url + path, headers=headers, **wanted
        ) as response:
            return response.status, response.content_type, await response.text()

    async def put_up(self, name: str, content: bytes, **fields: str) -> tuple[int, str, str]:
        """Put a file on the shelf; ``fields`` stand before it, the token among them."""
        form = aiohttp.FormData()
        for field, value in ({"token": self.token} | fields).items():
            form.add_field(field, value)
        form.add_field("file", content, filename=name)
        async with self.http.post(f"{self.url}/shelf", data=form) as response:
            return response.status, response.content_type, await response.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    async with running(
        tmp_path_factory.mktemp("shelf"), await new_database(postgres_server, copied=True)
    ) as process:
        yield process


def running(
    folder: Path, database_url: str, workers: int = 1
) -> AbstractAsyncContextManager[GatewayProcess]:
    """The service with this dialect."""
    return running_gateway(
        folder,
        database_server=None,
        module=MODULE,
        dialects=WITH_SHELF,
        database_url=database_url,
        workers=workers,
        shelf_largest_bytes=LARGEST,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def log_in(http: aiohttp.ClientSession, url: str, email: str, password: str) -> User:
    async with http.post(f"{url}/tokens", json={"email": email, "password": password}) as response:
        return User(http, url, (await response.json())["token"])


async def sign_up(http: aiohttp.ClientSession, url: str, email: str) -> User:
    async with http.post(f"{url}/users", json={"email": email, "password": "long enough"}) as said:
        assert 201 == said.status
    return await log_in(http, url, email, "long enough")


def left_over(gateway: GatewayProcess) -> list[str]:
    """Bytes of uploads that no file has."""
    return sorted(
        path.name for path in (gateway.data_dir / "incoming").iterdir() if path.suffix == ".part"
    )


@in_one_loop
async def test_it_is_served_like_the_dialects_that_are_shipped(
    gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    admin = await log_in(http, gateway.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    user = await sign_up(http, gateway.url + "/filestore", "reader@example.com")

    assert (201, "text/plain", "7 heavy.bin 4\n") == await admin.put_up(
        "heavy.bin", b"1234", mark="7"
    )
    assert (201, "text/plain", "-2 light.bin 2\n") == await admin.put_up(
        "light.bin", b"ab", mark="-2"
    )
    assert (201, "text/plain", "1 heavy.bin 1\n") == await user.put_up("heavy.bin", b"x", mark="1")

    # An order of its own; a scope for each user.
    assert "-2 light.bin 2\n7 heavy.bin 4\n" == (await admin.ask("GET", "/shelf"))[2]
    assert "1 heavy.bin 1\n" == (await user.ask("GET", "/shelf"))[2]
    # A query of its own.
    assert "-2 light.bin 2\n" == (await admin.ask("GET", "/shelf?below=7"))[2]
    # The engine's downloads, at the root and under the prefix.
    assert "1234" == (await admin.ask("GET", "/shelf/heavy.bin"))[2]
    ranged = await admin.ask("GET", "/filestore/shelf/heavy.bin", headers={"Range": "bytes=1-2"})
    assert (206, "23") == (ranged[0], ranged[2])


@pytest.mark.parametrize(
    ("expected", "name", "fields", "size"),
    [
        pytest.param("shelf: 401 missing or invalid credentials provided\n", "a", {"token": "x", "mark": "1"}, 9, id="a dead token"),
        pytest.param("shelf: 400 missing part: mark\n", "a", {}, 9, id="no mark"),
        pytest.param("shelf: 400 a mark is a number\n", "a", {"mark": "heavy"}, 9, id="no number"),
        pytest.param("shelf: 413 the file is larger than 300 bytes\n", "a", {"mark": "1"}, LARGEST + 1, id="beyond its setting"),
        pytest.param("shelf: 422 entity already exists\n", "taken", {"mark": "1"}, 9, id="its own status"),
    ],
)  # fmt: skip
@in_one_loop
async def test_a_refusal_is_in_its_words_and_leaves_nothing(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    expected: str,
    name: str,
    fields: dict[str, str],
    size: int,
) -> None:
    admin = await log_in(http, gateway.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    await admin.put_up("taken", b"x", mark="0")
    before = (await admin.ask("GET", "/shelf"))[2]
    status, kind, said = await admin.put_up(name, bytes(size), **fields)
    assert (expected, "text/plain") == (said, kind)
    assert str(status) in expected
    assert before == (await admin.ask("GET", "/shelf"))[2]
    assert [] == left_over(gateway)


@pytest.mark.parametrize("path", ["/shelf/absent", "/shelf/no/such/thing", "/filestore/shelf/a/b"])
@in_one_loop
async def test_what_is_not_there_is_refused_in_its_words(
    gateway: GatewayProcess, http: aiohttp.ClientSession, path: str
) -> None:
    admin = await log_in(http, gateway.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    status, kind, said = await admin.ask("GET", path)
    assert (404, "text/plain") == (status, kind)
    assert said.startswith("shelf: 404 ")


@in_one_loop
async def test_an_upload_whose_client_left_is_logged_as_such(
    gateway: GatewayProcess, http: aiohttp.ClientSession
) -> None:
    async with raw_connection(gateway.port) as connection:
        form = ("Content-Type", "multipart/form-data; boundary=b")
        await connection.send_head("POST", "/shelf", [form, ("Content-Length", "1000")])
        await connection.send(b"--b\r\n")
        connection.reset()
    line = '"dialect":"shelf","method":"POST","path":"/shelf","status":499'
    async with asyncio.timeout(30):
        while line not in gateway.log:
            await asyncio.sleep(0.05)


@in_one_loop
async def test_its_background_work_ends_with_the_service(
    tmp_path: Path, postgres_server: str
) -> None:
    database_url = await new_database(postgres_server, copied=True)
    async with running(tmp_path, database_url) as process:
        assert [False] == await closed(database_url)
        assert 0 == await process.terminate()
    assert [True] == await closed(database_url)


@in_one_loop
async def test_its_workers_have_it_too(
    tmp_path: Path, postgres_server: str, http: aiohttp.ClientSession
) -> None:
    database_url = await new_database(postgres_server, copied=True)
    async with running(tmp_path, database_url, workers=2) as process:
        admin = await log_in(http, process.url, ADMIN_EMAIL, ADMIN_PASSWORD)
        assert (200, "text/plain", "") == await admin.ask("GET", "/shelf")


@in_one_loop
async def test_its_settings_are_read_shown_and_refused_with_all_others(
    tmp_path: Path, postgres_server: str
) -> None:
    chosen = {"data_dir": tmp_path, "database_url": await new_database(postgres_server)}
    good = environment_of(chosen | {"shelf_largest_bytes": 12}, WITH_SHELF)
    status, shown, said = await command(good | {"GATEWAY_SHELF_LARGST_BYTES": "1"}, "config")
    assert (0, True) == (status, "GATEWAY_SHELF_LARGEST_BYTES=12\n" in shown)
    guess = "did you mean GATEWAY_SHELF_LARGEST_BYTES?"
    assert f"# ignored: GATEWAY_SHELF_LARGST_BYTES is no setting; {guess}\n" == said

    bad = good | {"GATEWAY_SHELF_LARGEST_BYTES": "0", "GATEWAY_PORT": "-1"}
    status, _, said = await command(bad, "serve")
    named = [line.split(":")[1].strip() for line in said.splitlines()]
    assert (2, ["GATEWAY_PORT", "GATEWAY_SHELF_LARGEST_BYTES"]) == (status, named)


@in_one_loop
async def test_its_migration_is_applied_after_the_shared_ones(
    tmp_path: Path, postgres_server: str
) -> None:
    chosen = {"data_dir": tmp_path, "database_url": await new_database(postgres_server)}
    status, applied, _ = await command(environment_of(chosen, WITH_SHELF), "migrate")
    assert (0, "shelf/0001_marks.sql") == (status, applied.split()[-1])


@in_one_loop
async def test_its_check_can_refuse_the_start(tmp_path: Path, postgres_server: str) -> None:
    chosen = {"data_dir": tmp_path, "port": 0, "shelf_closed": True}
    chosen["database_url"] = await new_database(postgres_server, copied=True)
    status, _, said = await command(environment_of(chosen, WITH_SHELF), "serve")
    assert (1, "filestore-gateway: the shelf is closed") == (status, said.splitlines()[-1])


def test_it_is_in_the_document() -> None:
    document: dict[str, Any] = described(WITH_SHELF, "/filestore")
    served = {f"{route.method} {route.path}" for route in SHELF.routes}
    assert set() == served - {name for name, _ in operations(document)}
    refused = document["paths"]["/shelf"]["post"]["responses"]["422"]
    assert {"$ref": "#/components/responses/shelf422"} == refused
    body = document["components"]["responses"]["shelf422"]["content"]
    assert ["text/plain; charset=utf-8"] == list(body)
    assert "#/components/responses/shelf422" in set(references(document))


def test_nothing_in_the_gateway_knows_of_it() -> None:
    found = [
        path for path in (ROOT / "gateway").rglob("*.py") if "shelf" in path.read_text().lower()
    ]
    assert [] == found


async def closed(database_url: str) -> list[bool]:
    """Of every time that the shelf was opened, whether it was closed again."""
    connection = await asyncpg.connect(database_url)
    try:
        openings = "select closed_at is not null from shelf_openings order by id"
        return [row[0] for row in await connection.fetch(openings)]
    finally:
        await connection.close()


async def command(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """A command of the service with this dialect: its exit status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, *arguments),
        cwd=ROOT,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            shown, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, shown.decode(), said.decode()
