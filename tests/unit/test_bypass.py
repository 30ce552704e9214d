"""Large bodies over a real socket: received past aiohttp's parser, and nobody can tell."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiofastnet
import pytest
import uvloop
from aiohttp import web

from gateway.web.server.bypass import LEAST_BYTES
from gateway.web.server.connection import Connection
from gateway.web.server.options import Options
from tests.tools.ports import HOST
from tests.tools.waiting import PATIENCE_SECONDS

MIB = 1024 * 1024
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def word(*_: object) -> web.Response:
    return web.Response(status=400)


def head(method: str, length: int) -> bytes:
    return (
        f"{method} /f HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {length}\r\n\r\n".encode()
    )


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def run(main: Coroutine[Any, Any, None]) -> None:
    """On the loop that the service runs on."""
    factory = aiofastnet.loop_factory(uvloop.new_event_loop)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(main, 60))


async def converse(handler: Handler, client: Client) -> None:
    """``client`` on a connection to a server of ``handler``."""
    server = web.Server(handler)

    def connect() -> Connection:
        return Connection(server, Options(word, keepalive_seconds=60))

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(connect, HOST, 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            await client(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            await server.shutdown(1)


async def read_answer(reader: asyncio.StreamReader) -> str:
    """The body of a response."""
    answer = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in answer.split(b"\r\n")[1:] if line)
    return (await reader.readexactly(int(fields[b"Content-Length"]))).decode()


def tell(digests: list[str], kinds: set[type]) -> Handler:
    """Answers with the digest of what it got."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        digest = hashlib.sha256()
        while chunk := (await request.content.readchunk())[0]:
            kinds.add(type(chunk))
            digest.update(chunk)
        digests.append(digest.hexdigest())
        return web.Response(text=digest.hexdigest())

    return handler


@pytest.mark.parametrize("size", [0, 1, LEAST_BYTES - 1, LEAST_BYTES, MIB + 1, 3 * MIB + 17])
@pytest.mark.parametrize("seed", range(3))
def test_requests_in_a_row_have_their_own_bodies(size: int, seed: int) -> None:
    """Sent in one go with the next requests behind them, cut anywhere."""
    bodies = [content(size), content(5), content(size + seed), b""]
    stream = b"".join(head("PUT", len(body)) + body for body in bodies)
    pick, digests, kinds = random.Random(seed), list[str](), set[type]()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send() -> None:
            start = 0
            while start < len(stream):
                end = start + pick.choice([1, 1000, 70_000, 300_000, MIB])
                writer.write(stream[start:end])
                await writer.drain()
                start = end

        sending = asyncio.create_task(send())
        for body in bodies:
            assert await read_answer(reader) == hashlib.sha256(body).hexdigest()
        await sending

    run(converse(tell(digests, kinds), client))
    assert (bytearray in kinds) == (size > MIB), (
        "the large ones, and only those, go past the parser"
    )


def test_a_body_that_nobody_reads_does_not_cost_the_connection() -> None:
    """aiohttp swallows it for a while, wherever it is received."""

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="no")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(head("PUT", 2 * MIB) + content(2 * MIB))
            assert await read_answer(reader) == "no"
            await writer.drain()

    run(converse(handler, client))


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("sent", [10, 100_000, MIB, 2 * MIB - 1])
def test_a_body_that_is_cut_fails_for_its_reader(sent: int, *, reset: bool) -> None:
    ends = list[str]()

    async def scenario() -> None:
        ended = asyncio.Event()

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            try:
                while (await request.content.readchunk())[0]:
                    pass
                ends.append("whole")
            except ConnectionError:
                ends.append("cut")
            ended.set()
            return web.Response()

        async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(head("PUT", 2 * MIB) + content(2 * MIB)[:sent])
            await writer.drain()
            if reset:
                writer.transport.abort()
            else:
                sock: socket.socket = writer.get_extra_info("socket")
                sock.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)

        await converse(handler, client)

    run(scenario())
    assert ends == ["cut"]


def test_a_reset_that_comes_in_one_moment_with_bytes_ends_the_body() -> None:
    """The loop hands over the bytes and stops looking, so the connection has to."""
    ends = list[str]()

    async def scenario() -> None:
        ended = asyncio.Event()

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            try:
                await request.content.read()
            except ConnectionError:
                ends.append("cut")
            ended.set()
            return web.Response()

        async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(head("PUT", 2 * MIB) + content(1000))
            await asyncio.sleep(0.05)
            descriptor = os.dup(writer.get_extra_info("socket").fileno())
            writer.transport.abort()
            await asyncio.sleep(0.05)
            with socket.socket(fileno=descriptor) as sock:  # the last of it: closing it resets
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.send(content(1000))
            await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)

        await converse(handler, client)

    run(scenario())
    assert ends == ["cut"]


def test_what_came_of_a_slow_body_is_known_before_its_piece_is_full() -> None:
    """Or a device that sends little by little would count as one that sends nothing."""
    known = list[int]()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        while request.content.total_bytes < MIB:
            known.append(request.content.total_bytes + connection.received_ahead)
            await asyncio.sleep(0.01)
        await request.content.read()
        return web.Response(text="done")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = content(MIB)
        writer.write(head("PUT", MIB))
        for start in range(0, 100_000, 1000):
            writer.write(body[start : start + 1000])
            await asyncio.sleep(0.005)
        writer.write(body[100_000:])
        assert await read_answer(reader) == "done"

    async def patient(request: web.BaseRequest) -> web.StreamResponse:
        request.content.set_read_chunk_size(MIB)
        return await handler(request)

    run(converse(patient, client))
    assert len(set(known)) > 10
    assert known == sorted(known)
