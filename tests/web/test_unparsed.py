"""What never becomes a request, and clients that leave while they are refused: on both kinds of connection.

Every answer is in the house's form: the API's own words, HTTP/1.1, our Server, an id. No client that leaves
makes a line of warning, however it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from gateway.app import start_server
from tests.tools.deployment import deployment_of
from tests.tools.firmware import Firmware
from tests.tools.gateway import new_database
from tests.tools.inside import open_application
from tests.tools.ports import HOST
from tests.tools.rawhttp import RawConnection, multipart, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = Firmware(90, 3_000_000)
HOSTED = b"Host: gateway.test\r\n"
ADMIN = {"email": "admin@example.com", "password": "correct-horse"}


@dataclass(frozen=True, slots=True)
class Served:
    """A port for each kind of connection, and a thing that has the image."""

    ports: dict[str, int]
    credential: bytes
    user: bytes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Served]:
    """One application, listened for twice: on our connections and on plain ones."""
    folder = tmp_path_factory.mktemp("unparsed")
    database = await new_database(postgres_server, copied=True)
    ports: dict[str, int] = {}
    async with contextlib.AsyncExitStack() as stack:
        for kind, ways in (("ours", "all"), ("plain", "off")):
            settings = {"access_log": True, "fast_ways": ways, "stall_seconds": 5}
            app = await stack.enter_async_context(open_application(folder, database, **settings))
            sock = stack.enter_context(socket.socket())
            sock.bind((HOST, 0))
            ports[kind] = sock.getsockname()[1]
            server = await start_server(app, deployment_of(shutdown_seconds=1, **settings), sock)
            stack.push_async_callback(server.stop)
        yield Served(ports, *await published(f"http://{HOST}:{ports['ours']}"))


async def published(url: str) -> tuple[bytes, bytes]:
    """A user's thing with the image: its credential, and the user's."""
    async with aiohttp.ClientSession() as session:
        await session.post(f"{url}/users", json=ADMIN)
        async with session.post(f"{url}/tokens", json=ADMIN) as said:
            headers = {"Authorization": f"Bearer {(await said.json())['token']}"}
        async with session.post(f"{url}/things", json=[{"name": "a"}], headers=headers) as said:
            key = f"Thing {(await said.json())['things'][0]['key']}"
        kind = {"Authorization": key, "Content-Type": "application/octet-stream"}
        async with session.put(
            f"{url}/files/a.bin", data=io.BytesIO(IMAGE.content), headers=kind
        ) as said:
            assert said.status == 201, await said.text()
        return key.encode(), headers["Authorization"].encode()


@pytest.fixture(params=["ours", "plain"])
def port(request: pytest.FixtureRequest, served: Served) -> int:
    return served.ports[str(request.param)]


MALFORMED = b"bad header\r\n\r\n"
JSON, TEXT, XML = "application/json", "text/plain; charset=utf-8", "application/xml"
MAINFLUX = b'{"error":"malformed request"}'
HASURA = b'{"code":"bad_request","message":"malformed request"}'
LOSANT = b'{"type":"Validation","message":"malformed request"}'
FORM = "multipart/form-data; boundary=x"
MAINFLUX_LARGE = b'{"error":"the file is larger than 17179869184 bytes (GATEWAY_MAX_FILE_BYTES)"}'
GRAVWELL_LARGE = b"the file is larger than 8388608 bytes (GATEWAY_GRAVWELL_MAX_FILE_BYTES)\n"
JSON_LARGE = b'{"error":"the body is larger than 1048576 bytes"}'
S3 = b"<Code>InvalidRequest</Code><Message>malformed request</Message>"


def get(path: bytes, rest: bytes = MALFORMED, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %b %b\r\n%b%b" % (path, version, HOSTED, rest)


CASES = [
    pytest.param(get(b"/files"), 400, JSON, MAINFLUX, id="Mainflux"),
    pytest.param(get(b"/"), 400, JSON, MAINFLUX, id="nobody's path"),
    pytest.param(get(b"/v1/file/x?y=z"), 400, JSON, HASURA, id="Hasura"),
    pytest.param(get(b"/filestore/v1/file"), 400, JSON, HASURA, id="under the prefix"),
    pytest.param(get(b"http://gateway.test/v1/file/x"), 400, JSON, HASURA, id="an absolute address"),
    pytest.param(get(b"/api/files"), 400, TEXT, b"malformed request\n", id="Gravwell"),
    pytest.param(get(b"/applications/1/privateFiles"), 400, JSON, LOSANT, id="Losant"),
    pytest.param(get(b"/private-files"), 400, XML, S3, id="S3"),
    pytest.param(b"FOO /v1/file/x HTTP/1.1\r\n" + HOSTED + b"\r\n", 501, JSON,
                 b'{"code":"bad_request","message":"the method is not known"}', id="an unknown method"),
    pytest.param(b"get /files HTTP/1.1\r\n" + HOSTED + b"\r\n", 501, JSON,
                 b'{"error":"the method is not known"}', id="a method in small letters"),
    pytest.param(get(b"/files", b"\r\n", b"HTTP/2.0"), 505, JSON,
                 b'{"error":"the version of HTTP is not supported"}', id="HTTP/2.0"),
    pytest.param(get(b"/v1/file/x", b"\r\n", b"HTTP/0.9"), 505, JSON,
                 b'"the version of HTTP is not supported"', id="HTTP/0.9"),
    pytest.param(get(b"/api/files", b"\r\n", b"HTTP/3.0"), 505, TEXT,
                 b"the version of HTTP is not supported\n", id="HTTP/3.0"),
    pytest.param(get(b"/api/" + b"a" * 8500, b"\r\n"), 414, TEXT, b"the address is too long\n", id="a long address"),
    pytest.param(get(b"/v1/file?" + b"a" * 30_000, b"\r\n"), 414, JSON, b'"the address is too long"', id="longer"),
    pytest.param(get(b"/api/files", b"X: " + b"a" * 9000 + b"\r\n\r\n"), 431, TEXT,
                 b"the request headers are too large\n", id="a long header"),
    pytest.param(get(b"/files", b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n"), 431, JSON,
                 b'{"error":"the request headers are too large"}', id="many headers"),
    pytest.param(b"GET /v1/file/x HTTP/1.1\r\n\r\n", 400, JSON, HASURA, id="no Host"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, JSON, MAINFLUX, id="TLS"),
    pytest.param(b"\r\n\r\nnonsense\r\n\r\n", 400, JSON, MAINFLUX, id="no request line"),
    pytest.param(b"POST /v1/file HTTP/1.1\r\n" + HOSTED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400, JSON,
                 b'{"code":"bad_request",', id="a broken chunk"),
]  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "status", "content_type", "body"), CASES)
async def test_what_cannot_be_parsed_is_refused_in_the_words_of_its_api(
    port: int, caplog: pytest.LogCaptureFixture,
    request_bytes: bytes, status: int, content_type: str, body: bytes,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    async with raw_connection(port) as raw:
        await raw.send(request_bytes)
        answer = await raw.read_answer()
        assert (await raw.read_ending())[0] == b""
    head = answer.head
    assert (status, "HTTP/1.1", content_type) == (
        head.status,
        head.version,
        head.one("Content-Type"),
    )
    assert body in answer.body
    assert ("filestore-gateway", "close") == (head.one("Server"), head.one("Connection"))
    assert "*" == head.one("Access-Control-Allow-Origin")
    lines = [record for record in caplog.records if record.name == "gateway.request"]
    assert [status] == [record.status for record in lines]  # type: ignore[attr-defined]
    assert re.fullmatch("[0-9a-f]{13,}", head.one("X-Request-Id"))


GOOD = b"GET /health HTTP/1.1\r\n" + HOSTED
FORM_OF_3 = (
    b"POST /tokens HTTP/1.1\r\n"
    + HOSTED
    + b"Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n"
)
IN_CHUNKS = (b"POST /tokens HTTP/1.1\r\n" + HOSTED + b"Content-Type: application/json\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n6\r\n{\r\n\r\n}\r\n0\r\n\r\n")  # fmt: skip
IN_CHUNKS_TWO = IN_CHUNKS.replace(
    b"6\r\n{\r\n\r\n}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nX-A: b\r\n\r\n"
)
BROKEN = IN_CHUNKS.replace(b"6\r\n", b"z\r\n")
SAYS_HASURA = b"GET /v1/file HTTP/1.1\r\n" + HOSTED + MALFORMED
IN_ONE_GO = {
    "a request and rubbish": ([GOOD + b"\r\nr--\r\n"], [200, 400]),
    "a request and one of a method that is none": ([GOOD + b"\r\nr\x00-- / HTTP/1.1\r\n\r\n"], [200, 400]),
    "a request and one with a bad header": ([GOOD + b"\r\n", SAYS_HASURA], [200, 400]),
    "five requests and rubbish": ([GOOD + b"\r\n"] * 5 + [b"\0\r\n\r\n"], [200] * 5 + [400]),
    "thirty requests and rubbish": ([GOOD + b"\r\n"] * 30 + [b"\0\r\n\r\n"], [200] * 30 + [400]),
    "a body and rubbish": ([FORM_OF_3, b"\0\r\n"], [401, 400]),
    "a body, a request and rubbish": ([FORM_OF_3, GOOD + b"\r\n", b"\0\r\n"], [401, 200, 400]),
    "chunks, a request and rubbish": ([IN_CHUNKS, GOOD + b"\r\n", b"\0\r\n"], [401, 200, 400]),
    "chunks with a trailer and rubbish": ([IN_CHUNKS_TWO, b"\0\r\n"], [401, 400]),
    "a request and broken chunks": ([GOOD + b"\r\n", BROKEN], [200, 400]),
    "the connection's last and rubbish": ([GOOD + b"Connection: close\r\n\r\n", b"\0\r\n"], [200]),
    "the last of HTTP/1.0 and rubbish": ([b"GET /health HTTP/1.0\r\n\r\n", b"\0\r\n"], [200]),
    "an empty line, a request and rubbish": ([b"\r\n" + GOOD + b"\r\n", b"\0\r\n"], [200, 400]),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "statuses"), IN_ONE_GO.values(), ids=IN_ONE_GO.keys())
async def test_what_cannot_be_parsed_takes_no_answer_from_who_came_before_it(
    port: int, served: Served, sent: list[bytes], statuses: list[int]
) -> None:
    if port == served.ports["plain"] and b"chunked" in b"".join(sent):
        statuses = statuses[-1:] if b"chunked" in sent[0] else [*statuses[:1], 400]
    async with raw_connection(port) as raw:
        await raw.send(*sent)
        answers = [await raw.read_answer() for _ in statuses]
        assert (b"", "eof") == await raw.read_ending()
    assert statuses == [answer.status for answer in answers]
    if sent[-1] is SAYS_HASURA:
        assert HASURA == answers[-1].body


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([FORM_OF_3[:-3], b"{}\n" + b"\0\r\n"], id="the end of a body"),
        pytest.param(
            [FORM_OF_3[:-3].replace(b": 3", b": 99"), GOOD + b"\r\n", b"\n" * 99 + b"\0\r\n"],
            id="a request that is in a body",
        ),
        pytest.param([GOOD + b"X-A: b", GOOD + b"\r\n\0\r\n"], id="a request that is in a header"),
    ],
)
async def test_only_what_is_known_to_begin_a_request_is_taken_for_one(
    port: int, pieces: list[bytes]
) -> None:
    async with raw_connection(port) as raw:
        for piece in pieces:
            await raw.send(piece)
            await asyncio.sleep(0.02)
        ending, _ = await raw.read_ending()
    assert b"HTTP/1.1 200" not in ending
    assert b"HTTP/1.1 400" in ending


async def test_who_says_1_0_hears_1_0_and_head_has_no_body(port: int) -> None:
    for line, version, rest in (
        (b"GET /files HTTP/1.0", "HTTP/1.0", MAINFLUX),
        (b"HEAD /files HTTP/1.1", "HTTP/1.1", b""),
    ):
        async with raw_connection(port) as raw:
            await raw.send(line, b"\r\n", MALFORMED)
            head = await raw.read_head()
            assert (version, 400) == (head.version, head.status)
            assert "29" == head.one("Content-Length")
            assert (await raw.read_ending())[0] == rest


async def test_a_head_that_comes_in_pieces_is_known_by_its_beginning(served: Served) -> None:
    async with raw_connection(served.ports["ours"]) as raw:
        for piece in (b"GET /v1", b"/file/x HTTP/1.1\r\n", HOSTED, b"bad ", b"header\r\n\r\n"):
            await raw.send(piece)
            await asyncio.sleep(0.01)
        assert HASURA == (await raw.read_answer()).body


async def test_every_answer_has_an_id_and_the_same_is_in_its_line(
    port: int, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Found, not found, refused, a stream, a file whole and in parts, small ranges looked up and known."""
    caplog.set_level(logging.INFO, "gateway.request")
    key = ("Authorization", served.credential.decode())
    seen = []
    async with raw_connection(port) as raw:
        for method, path, more in (
            ("GET", "/health", []),
            ("GET", "/nowhere", []),
            ("GET", "/files", []),
            ("PUT", "/files", [key]),
            ("GET", "/files?limit=0", [key]),
            ("GET", "/files/a.bin", [key]),
            ("HEAD", "/files/a.bin", [key]),
            *[("GET", "/files/a.bin", [key, ("Range", "bytes=0-4095")])] * 3,
            ("GET", "/files/a.bin", [key, ("Range", "bytes=5-2")]),
            ("GET", "/files/a.bin", [key, ("If-None-Match", "*")]),
            ("GET", "/v1/file/x", [("X-Request-Id", "not-a-proxy")]),
        ):
            answer = await raw.ask(method, path, more)
            assert "filestore-gateway" == answer.head.one("Server")
            seen.append(answer.head.one("X-Request-Id"))
    assert len(set(seen)) == len(seen)
    assert "not-a-proxy" not in seen


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body"),
    [
        pytest.param("POST", "/files", FORM, MAINFLUX_LARGE, id="a form"),
        pytest.param("PUT", "/files/b.bin", "application/x-fw", MAINFLUX_LARGE, id="raw"),
        pytest.param("POST", "/api/files", FORM, GRAVWELL_LARGE, id="Gravwell"),
        pytest.param("POST", "/things", JSON, JSON_LARGE, id="JSON"),
    ],
)
async def test_too_large_names_the_limit_and_the_setting(
    served: Served, method: str, path: str, content_type: str, body: bytes
) -> None:
    credential = served.credential if path.startswith("/files") else served.user
    headers = [("Content-Type", content_type), ("Content-Length", "99999999999")]
    async with raw_connection(served.ports["ours"]) as raw:
        answer = await raw.ask(method, path, [("Authorization", credential.decode()), *headers])
    assert (413, body) == (answer.status, answer.body)


@pytest.mark.parametrize("kind", ["binary", "image", "text/plain; charset=", "x y", "a/b;" * 90])
async def test_bytes_of_an_odd_type_are_stored_as_octets(served: Served, kind: str) -> None:
    key, name = ("Authorization", served.credential.decode()), f"odd-{len(kind)}"
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    headers, form = multipart([(f"{disposition}\r\nContent-Type: {kind}", b"bytes")])
    async with raw_connection(served.ports["ours"]) as raw:
        await raw.send_head("POST", "/files", [key, *headers])
        await raw.send(form)
        assert 201 == (await raw.read_answer()).status
        raw_headers = [key, ("Content-Type", kind), ("Content-Length", "5")]
        await raw.send_head("PUT", f"/files/{name}-raw", raw_headers)
        await raw.send(b"bytes")
        assert 201 == (await raw.read_answer()).status
        for stored in (name, f"{name}-raw"):
            head = (await raw.ask("GET", f"/files/{stored}", [key])).head
            assert "application/octet-stream" == head.one("Content-Type")


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked", "x, chunked"])
async def test_what_is_coded_for_the_way_is_not_stored_as_it_came(
    port: int, served: Served, coding: str
) -> None:
    key = ("Authorization", served.credential.decode())
    coded = [key, ("Content-Type", "application/x-fw"), ("Transfer-Encoding", coding)]
    async with raw_connection(port) as raw:
        await raw.send_head("PUT", "/files/coded.bin", coded)
        await raw.send(b"5\r\nbytes\r\n0\r\n\r\n")
        assert 415 == (await raw.read_answer()).status
    async with raw_connection(port) as raw:
        assert 404 == (await raw.ask("GET", "/files/coded.bin", [key])).status


async def leave(raw: RawConnection) -> None:
    """A moment for what was sent to be seen, and away."""
    await asyncio.sleep(0.02)
    raw.reset()


def upload(credential: bytes, *lines: bytes) -> bytes:
    head = b"POST /files HTTP/1.1\r\n" + HOSTED + b"Authorization: %b\r\n" % credential
    kind = b"Content-Type: multipart/form-data; boundary=x\r\n"
    return head + kind + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


LONG, CHUNKED = b"Content-Length: 1000000", b"Transfer-Encoding: chunked"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="cut.bin"\r\n\r\n'
LEAVING = {
    "half a head": [b"POST /files HTTP/1.1\r\nHo"],
    "refused, the body unread": [upload(b"Thing no", LONG) + b"a" * 5000],
    "refused, and more of the body": [upload(b"Thing no", LONG), b"a" * 5000, b"a" * 300_000],
    "refused, then a broken chunk": [upload(b"Thing no", CHUNKED) + b"5\r\naaaaa\r\n", b"zz\r\n"],
    "refused, waiting for 100": [upload(b"Thing no", LONG, b"Expect: 100-continue")],
    "an upload": [upload(b"{key}", LONG) + PART, b"a" * 400_000],
    "an upload in broken chunks": [upload(b"{key}", CHUNKED) + b"5\r\n--x\r\n\r\n", b"zz\r\n"],
    "an upload that waits for 100": [upload(b"{key}", LONG, b"Expect: 100-continue")],
    "a log-in": [b"POST /tokens HTTP/1.1\r\n" + HOSTED + b"Content-Length: 90\r\n\r\n{"],
    "a download": [get(b"/files/a.bin", b"Authorization: {key}\r\n\r\n")],
    "a list": [get(b"/files?limit=0", b"Authorization: {key}\r\n\r\n")],
    "many at once": [get(b"/files/a.bin", b"Authorization: {key}\r\n\r\n") * 5],
    "what cannot be parsed, and more": [get(b"/files"), b"a" * 100_000],
}


@pytest.mark.parametrize("manner", ["reset", "half", "close"])
@pytest.mark.parametrize("pieces", LEAVING.values(), ids=LEAVING.keys())
async def test_a_client_that_leaves_makes_no_warning(
    port: int, served: Served, caplog: pytest.LogCaptureFixture, pieces: list[bytes], manner: str
) -> None:
    caplog.set_level(logging.INFO)
    async with raw_connection(port, receive_buffer=8192) as raw:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await raw.send(piece.replace(b"{key}", served.credential))
                await asyncio.sleep(0.005)
        if manner == "half":
            with contextlib.suppress(OSError, TimeoutError):
                raw.half_close()
                async with asyncio.timeout(0.05):
                    await raw.read_ending()
        if manner != "close":
            await leave(raw)
    await asyncio.sleep(0.03)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [] == [(record.name, record.getMessage(), str(record.exc_info)) for record in told]
