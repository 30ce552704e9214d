"""Whole requests of every API, damaged anywhere, over a socket: no 5xx.

Rule: a good request that closes the connection is sent behind each, so that mostly there is an end. Where the damage lets
the gateway wait for more, the client leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp

from gateway.app import start_server
from gateway.database.pool import open_database
from gateway.identity.rows.users import make_admin
from tests.fuzz.damage import damaged
from tests.tools.deployment import deployment_of, sql_folders
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import cheap_hash, open_application
from tests.tools.mainflux import sign_in
from tests.tools.ports import HOST
from tests.tools.rawhttp import raw_connection

WAIT_SECONDS = 1.0
LIFE_SECONDS = 60.0
AT_ONCE = 50  # so that a gateway on a busy machine, too, answers each before its client leaves
LAST = b"GET /health HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"
NOT_SUPPORTED = (501, 505)
FORM = (
    b'--b-0\r\nContent-Disposition: form-data; name="file"; filename="f%d.bin"\r\n'
    b"Content-Type: application/x-fw\r\n\r\nbytes\r\n--b-0--\r\n"
)
JSON = b"Content-Type: application/json\r\n"
MULTIPART = b"Content-Type: multipart/form-data; boundary=b-0\r\n"
TRUSTED = b"X-Hasura-User-Id: 7\r\nX-Hasura-Role: admin\r\n"
REQUESTS: Sequence[tuple[bytes, bytes, bytes]] = (
    (b"GET /files?limit=5&offset=0&order=name&dir=asc", b"{key}", b""),
    (b"GET /files/f1.bin", b"{key}Range: bytes=0-1,3-4\r\nIf-Range: \"x\"\r\n", b""),
    (b"HEAD /files/f1.bin", b"{key}If-None-Match: \"x\", W/\"y\"\r\n", b""),
    (b"POST /files", b"{key}" + MULTIPART, FORM),
    (b"PUT /files/f1.bin", b"{key}" + MULTIPART, FORM),
    (b"PUT /files/f2.bin", b"{key}Content-Type: a/b\r\nContent-Digest: sha-256=:AAAA:\r\n", b"bytes"),
    (b"PUT /files/f1.bin", b"{key}" + JSON, b'{"metadata":{"a":1}}'),
    (b"DELETE /files/f%%31.bin", b"{key}If-Match: *\r\n", b""),
    (b"POST /tokens", JSON, b'{"email":"a@b.example","password":"correct"}'),
    (b"POST /things", b"{token}" + JSON, b'[{"name":"a","metadata":{"b":[1]}}]'),
    (b"GET /things?limit=3&metadata=%%7B%%7D", b"{token}", b""),
    (b"POST /groups", b"{token}" + JSON, b'{"name":"g","metadata":{}}'),
    (b"POST /channels", b"{token}" + JSON, b'[{"name":"c"}]'),
    (b"PUT /v1/file/h%d", TRUSTED + b"Content-Type: a/b\r\n", b"bytes"),
    (b"GET /v1/file/h1", TRUSTED + b"X-Hasura-Filestore-Range: bytes=0-1\r\n", b""),
    (b"POST /v1/file", TRUSTED + MULTIPART, FORM),
    (b"POST /api/files", b"{token}" + MULTIPART, FORM),
    (b"GET /api/files?admin=true", b"{token}", b""),
    (b"GET /api/files/00000000-0000-0000-0000-000000000001/details", b"{token}", b""),
    (b"POST /applications", b"{token}" + JSON, b'{"name":"plant"}'),
    (b"GET /applications?filterField=name&filter=a*&perPage=2", b"{token}", b""),
    (b"POST /private-files", MULTIPART, FORM.replace(b'name="file"', b'name="key"')),
    (b"POST /webhooks/{thing}", b"{token}" + JSON, b'{"url":"https://a.example/b","headers":{"X":"y"}}'),
    (b"GET /health", b"Authorization: Basic YTpi\r\nOrigin: http://a.example\r\n", b""),
    (b"OPTIONS /files", b"Origin: http://a.example\r\nAccess-Control-Request-Method: PUT\r\n", b""),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway of our own connections, in this process, and somebody's credentials."""

    port: int
    words: dict[bytes, bytes]

    def good(self) -> list[bytes]:
        """Every request as it should be."""
        return [self._wire(*request) for request in REQUESTS]

    def _wire(self, line: bytes, fields: bytes, body: bytes) -> bytes:
        body = body.replace(b"%d", b"1")
        sized = b"Content-Length: %d\r\n" % len(body) if body else b""
        head = (
            line.replace(b"%d", b"1").replace(b"%%", b"%") + b" HTTP/1.1\r\nHost: gateway.test\r\n"
        )
        text = head + fields + sized + b"\r\n" + body
        for word, meant in self.words.items():
            text = text.replace(word, meant)
        return text


async def ask(port: int, text: bytes, patience: float = WAIT_SECONDS) -> Counter[str]:
    """How often each status was answered, within ``patience`` seconds each. Raises ``AssertionError`` for a 5xx."""
    seen = Counter[str]()
    method = text.lstrip().partition(b" ")[0].decode("latin-1")
    async with raw_connection(port) as connection:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            await connection.send(text, LAST)
            while True:
                async with asyncio.timeout(patience):
                    head = await connection.read_head()
                    await connection.read_body(head, method=method)
                assert head.status < 500 or head.status in NOT_SUPPORTED, (head.status, text)
                seen[str(head.status)] += 1
                method = "GET"
        connection.reset()
    return seen


async def fuzz_requests(listening: Listening, pick: random.Random, count: int) -> Counter[str]:
    """Send so many, several at once; how often each status was answered."""
    good = listening.good()
    texts = [damaged(pick, pick.choice(good), good) for _ in range(count)]
    room = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(text: bytes) -> Counter[str]:
        async with room:
            return await ask(listening.port, text)

    answers = await asyncio.gather(*map(ask_in_turn, texts))
    living = await ask(listening.port, b"", LIFE_SECONDS)
    assert living == Counter({"200": 1}), "it is still there"
    return sum(answers, Counter[str]())


@contextlib.asynccontextmanager
async def listening(folder: Path, database_url: str) -> AsyncIterator[Listening]:
    """It has ended with the block."""
    async with open_database(database_url, sql_folders()) as database:
        await make_admin(database, uuid4(), ADMIN_EMAIL, cheap_hash(ADMIN_PASSWORD))
    settings: dict[str, object] = {"trusted_proxies": (f"{HOST}/32",), "several_ranges": True}
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(open_application(folder, database_url, **settings))
        sock = stack.enter_context(socket.socket())
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
        server = await start_server(app, deployment_of(shutdown_seconds=1, **settings), sock)
        stack.push_async_callback(server.stop)
        async with aiohttp.ClientSession() as session:
            user = await sign_in(session, f"http://{HOST}:{port}")
            thing = await user.thing()
        yield Listening(
            port,
            {
                b"{key}": b"Authorization: Thing %b\r\n" % thing.key.encode(),
                b"{token}": b"Authorization: Bearer %b\r\n" % user.token.encode(),
                b"{thing}": thing.id.encode(),
            },
        )
