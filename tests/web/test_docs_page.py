"""The page at ``/docs`` and its document, from the running service, directly and through nginx."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from gateway import __version__
from tests.tools.browser import Browser, running_browser
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Of Swagger UI 5.31.0 as its authors published it.
PUBLISHED = {
    "swagger-ui-bundle.js": "93b7b0862a80e2786f85b560be7693c2344354ffa7e7e224f850a54349724c31",
    "swagger-ui.css": "9e576f8322132c76949da47f9bb53c891373c303ea3a761ff548ffc9de50a98c",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
}
TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript; charset=utf-8",
}


async def test_the_document_is_served(http: aiohttp.ClientSession, base_url: str) -> None:
    async with http.get(f"{base_url}/filestore/openapi.json") as answer:
        assert (200, "application/json") == (answer.status, answer.headers["Content-Type"])
        document = await answer.json()
    assert __version__ == document["info"]["version"]
    assert [{"url": "/filestore"}, {"url": "/"}] == document["servers"]


async def test_a_document_that_the_client_has_is_not_sent_again(
    http: aiohttp.ClientSession, base_url: str
) -> None:
    url = f"{base_url}/filestore/openapi.json"
    async with http.get(url) as answer:
        etag = answer.headers["ETag"]
    async with http.get(url, headers={"If-None-Match": etag}) as answer:
        assert (304, b"") == (answer.status, await answer.read())


async def test_the_page_loads_nothing_from_elsewhere(
    http: aiohttp.ClientSession, base_url: str
) -> None:
    async with http.get(f"{base_url}/filestore/docs") as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        assert "text/html; charset=utf-8" == answer.headers["Content-Type"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "//" not in page
    assert "<script>" not in page
    wanted = re.findall(r'(?:src|href)="docs/([^"]+)"', page)
    assert sorted(TYPES) == sorted(wanted)


@pytest.mark.parametrize("name", sorted(TYPES))
async def test_a_file_of_the_page_has_its_type(
    http: aiohttp.ClientSession, base_url: str, name: str
) -> None:
    async with http.get(f"{base_url}/filestore/docs/{name}") as answer:
        body = await answer.read()
        assert (200, TYPES[name]) == (answer.status, answer.headers["Content-Type"])
        assert "nosniff" == answer.headers["X-Content-Type-Options"]
    if name in PUBLISHED:
        assert PUBLISHED[name] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    "name",
    ["index.html", "swagger-ui-bundle.js.map", "..%2f..%2f__init__.py", "../openapi.json/x", "%00"],
)
async def test_nothing_else_of_the_package_is_served(
    http: aiohttp.ClientSession, base_url: str, name: str
) -> None:
    async with http.get(f"{base_url}/filestore/docs/{name}") as answer:
        assert answer.status in (400, 404)


WIDTHS = {"a desktop": 1280, "a phone": 390}
IMAGE = Firmware(61, 200_000)
UPLOAD = "[id$=post_files]"
# Of everything on the page, what a person would have to scroll sideways for.
BEYOND = """
const width = document.documentElement.clientWidth;
return document.documentElement.scrollWidth - width;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WIDTHS.values(), ids=WIDTHS)
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    async with running_browser() as running:
        await running.resize(request.param, 900)
        yield running


async def test_a_person_uploads_with_a_bare_key_and_nothing_but_the_file_filled_in(
    browser: Browser,
    thing: Thing,
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    tmp_path: Path,
) -> None:
    image = tmp_path / f"by hand {tmp_path.name}.bin"
    image.write_bytes(IMAGE.content)
    await browser.open(f"{gateway.url}/filestore/docs")
    await browser.click(".btn.authorize")
    await browser.type("#api_key_value", thing.key)
    await browser.click(".modal-ux .btn.authorize")
    await browser.click(".modal-ux .btn-done")
    await browser.click(f"{UPLOAD} .opblock-summary-control")
    await browser.click(f"{UPLOAD} .try-out__btn")
    await browser.type(f"{UPLOAD} input[type=file]", str(image))
    assert 0 >= await browser.run(BEYOND)
    await browser.click(f"{UPLOAD} .execute")
    status = await browser.text(f"{UPLOAD} .live-responses-table tbody .response-col_status")
    assert "201" == status.split()[0]
    url = f"{gateway.url}/files/{image.name.replace(' ', '%20')}"
    async with http.get(url, headers=thing.headers) as answer:
        assert IMAGE.content == await answer.read()
