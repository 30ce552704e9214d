"""Signed links: the same directly, through nginx that sends, and through nginx that decides."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.cutproxy import running_cutproxy, seeded_cuts
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.losant import Application, new_application
from tests.tools.mainflux import User
from tests.tools.nginx import Nginx
from tests.tools.waiting import PATIENCE_SECONDS
from tests.web.test_resume import CLIENTS, Client, aria2, curl_again, own_client, wget

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD, NEW, BIG = Firmware(80, 300_000), Firmware(81, 300_000), Firmware(82, 3_000_000)
CUTS, MOST = 8, 120_000
EDGE_SECONDS = 2.0
NO_HEADER = "Accept-Language: en"
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(admin: User, base_url: str) -> Application:
    """An application, asked for its files by the same way as they are."""
    return await new_application(admin, f"{base_url}/filestore")


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"fw {next(_numbers)} é.bin"


async def status_of(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as answer:
        await answer.read()
        return answer.status


def file_of(link: str) -> str:
    """The id of its file."""
    return urlsplit(link).path.split("/")[4]


async def until(http: aiohttp.ClientSession, url: str, expected: int, seconds: float) -> None:
    """The status comes to be that, within so many seconds."""
    async with asyncio.timeout(seconds):
        while await status_of(http, url) != expected:
            await asyncio.sleep(0.02)


async def test_a_link_is_for_the_address_by_which_it_was_asked_for(
    application: Application, http: aiohttp.ClientSession, name: str, base_url: str
) -> None:
    file = await application.publish(name, OLD.content)
    link = await application.link(file)
    assert link.startswith(
        f"{base_url}/filestore/private-files/{application.id}/{file['id']}/fw%20"
    )
    async with http.get(link) as answer:
        assert (answer.status, await answer.read()) == (200, OLD.content)
        disposition, etag = answer.headers["Content-Disposition"], answer.headers["ETag"]
    assert disposition.endswith("filename*=UTF-8''" + link.partition("?")[0].rpartition("/")[2])
    async with http.head(link) as head:
        assert (head.status, head.headers["ETag"]) == (200, etag)
        assert head.headers["Content-Length"] == str(OLD.size)


ASKED: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "a range": (206, OLD.read(100, 100), {"Range": "bytes=100-199"}),
    "the end": (206, OLD.read(OLD.size - 5, 5), {"Range": "bytes=-5"}),
    "a range of this version": (
        206,
        OLD.read(100, OLD.size - 100),
        {"Range": "bytes=100-", "If-Range": "{etag}"},
    ),
    "a range of another version": (
        200,
        OLD.content,
        {"Range": "bytes=100-", "If-Range": '"other"'},
    ),
    "what it has": (304, b"", {"If-None-Match": "{etag}"}),
    "another version": (412, b"PreconditionFailed", {"If-Match": '"other"'}),
    "more than there is": (416, b"InvalidRange", {"Range": "bytes=300000-"}),
}


@pytest.mark.parametrize(("status", "body", "headers"), ASKED.values(), ids=ASKED)
async def test_conditions_and_ranges_are_those_of_every_download(
    application: Application,
    http: aiohttp.ClientSession,
    name: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    link = await application.link(await application.publish(name, OLD.content))
    async with http.head(link) as head:
        etag = head.headers["ETag"]
    said = {key: value.format(etag=etag) for key, value in headers.items()}
    async with http.get(link, headers=said) as answer:
        got = await answer.read()
    assert answer.status == status
    assert got == body if status < 400 else body in got


async def test_a_link_is_good_for_its_time_and_no_longer(
    application: Application, http: aiohttp.ClientSession, name: str
) -> None:
    link = await application.link(await application.publish(name, OLD.content), 2)
    expires = int(parse_qs(urlsplit(link).query)["expires"][0])
    assert 1 < expires - time.time() <= 3
    seen = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while 403 not in seen:
            asked_at = time.time()
            seen.add(status := await status_of(http, link))
            assert status == (200 if status == 200 and asked_at < expires else 403)
    assert seen == {200, 403}


async def _replace(application: Application, file: dict[str, str]) -> None:
    await application.replace(file, NEW.content)


async def _remove(application: Application, file: dict[str, str]) -> None:
    await application.ask("DELETE", f"/{file['id']}", 200)


async def _move(application: Application, file: dict[str, str]) -> None:
    await application.ask("POST", f"/{file['id']}/move?name=moved{next(_numbers)}", 201)


async def _put_back(application: Application, file: dict[str, str]) -> None:
    """The same bytes, uploaded again: another version."""
    await application.replace(file, OLD.content)


@pytest.mark.parametrize("change", [_replace, _remove, _move, _put_back])
async def test_a_link_ends_with_its_version(
    application: Application, http: aiohttp.ClientSession, name: str, change: object, way: str
) -> None:
    file = await application.publish(name, OLD.content)
    link = await application.link(file)
    assert await status_of(http, link) == 200
    assert callable(change)
    await change(application, file)
    if way == "edge":
        await until(http, link, 404, EDGE_SECONDS + 1)
    assert await status_of(http, link) == 404


def _changed(link: str, name: str, value: Callable[[str], str]) -> str:
    path, _, query = link.partition("?")
    said = {key: values[0] for key, values in parse_qs(query).items()}
    return f"{path}?{urlencode(said | {name: value(said[name])})}"


TAMPERED: dict[str, Callable[[str], str]] = {
    "a later end": lambda link: _changed(link, "expires", lambda v: str(int(v) + 1)),
    "another version": lambda link: _changed(link, "version", lambda v: v[:-1] + "~"),
    "another signature": lambda link: _changed(link, "signature", lambda v: "~" + v[1:]),
    "another name": lambda link: link.replace("fw%20", "fw-"),
    "no query": lambda link: link.partition("?")[0],
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
async def test_nothing_of_a_link_can_be_changed(
    application: Application, http: aiohttp.ClientSession, name: str, tamper: Callable[[str], str]
) -> None:
    link = await application.link(await application.publish(name, OLD.content))
    assert await status_of(http, link) == 200  # a decision is remembered, of this address only
    assert await status_of(http, tamper(link)) == 403
    async with http.head(tamper(link)) as head:
        assert head.status == 403


async def test_a_link_is_of_one_file(
    application: Application, http: aiohttp.ClientSession, name: str
) -> None:
    one = await application.link(await application.publish(name, OLD.content))
    other = await application.link(await application.publish(f"{name}2", OLD.content))
    mixed = f"{other.partition('?')[0]}?{one.partition('?')[2]}"
    assert await status_of(http, mixed) == 403


async def test_no_log_has_what_makes_a_link(
    application: Application,
    http: aiohttp.ClientSession,
    name: str,
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
) -> None:
    link = await application.link(await application.publish(name, OLD.content))
    assert await status_of(http, link) == 200
    assert await status_of(http, link.replace("signature=", "signature=x")) == 403
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    file = file_of(link)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while file not in gateway.log:
            await asyncio.sleep(0.02)
    logs = [gateway.log, *(n.log for n in (nginx, edge))]
    logs += [path.read_text() for n in (nginx, edge) for path in n.folder.rglob("access*")]
    assert [False] * len(logs) == [signature in log for log in logs]


async def test_nginx_in_edge_mode_decides_once_for_many(
    application: Application,
    http: aiohttp.ClientSession,
    name: str,
    gateway: GatewayProcess,
    way: str,
) -> None:
    link = await application.link(await application.publish(name, OLD.content))
    path = urlsplit(link).path

    for _ in range(10):
        assert await status_of(http, link) == 200
    assert await status_of(http, f"{gateway.url}/asked-after-{file_of(link)}") == 404
    async with asyncio.timeout(PATIENCE_SECONDS):
        while f"asked-after-{file_of(link)}" not in gateway.log:
            await asyncio.sleep(0.02)
    asked = gateway.log.count(f'"{path}"') + gateway.log.count(f"path={path}")
    assert 1 <= asked < 10 if way == "edge" else asked == 10


@pytest.mark.parametrize("client", CLIENTS, ids=["curl", "wget", "aria2", "own"])
async def test_a_download_by_link_that_is_cut_ends_with_the_right_bytes(
    application: Application, port: int, name: str, tmp_path: Path, client: Client
) -> None:
    assert {curl_again, wget, aria2, own_client} == set(CLIENTS)
    link = await application.link(await application.publish(name, BIG.content))
    parts = urlsplit(link)
    async with running_cutproxy(port, seeded_cuts(CLIENTS.index(client), CUTS, MOST)) as proxy:
        await client(f"{proxy.url}{parts.path}?{parts.query}", NO_HEADER, tmp_path)
        assert len(proxy.made) == CUTS
    assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == BIG.sha256


async def test_a_download_by_link_is_never_continued_with_other_bytes(
    application: Application, http: aiohttp.ClientSession, name: str
) -> None:
    """Its link is over then; by the new one If-Range says that all is new."""
    file = await application.publish(name, OLD.content)
    link = await application.link(file)
    async with http.get(link, headers={"Range": "bytes=0-99999"}) as answer:
        etag = answer.headers["ETag"]
        assert await answer.read() == OLD.read(0, 100_000)
    await application.replace(file, NEW.content)
    resumed = {"Range": "bytes=100000-"}
    await until(http, link, 404, EDGE_SECONDS + 1)
    async with http.get(link, headers=resumed) as answer:
        assert answer.status == 404
    new_link = await application.link(file)
    async with http.get(new_link, headers=resumed | {"If-Range": etag}) as answer:
        assert (answer.status, await answer.read()) == (200, NEW.content)
