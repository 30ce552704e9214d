"""A page of another origin may read every response, whoever sent it and whatever it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import sign_in
from tests.tools.place import Place
from tests.tools.ports import HOST
from tests.tools.rawhttp import raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "https://console.example.com"
ALLOW = "Access-Control-Allow-Origin"
EXPOSE = "Access-Control-Expose-Headers"
CREDENTIALS = "Access-Control-Allow-Credentials"
IMAGE = Firmware(71, 300_000)
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "range"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; ``{file}`` in its path is the file's, and ``key`` says whether it is the owner's."""

    status: int
    method: str = "GET"
    path: str = "{file}"
    key: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "a file": Asked(200),
    "its head": Asked(200, "HEAD"),
    "a small range": Asked(206, headers={"Range": "bytes=1-1000"}),
    "a large range": Asked(206, headers={"Range": "bytes=1-299000"}),
    "a suffix": Asked(206, headers={"Range": "bytes=-70000"}),
    "what is known already": Asked(304, headers={"If-None-Match": "*"}),
    "a condition that fails": Asked(412, headers={"If-Match": '"x"'}),
    "no such range": Asked(416, headers={"Range": "bytes=300000-"}),
    "nobody": Asked(401, key=False),
    "a stranger": Asked(403, key=False, headers={"Authorization": "Thing nobody"}),
    "no such file": Asked(404, path="/files/none"),
    "no such route": Asked(404, path="/nowhere"),
    "not this method": Asked(405, "PATCH"),
    "not a form": Asked(415, "POST", "/files"),
    "a list": Asked(200, path="/files"),
    "a user's list": Asked(401, path="/things"),
    "the other dialect": Asked(401, path="/v1/file/x"),
    "health": Asked(200, path="/health"),
    "the document": Asked(200, path="/openapi.json"),
    "the page": Asked(200, path="/filestore/docs"),
    "another protocol": Asked(200, headers={"Connection": "Upgrade", "Upgrade": "websocket"}),
    "OPTIONS of no page": Asked(405, "OPTIONS"),
}
PREFLIGHTS = ("{file}", "/files", "/things", "/v1/file/x", "/nowhere", "/health", "/filestore/x/y")


async def answer_of(place: Place, asked: Asked, **headers: str) -> tuple[int, Mapping[str, str]]:
    """The status and the headers, each of which is there once."""
    sent = {**asked.headers, **headers}
    if asked.key:
        sent.update([place.credential])
    url = f"http://{HOST}:{place.port}" + asked.path.format(file=place.path)
    async with place.http.request(asked.method, url, headers=sent, allow_redirects=False) as answer:
        await answer.read()
        names = [name.lower() for name in answer.headers]
        assert len(names) == len(set(names)), names
        return answer.status, answer.headers


@pytest_asyncio.fixture(loop_scope="module")
async def published(place: Place) -> Place:
    await place.publish(IMAGE)
    return place


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
async def test_a_page_may_read_it(published: Place, asked: Asked) -> None:
    status, headers = await answer_of(published, asked, Origin=PAGE)
    assert (asked.status, "*") == (status, headers[ALLOW])
    exposed = {name.strip().lower() for name in headers[EXPOSE].split(",")}
    assert {"etag", "content-range", "location", "repr-digest", "x-request-id"} <= exposed
    assert CREDENTIALS not in headers


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
async def test_what_is_kept_for_a_device_is_right_for_a_page(
    published: Place, asked: Asked
) -> None:
    """Twice: the second may come from what was looked up for the first, or from edge mode."""
    for _ in range(2):
        status, headers = await answer_of(published, asked)
        assert (asked.status, "*") == (status, headers[ALLOW])
        assert EXPOSE not in headers


@pytest.mark.parametrize("path", PREFLIGHTS)
async def test_a_page_may_ask_first_about_anything(published: Place, path: str) -> None:
    asked = Asked(204, "OPTIONS", path, key=False, headers=PREFLIGHT)
    status, headers = await answer_of(published, asked, Origin=PAGE)
    assert (204, "*") == (status, headers[ALLOW])
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Range", "X-Hasura-Role"} <= {*allowed}
    assert "PUT" in headers["Access-Control-Allow-Methods"]


UNREADABLE = {
    "a header without a colon": b"GET /files HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nbad header\r\n\r\n",
    "a very long address": b"GET /%s HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\n\r\n"
    % (b"a" * 70_000),
    "a very long header": b"GET /files HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nX: %s\r\n\r\n"
    % (b"a" * 70_000),
    "no host": b"GET /files HTTP/1.1\r\nOrigin: https://a\r\n\r\n",
}


@pytest.mark.parametrize("request_", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_refused_where_a_page_can_read_it(
    port: int, request_: bytes
) -> None:
    """By nginx itself, where there is one."""
    async with raw_connection(port) as connection:
        await connection.send(request_)
        answer = await connection.read_answer()
    assert 400 <= answer.status < 500
    assert "*" == answer.head.one(ALLOW)


@pytest.mark.parametrize("way", ["nginx", "edge"], indirect=True, scope="module")
async def test_when_the_gateway_is_away_nginx_says_so_to_pages_too(published: Place) -> None:
    await published.gateway.terminate()
    try:
        status, headers = await answer_of(published, Asked(502), Origin=PAGE)
    finally:
        await published.gateway.start()
    assert (502, "*") == (status, headers[ALLOW])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def choosy(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """A gateway for the pages of one origin."""
    folder: Path = tmp_path_factory.mktemp("choosy")
    async with running_gateway(
        folder, database_server=postgres_server, cors_origins=f"{PAGE},http://other"
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listed(choosy: GatewayProcess, http: aiohttp.ClientSession) -> Place:
    """A file of its."""
    thing = await (await sign_in(http, choosy.url)).thing()
    place = Place(choosy, http, thing, choosy.port, "image.bin")
    await place.publish(IMAGE)
    return place


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
async def test_a_named_origin_is_repeated_and_no_other(listed: Place, asked: Asked) -> None:
    for origin, allowed in ((PAGE, PAGE), ("https://evil.example.com", None), (None, None)):
        sent = {} if origin is None else {"Origin": origin}
        status, headers = await answer_of(listed, asked, **sent)
        said = (status, headers.get(ALLOW), headers.get(CREDENTIALS), headers["Vary"])
        assert (asked.status, allowed, allowed and "true", "Origin") == said
