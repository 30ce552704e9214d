"""A store that misbehaves: a proxy before a real one, which does to requests what the test has planned.

Requests pass with their own headers and host, so their signatures hold. A plan is a list: each request of
its verb takes the next fault off it; when the list is over, requests pass. What a fault names as the verb is the
method, and ``PART``, ``BEGIN`` and ``COMPLETE`` are those of an upload of parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import defaultdict
from collections.abc import AsyncIterator
from enum import Enum, auto

import aiohttp
import obstore
from aiohttp import web
from yarl import URL

from tests.tools.ports import HOST
from tests.tools.s3store import BUCKET
from tests.tools.seaweed import Engine

_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length", "date", "server"}
_MOST_BYTES = 64 * 1024 * 1024


class Fault(Enum):
    """What happens to a request."""

    UNAVAILABLE = auto()
    """503, and nothing is done."""
    REFUSED = auto()
    """403, as for a signature that is over."""
    FULL = auto()
    """507 with the error of a store without room."""
    LOST_ANSWER = auto()
    """It is done, and the connection ends without a word."""
    HALF_STORED = auto()
    """Half of the body becomes the object, and the answer is 200."""
    OTHER_STORED = auto()
    """As many other bytes become the object, and the answer is 200."""
    HALF_BODY = auto()
    """The answer breaks off half-way through its body."""
    SILENT = auto()
    """No answer comes."""
    ACCEPTED = auto()
    """200, and nothing is done."""


class FaultyStore:
    """A running proxy; ``seen`` are the verbs of the requests that came, in order."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.endpoint = ""
        self.plan: defaultdict[str, list[Fault]] = defaultdict(list)
        self.always: dict[str, Fault] = {}
        self.probes_pass = False
        """Whether what a gateway tries when it starts is spared."""
        self.lenient = False
        """Whether an object with a wrong checksum is taken, as by stores that look at none."""
        self.seen: list[str] = []
        self.ranges: list[str] = []
        self.lifetimes: list[str] = []
        self._ended = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        verb = _verb_of(request)
        self.seen.append(verb)
        if verb == "GET":
            self.ranges.append(request.headers.get("Range", ""))
            self.lifetimes.append(request.query.get("X-Amz-Expires", ""))
        body = await request.read()
        fault = self.plan[verb].pop(0) if self.plan[verb] else self.always.get(verb)
        if self.probes_pass and "/probe/" in request.path:
            return await self._pass(request, body, None)
        if self.lenient and request.path.endswith("-wrong"):
            return web.Response(headers={"ETag": '"0"'})
        if fault is Fault.SILENT:
            await self._ended.wait()
        if fault is Fault.UNAVAILABLE or fault is Fault.SILENT:
            return web.Response(status=503, text="<Error><Code>SlowDown</Code></Error>")
        if fault is Fault.REFUSED:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        if fault is Fault.FULL:
            return web.Response(status=507, text="<Error><Code>InsufficientStorage</Code></Error>")
        if fault is Fault.ACCEPTED:
            return web.Response(headers={"ETag": '"0"'})
        if fault in {Fault.HALF_STORED, Fault.OTHER_STORED}:
            await self._store(request, body, half=fault is Fault.HALF_STORED)
            return web.Response(headers={"ETag": '"0"'})
        return await self._pass(request, body, fault)

    async def _store(self, request: web.Request, body: bytes, *, half: bool) -> None:
        key = request.path.removeprefix(f"/{BUCKET}/")
        stored = body[: len(body) // 2] if half else bytes(len(body))
        await obstore.put_async(self.engine.client(BUCKET), key, stored)

    async def _pass(
        self, request: web.Request, body: bytes, fault: Fault | None
    ) -> web.StreamResponse:
        assert self._session is not None
        url = URL(self.engine.endpoint + request.raw_path, encoded=True)
        headers = {n: v for n, v in request.headers.items() if n.lower() not in _HOP}
        async with self._session.request(
            request.method, url, headers=headers, data=io.BytesIO(body), allow_redirects=False
        ) as answer:
            content = await answer.read()
            if fault is Fault.LOST_ANSWER:
                assert request.transport is not None
                request.transport.abort()
                raise web.HTTPInternalServerError
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    response.headers.add(name, value)
            response.content_length = int(answer.headers.get("Content-Length", len(content)))
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            await response.write(content[: len(content) // 2] if fault else content)
            if fault is Fault.HALF_BODY:
                assert request.transport is not None
                request.transport.close()
                return response
            return response


def _verb_of(request: web.Request) -> str:
    if "uploads" in request.query:
        return "BEGIN" if request.method == "POST" else "UPLOADS"
    if "partNumber" in request.query:
        return "PART"
    if "uploadId" in request.query:
        return "COMPLETE" if request.method == "POST" else "ABORT"
    return "LIST" if "list-type" in request.query else request.method


@contextlib.asynccontextmanager
async def running_faultystore(engine: Engine) -> AsyncIterator[FaultyStore]:
    """A proxy before the store; what it was told is forgotten when the block ends."""
    store = FaultyStore(engine)
    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_route("*", "/{any:.*}", store.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    store.endpoint = f"http://{host}:{port}"
    async with aiohttp.ClientSession(auto_decompress=False) as store._session:
        try:
            yield store
        finally:
            store._ended.set()
            await runner.cleanup()
