"""Forms over a real socket, written in pieces with a pause between them, and a request behind."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import aiofastnet
import pytest
import uvloop
from aiohttp import web

from gateway.web.server.bypass import LEAST_BYTES
from gateway.web.server.connection import Connection
from gateway.web.server.exchange import received_ahead
from gateway.web.server.options import Options
from tests.tools.forms import (
    CONTENT_TYPE,
    EXAMPLES,
    FILE,
    NAMED,
    Example,
    form,
    part,
    pieces,
    places_around_delimiters,
)
from tests.tools.ports import HOST
from tests.tools.received import Received, received, uploading_app

IMAGE = random.Random(9).randbytes(300)
LINE_BY_LINE = (
    part(FILE, IMAGE)[2:] + b"\r\n--b-0",
    b"\r\nContent-Type: application/json",
    b'\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a":1}\r\n--b-0--\r\n',
)
CODINGS = pytest.mark.parametrize("coding", ["length", "chunked"])


class Server:
    """Reads every form it is sent, and knows how much of it has arrived."""

    def __init__(self) -> None:
        self.read: asyncio.Queue[Received] = asyncio.Queue()
        self._request: web.Request | None = None
        self._begun = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """What was made of the form is queued."""
        self._request = request
        self._begun.set()
        self.read.put_nowait(await received(request))
        return web.Response(text="read")

    async def until(self, count: int) -> None:
        """Wait until so many bytes of the body have come to the process."""
        await self._begun.wait()
        request = self._request
        assert request is not None, "it has begun"
        while request.content.total_bytes + received_ahead(request) < count:
            await asyncio.sleep(0)

    def forget(self) -> None:
        """The next request is another."""
        self._begun.clear()


Talk = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(talk: Talk) -> None:
    """``talk`` on a connection to a server, on the loop that the service runs on."""
    factory = aiofastnet.loop_factory(uvloop.new_event_loop)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(_converse(talk), 60))


async def _converse(talk: Talk) -> None:
    server = Server()
    async with _connection(server.handle) as (reader, writer):
        await talk(server, reader, writer)


@asynccontextmanager
async def _connection(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    app = uploading_app()
    app.router.add_post("/f", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    server = runner.server
    assert server is not None

    def connect() -> Connection:
        return Connection(server, Options(refuse, keepalive_seconds=60))

    listener = await asyncio.get_running_loop().create_server(connect, HOST, 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            yield reader, writer
        finally:
            writer.close()
            await server.shutdown(1)
            await runner.cleanup()


def refuse(*_: object) -> web.Response:
    return web.Response(status=400)


async def post(
    server: Server,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    body: Sequence[bytes],
    *,
    coding: str,
) -> Received:
    """Send a form, each piece once the one before has arrived; a whole request follows the last."""
    size, chunked = sum(map(len, body)), coding == "chunked"
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    behind = head("Content-Length: 8") + b"--b-0--\n"
    writer.write(head(framing))
    await server.until(0)  # so that a large body is past the parser from its first byte
    sent = 0
    for piece in body[:-1]:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        sent += len(piece)
        await server.until(sent)
    last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body[-1]), body[-1]) if chunked else body[-1]
    writer.write(last + behind)
    assert b"read" in await response(reader)
    server.forget()
    first = await server.read.get()
    assert b"read" in await response(reader)
    server.forget()
    assert Received(fault="missing part: file") == await server.read.get()
    return first


def head(framing: str) -> bytes:
    return (
        f"POST /f HTTP/1.1\r\nHost: h\r\nContent-Type: {CONTENT_TYPE}\r\n{framing}\r\n\r\n".encode()
    )


async def response(reader: asyncio.StreamReader) -> bytes:
    answer = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in answer.split(b"\r\n")[1:] if line)
    return await reader.readexactly(int(fields[b"Content-Length"]))


@CODINGS
def test_a_form_that_is_written_line_by_line_has_no_line_in_its_file(coding: str) -> None:
    """The three writes that once gave a file of 332 bytes, and no metadata."""

    async def talk(server: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        got = await post(server, r, w, LINE_BY_LINE, coding=coding)
        assert Received({"metadata": '{"a":1}'}, IMAGE) == got

    run(talk)


@CODINGS
@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if not e.fault], ids=lambda example: example.name
)
def test_no_pause_within_a_form_changes_it(example: Example, coding: str) -> None:
    """A pause at every place around a delimiter, and a second one a little later."""
    body = example.body
    places = places_around_delimiters(body)

    async def talk(server: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        whole = await post(server, r, w, [body], coding=coding)
        for first, later in itertools.product(places, (0, 3)):
            if first + later < len(body):
                cuts = {first, first + later}
                got = await post(server, r, w, pieces(body, sorted(cuts)), coding=coding)
                assert whole == got, cuts

    run(talk)


@pytest.mark.parametrize("shift", range(-14, 12))
def test_no_piece_past_the_parser_ends_within_a_delimiter_unnoticed(shift: int) -> None:
    """Large enough to be received in pieces that are not the sender's; some end at a delimiter."""
    first = part(FILE, b"")[2:]
    ends_of_pieces = 16 * 1024 + 32 * 1024 + 64 * 1024 + 64 * 1024 + 64 * 1024 + 64 * 1024
    image = random.Random(7).randbytes(ends_of_pieces - len(first) + shift)
    body = form(part(FILE, image), part(NAMED.format("z"), b"two"))
    assert len(body) > LEAST_BYTES

    async def talk(server: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        for sent in (len(body) - 10, len(first) + len(image) + 8):
            got = await post(server, r, w, pieces(body, [0, sent]), coding="length")
            assert Received({"z": "two"}, image) == got

    run(talk)
