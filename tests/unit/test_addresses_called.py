"""Addresses that others gave us are called as they were written: they may be signed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest

from gateway.http_client import http_client
from gateway.identity.hook import HttpHook
from gateway.messaging.posting import Letter, Poster
from gateway.messaging.records import Delivery, Format
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.file import Scope

WRITTEN = (
    "/hook?sp=%2Ftriggers%2Fmanual%2Frun&sig=a%2Bb%3D%3D",
    "/hook?sig=a+b/c==&x=1&x=2&&y",
    "/%28%29%27()'",
    "/%7E%41~A",
    "/a//b/../c/./d",
    "/%zz%2f%2F",
    "/a;b=c,d@e:f!g$h*i",
    "/?",
    "?a=b",
    "",
)


class Line:
    """The first line of each request that a server on ``port`` gets."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen.append(head.decode().partition("\r\n")[0].split(" ")[1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def called() -> AsyncIterator[tuple[Line, aiohttp.ClientSession]]:
    line = Line()
    server = await asyncio.start_server(line.answer, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    async with server, http_client(aiohttp.TCPConnector(), timeout_seconds=10) as session:
        yield line, session


def expected(written: str) -> str:
    """A path is never empty (RFC 9112 3.2.1), and a question mark without a query is nothing."""
    target = written if written.startswith("/") else f"/{written}"
    return target.removesuffix("?")


@pytest.mark.parametrize("written", WRITTEN)
async def test_a_webhook_is_called_as_it_was_given(written: str) -> None:
    async with called() as (line, session):
        url = f"http://127.0.0.1:{line.port}{written}"
        delivery = Delivery(1, uuid4(), uuid4(), url, Format.JSON, "message", "{}", 0)
        poster = Poster(session)
        letter = await poster.letter(delivery)
        assert isinstance(letter, Letter)
        assert await poster.send(letter) is None
    assert [expected(written)] == line.seen


@pytest.mark.parametrize("written", [*WRITTEN, "/hook?tenant=a%2Fb#part"])
async def test_the_hook_is_called_as_it_was_given(written: str) -> None:
    """With the question behind its own query."""
    principal = Principal(PrincipalKind.THING, "1", "thing")
    access = Access(principal, Action.READ, "x", Scope("things", "1"), "a b&c=d/é?.bin")
    async with called() as (line, session):
        hook = HttpHook(session, f"http://127.0.0.1:{line.port}{written}")
        await hook.ask(hook.question(access))
    bare = written.partition("#")[0]
    target = bare if bare.startswith("/") else f"/{bare}"
    asked = "file_id=a+b%26c%3Dd%2F%C3%A9%3F.bin&file_op=read"
    assert [f"{target}{'&' if '?' in target else '?'}{asked}"] == line.seen
