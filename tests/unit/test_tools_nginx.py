"""The deployed nginx before a stand-in gateway: what it passes, what it adds, what it never lets through."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tests.tools.nginx import ACCEL, Nginx, render, running_nginx

ETAG = '"abcdefghijklmnopqrstuvwxyz0123456789abcdefg"'
LAST_MODIFIED = "Tue, 01 Jul 2025 10:00:00 GMT"
WRITTEN = 1751365000
WRITTEN_DATE = "Tue, 01 Jul 2025 10:16:40 GMT"
CONTENT = bytes(range(256)) * 40
HEADERS = {
    "ETag": ETAG,
    "Last-Modified": LAST_MODIFIED,
    "Repr-Digest": "sha-256=:AAAA:",
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": "attachment; filename*=UTF-8''%C3%A9.csv",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": "f00",
}


async def stand_in(request: web.Request) -> web.StreamResponse:
    """A gateway of three answers: a blob for nginx to send, an echo, a refusal that reads no body."""
    if request.method == "POST":
        refusal = web.json_response({"error": "unauthenticated"}, status=401)
        refusal.force_close()
        return refusal
    if request.path.endswith("/echo"):
        seen = {"path": request.raw_path, "headers": dict(request.headers)}
        return web.json_response(seen)
    accel = {"X-Accel-Redirect": f"{ACCEL}/things/one/{request.path.rpartition('/')[2]}"}
    if "undated" in request.query:
        return web.Response(headers={"ETag": ETAG} | accel)
    return web.Response(headers=HEADERS | accel)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, web.AppRunner]]:
    app = web.Application(client_max_size=1 << 40)
    app.router.add_route("*", "/{path:.*}", stand_in)
    runner = web.AppRunner(app, lingering_time=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}", runner
    finally:
        await runner.cleanup()


@pytest.fixture
async def nginx(tmp_path: Path) -> AsyncIterator[Nginx]:
    folder = tmp_path / "blobs" / "things" / "one"
    folder.mkdir(parents=True)
    (folder / "blob").write_bytes(CONTENT)
    os.utime(folder / "blob", (WRITTEN, WRITTEN))
    (folder / "link").symlink_to("/etc/hostname")
    async with (
        listening() as (upstream, _),
        running_nginx(tmp_path / "nginx", upstream=upstream, blobs=tmp_path / "blobs") as running,
    ):
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def test_the_bytes_are_nginx_s_and_the_headers_the_gateway_s(
    nginx: Nginx, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{nginx.url}/filestore/files/blob") as answer:
        assert await answer.read() == CONTENT
        assert {name: answer.headers.getall(name) for name in HEADERS} == {
            name: [value] for name, value in HEADERS.items()
        }
        assert answer.headers.getall("Accept-Ranges") == ["bytes"]
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        pytest.param({}, 206, CONTENT[5:10], id="no condition"),
        pytest.param({"If-Range": ETAG}, 206, CONTENT[5:10], id="our etag"),
        pytest.param({"If-Range": '"other"'}, 200, CONTENT, id="another etag"),
        pytest.param({"If-Range": f"W/{ETAG}"}, 200, CONTENT, id="a weak etag"),
        pytest.param({"If-Range": LAST_MODIFIED}, 206, CONTENT[5:10], id="our date"),
        pytest.param(
            {"If-Range": "Tue, 01 Jul 2025 10:00:01 GMT"}, 200, CONTENT, id="a later date"
        ),
        pytest.param(
            {"If-Range": "Tue, 01 Jul 2025 09:59:59 GMT"}, 200, CONTENT, id="an earlier date"
        ),
        pytest.param(
            {"If-None-Match": '"other"'}, 206, CONTENT[5:10], id="if-none-match that held"
        ),
        pytest.param(
            {"If-Modified-Since": WRITTEN_DATE}, 206, CONTENT[5:10], id="if-modified-since"
        ),
        pytest.param(
            {"If-None-Match": f'"{WRITTEN:x}-{len(CONTENT):x}"'},
            206,
            CONTENT[5:10],
            id="the etag that nginx would have made",
        ),
        pytest.param({"If-Range": WRITTEN_DATE}, 200, CONTENT, id="the file's own date"),
    ],
)
async def test_nginx_sends_a_range_under_the_gateway_s_validators(
    nginx: Nginx, http: aiohttp.ClientSession, headers: dict[str, str], status: int, body: bytes
) -> None:
    """The file's own time and nginx's own ETag take no part."""
    asked = {"Range": "bytes=5-9", **headers}
    async with http.get(f"{nginx.url}/filestore/files/blob", headers=asked) as answer:
        assert (status, body) == (answer.status, await answer.read())
        assert answer.headers["ETag"] == ETAG
        assert answer.headers["Repr-Digest"] == HEADERS["Repr-Digest"]


async def test_a_date_that_the_gateway_withholds_is_not_made_up(
    nginx: Nginx, http: aiohttp.ClientSession
) -> None:
    """A date of this very second proves nothing, so the gateway leaves it out."""
    asked = {"Range": "bytes=5-9", "If-Range": WRITTEN_DATE}
    async with http.get(f"{nginx.url}/files/blob?undated", headers=asked) as answer:
        assert (answer.status, await answer.read()) == (200, CONTENT)
        assert "Last-Modified" not in answer.headers


async def test_what_a_client_says_about_itself_does_not_reach_the_gateway(
    nginx: Nginx, http: aiohttp.ClientSession
) -> None:
    spoofed = {
        "X-Hasura-User-Id": "1",
        "X-Hasura-Role": "admin",
        "X-Hasura-User-Role": "admin",
        "X-Hasura-Allowed-Roles": "admin",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Prefix": "/evil",
        "X-Filestore-Accel": "/elsewhere/",
        "X-Filestore-Edge": "1700000000.000",
        "X-Filestore-Proxy-Secret": "guess",
        "Forwarded": "for=6.6.6.6",
    }
    url = URL(f"{nginx.url}/filestore/echo?a=%2F", encoded=True)
    async with http.get(url, headers=spoofed) as answer:
        seen = await answer.json()
    assert seen["path"] == "/filestore/echo?a=%2F"
    assert {name: seen["headers"].get(name) for name in spoofed} == {
        "X-Hasura-User-Id": None,
        "X-Hasura-Role": None,
        "X-Hasura-User-Role": None,
        "X-Hasura-Allowed-Roles": None,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": f"127.0.0.1:{nginx.port}",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": None,
        "X-Filestore-Accel": ACCEL,
        "X-Filestore-Edge": None,
        "X-Filestore-Proxy-Secret": None,
        "Forwarded": None,
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "sentence"),
    [
        pytest.param(
            "GET", f"{ACCEL}/things/one/blob", {}, 404, "not found", id="internal location"
        ),
        pytest.param("GET", "/files/..%2f_blobs/things/one/blob", {}, 404, "not found", id="dots"),
        pytest.param(
            "GET", "/filestore/files/absent", {}, 500, "internal server error", id="no blob"
        ),
        pytest.param(
            "GET", "/filestore/files/link", {}, 500, "internal server error", id="symlink"
        ),
        pytest.param("GET", "/metrics", {}, 404, "not found", id="metrics"),
        pytest.param("GET", "/filestore/ready", {}, 404, "not found", id="ready"),
        pytest.param("GET", "/files/%00", {}, 400, "bad request", id="nul"),
        pytest.param("TRACE", "/files/x", {}, 405, "method not allowed", id="trace"),
        pytest.param(
            "GET", "/" + 9000 * "x", {}, 414, "the address is too long", id="long address"
        ),
        pytest.param(
            "GET",
            "/files/x",
            {"A": 9000 * "x"},
            431,
            "the request headers are too large",
            id="long header",
        ),
        pytest.param("POST", "/files", {}, 401, "unauthenticated", id="the gateway's own refusal"),
    ],
)
async def test_every_error_is_json(
    nginx: Nginx, method: str, path: str, headers: dict[str, str], status: int, sentence: str
) -> None:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert (status, {"error": sentence}) == (int(head.split()[1]), json.loads(body))
    assert b"Content-Type: application/json" in head


async def test_a_refusal_before_the_body_was_read_reaches_a_client_that_still_sends(
    nginx: Nginx, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(8 << 20))
    for _ in range(5):
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-s", "-H", "Expect:", "-w", " %{http_code}", "--data-binary", f"@{body}"),
            f"{nginx.url}/filestore/files",
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await curl.communicate()
        assert b'{"error": "unauthenticated"} 401' == answer


async def test_an_upload_reaches_the_gateway_while_it_is_being_sent(nginx: Nginx) -> None:
    """Ten of a thousand bytes are sent; the gateway's answer is here already."""
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    writer.write(b"POST /files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n0123456789")
    assert b"401" in await reader.readline()
    writer.close()


async def test_a_dead_gateway_is_a_502_in_json(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with (
        listening() as (upstream, runner),
        running_nginx(tmp_path / "nginx", upstream=upstream, blobs=tmp_path) as nginx,
    ):
        await runner.cleanup()
        async with http.get(f"{nginx.url}/filestore/files/x") as answer:
            assert (502, {"error": "the gateway is not available"}) == (
                answer.status,
                await answer.json(),
            )


async def test_nginx_has_stopped_when_the_block_ends(tmp_path: Path) -> None:
    async with running_nginx(tmp_path / "nginx", upstream="127.0.0.1:1", blobs=tmp_path) as nginx:
        assert Path(f"/proc/{nginx.pid}").exists()
    assert not Path(f"/proc/{nginx.pid}").exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", nginx.port)


def test_a_deployment_file_that_lost_a_line_is_not_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "deploy"
    changed.mkdir()
    for file in (Path(__file__).parents[2] / "deploy" / "nginx").iterdir():
        (changed / file.name).write_text(file.read_text().replace("listen 80 ", "listen 81 "))
    monkeypatch.setattr("tests.tools.nginx.DEPLOY", changed)
    with pytest.raises(ValueError, match="listen"):
        render(tmp_path / "out", port=1, upstream="x:1", blobs=tmp_path)
