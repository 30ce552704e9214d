"""The raw client reads every framing, and tells a clean end from a broken one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.tools.rawhttp import multipart, raw_connection, reset


@contextlib.asynccontextmanager
async def saying(words: bytes, *, ending: str = "eof") -> AsyncIterator[int]:
    """A server that reads one head, says ``words`` and ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        await writer.drain()
        if ending == "reset":
            reset(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("method", "words", "status", "body"),
    [
        pytest.param(
            "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc", id="length"
        ),
        pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 200, b"", id="head"),
        pytest.param(
            "GET", b"HTTP/1.1 304\r\nContent-Length: 3\r\n\r\n", 304, b"", id="not modified"
        ),
        pytest.param(
            "GET", b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end", id="until close"
        ),
        pytest.param(
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n",
            200,
            b"abc",
            id="chunks",
        ),
        pytest.param(
            "POST",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            201,
            b"",
            id="continue first",
        ),
    ],
)
async def test_an_answer_is_read_by_its_framing(
    method: str, words: bytes, status: int, body: bytes
) -> None:
    async with saying(words) as port, raw_connection(port) as connection:
        answer = await connection.ask(method, "/")
        assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize("ending", ["eof", "reset"])
async def test_the_end_of_a_connection_is_told(ending: str) -> None:
    async with saying(b"", ending=ending) as port, raw_connection(port) as connection:
        await connection.send_head("GET", "/")
        assert (await connection.read_ending())[1] == ending


async def test_a_head_keeps_every_header_and_its_size() -> None:
    words = b"HTTP/1.1 404 Not Found\r\nA: 1\r\na: 2\r\nB: 3\r\n\r\n"
    async with saying(words) as port, raw_connection(port) as connection:
        await connection.send_head("GET", "/")
        head = await connection.read_head()
    assert (head.all("A"), head.one("b"), head.size) == (["1", "2"], "3", len(words))
    assert (head.version, head.status, head.reason) == ("HTTP/1.1", 404, "Not Found")
    with pytest.raises(LookupError):
        head.one("a")


def test_a_form_has_its_length_and_its_frontier() -> None:
    headers, body = multipart([('Content-Disposition: form-data; name="a"', b"1")], boundary="B")
    assert body == b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--\r\n'
    assert headers == (
        ("Content-Type", "multipart/form-data; boundary=B"),
        ("Content-Length", str(len(body))),
    )
