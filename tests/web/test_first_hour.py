"""What a newcomer does first: types the address, sends a form with empty fields, mistakes a credential."""

from __future__ import annotations

import io

import aiohttp
import pytest

from gateway import __version__
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_a_program_that_asks_for_the_root_is_told_where_the_rest_is(
    http: aiohttp.ClientSession, gateway: GatewayProcess, accept: str
) -> None:
    async with http.get(f"{gateway.url}/", headers={"Accept": accept}) as answer:
        assert (200, "application/json") == (answer.status, answer.content_type)
        told = await answer.json()
    assert ("filestore-gateway", __version__) == (told["service"], told["version"])
    for place in ("documentation", "openapi", "health"):
        async with http.get(f"{gateway.url}/{told[place]}") as answer:
            assert 200 == answer.status


async def test_a_browser_gets_a_page_that_runs_nothing(
    http: aiohttp.ClientSession, base_url: str
) -> None:
    async with http.get(f"{base_url}/filestore/", headers={"Accept": BROWSER}) as answer:
        assert (200, "text/html") == (answer.status, answer.content_type)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert "Accept" in answer.headers["Vary"]
        page = await answer.text()
    assert 'href="docs"' in page
    assert "<script" not in page


EMPTY = {"metadata": "", "time": "", "sha256": ""}


@pytest.mark.parametrize("fields_first", [True, False], ids=["before the file", "behind it"])
async def test_an_optional_field_that_is_empty_is_absent(
    gateway: GatewayProcess, fields_first: bool
) -> None:
    async with signed_in(gateway.url) as admin:
        thing = await admin.thing()
        form = aiohttp.FormData(quote_fields=False)
        content = io.BytesIO(b"bytes")
        if not fields_first:
            form.add_field("file", content, filename="a.bin")
        for name, value in EMPTY.items():
            form.add_field(name, value)
        if fields_first:
            form.add_field("file", content, filename="a.bin")
        url = f"{gateway.url}/files"
        async with admin.session.post(url, data=form, headers=thing.headers) as answer:
            assert 201 == answer.status, await answer.text()
        async with admin.session.get(url, headers=thing.headers) as answer:
            [stored] = (await answer.json())["files"]
    assert stored["time"] > 1_700_000_000
    assert not stored["metadata"]


async def test_a_users_token_where_a_things_key_is_meant_is_told_so(
    gateway: GatewayProcess,
) -> None:
    async with (
        signed_in(gateway.url) as admin,
        admin.session.get(f"{gateway.url}/files", headers=admin.headers) as answer,
    ):
        body = await answer.json()
        assert 401 == answer.status
    assert body["error"].startswith("missing or invalid credentials provided: a user's token is no")
    assert "Authorization: Thing <key>" in body["error"]


@pytest.mark.parametrize(
    ("path", "content_type", "part"),
    [
        pytest.param("/files", "application/json", "multipart/form-data", id="a form is wanted"),
        pytest.param("/channels", "text/plain", "application/json", id="JSON is wanted"),
    ],
)
async def test_an_unsupported_type_is_told_which_is_accepted(
    gateway: GatewayProcess, path: str, content_type: str, part: str
) -> None:
    async with signed_in(gateway.url) as admin:
        thing = await admin.thing()
        headers = thing.headers if path == "/files" else admin.headers
        asked = {**headers, "Content-Type": content_type}
        async with admin.session.post(gateway.url + path, data=b"{}", headers=asked) as answer:
            body = await answer.json()
    assert (415, f"unsupported content type: {part} is accepted") == (answer.status, body["error"])
