"""The documents' JavaScript in a real browser, on a page of another origin."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.tools.browser import Browser, BrowserError, running_browser
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.losant import Application, new_application
from tests.tools.mainflux import User
from tests.web.conftest import admin, http

__all__ = ["admin", "http"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = Firmware(90, 300_000)

# As published, but for its first two lines and its last five.
UPLOAD = """
var filePostResponse = arguments[0];
var fileBlob = new Blob([Uint8Array.from(atob(arguments[1]), c => c.charCodeAt(0))]);
var formData = new FormData();
formData.append('Content-Type',
  filePostResponse.upload.fields['Content-Type']);
formData.append('key', filePostResponse.upload.fields.key);
formData.append('X-Amz-Algorithm',
  filePostResponse.upload.fields['X-Amz-Algorithm']);
formData.append('X-Amz-Credential',
  filePostResponse.upload.fields['X-Amz-Credential']);
formData.append('X-Amz-Date',
  filePostResponse.upload.fields['X-Amz-Date']);
formData.append('Policy', filePostResponse.upload.fields['Policy']);
formData.append('X-Amz-Signature',
  filePostResponse.upload.fields['X-Amz-Signature']);
formData.append('file', fileBlob);
var xhr = new XMLHttpRequest();
xhr.open('POST', filePostResponse.upload.url, true);
xhr.send(formData);
await new Promise((resolve, reject) => {
  xhr.onload = resolve;
  xhr.onerror = () => reject(new Error('network'));
});
return [xhr.status, xhr.getResponseHeader('ETag'), xhr.responseText];
"""
FETCH = """
const answer = await fetch(arguments[0], arguments[1]);
return [answer.status, answer.headers.get('Content-Range'), await answer.text()];
"""
READ = """
const answer = await fetch(arguments[0]);
const digest = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
return Array.from(new Uint8Array(digest), b => b.toString(16).padStart(2, '0')).join('');
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["*", "one", "off"])
async def page(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[str, str]]:
    """An empty page on an origin of its own, and what of origins is configured."""

    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>page</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    async with TestServer(app) as server:
        origin = str(server.make_url("")).rstrip("/")
        allowed = {"*": "*", "one": origin, "off": "off"}[request.param]
        yield origin, allowed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, page: tuple[str, str]
) -> AsyncIterator[GatewayProcess]:
    """A gateway that allows what the page's case says."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    async with running_gateway(
        folder, database_server=postgres_server, cors_origins=page[1]
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(page: tuple[str, str]) -> AsyncIterator[Browser]:
    """A browser that shows the page."""
    async with running_browser() as running:
        await running.open(page[0])
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(admin: User) -> Application:
    return await new_application(admin)


async def test_the_documents_page_uploads_from_another_origin(
    browser: Browser, application: Application, page: tuple[str, str]
) -> None:
    made = await application.begin("from a page.bin", IMAGE.content)
    content = base64.b64encode(IMAGE.content).decode()
    if page[1] == "off":
        # A form can be sent by any page, and it is right by itself; only the answer stays unread.
        with pytest.raises(BrowserError, match="network"):
            await browser.run(UPLOAD, made, content)
        return
    status, etag, text = await browser.run(UPLOAD, made, content)
    assert (status, text) == (204, "")
    assert etag is not None
    status, _, text = await browser.run(UPLOAD, made, content)
    assert status == 403
    assert "<Code>AccessDenied</Code>" in text
    listed = await application.ask("GET", "", 200)
    assert [("from a page.bin", "completed", IMAGE.size)] == [
        (file["name"], file["status"], file["fileSize"]) for file in listed["items"]
    ]
    async with application.session.get(await application.link(made)) as answer:
        assert await answer.read() == IMAGE.content


async def test_a_page_of_another_origin_reads_the_api_and_the_link(
    browser: Browser, application: Application, page: tuple[str, str]
) -> None:
    name = f"read by a page {page[1][:1]}.bin"
    made = await application.publish(name, IMAGE.content)
    link = await application.link(made)
    if page[1] == "off":
        with pytest.raises(BrowserError, match="Failed to fetch"):
            await browser.run(READ, link)
        return
    assert IMAGE.sha256 == await browser.run(READ, link)
    ranged = {"headers": {"Range": "bytes=5-9"}}
    status, content_range, _ = await browser.run(FETCH, link, ranged)
    assert (status, content_range) == (206, f"bytes 5-9/{IMAGE.size}")
    authorized = {"headers": {**application.headers, "Accept-Version": "^1.30.0"}}
    status, _, text = await browser.run(FETCH, f"{application.files}?filter=read*", authorized)
    assert status == 200
    assert name in text
