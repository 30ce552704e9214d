"""Whatever is missing of aiohttp's inside: the service says so once, and serves plainly."""

from __future__ import annotations

import ast
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiofastnet
import aiohttp
import aiohttp.http_parser
import aiohttp.streams
import aiohttp.web_protocol
import pytest
from aiohttp import web

from gateway.web.server import bodies, inside
from gateway.web.server.connection import Connection
from gateway.web.server.inside import HABITS, PARTS, Part, lacking
from gateway.web.server.listen import listen
from gateway.web.server.options import Options
from gateway.web.server.plain import PlainConnection
from tests.tools.ports import HOST

KIND = web.AppKey("kind", list[type])


async def handle(request: web.Request) -> web.StreamResponse:
    """Answers with what was sent."""
    request.app[KIND].append(type(request.protocol))
    return web.Response(body=await request.read())


@asynccontextmanager
async def served(*, plain: bool = False) -> AsyncIterator[tuple[str, list[type]]]:
    """The URL of a server, and the kinds of connection that its requests came over."""
    app, kinds = web.Application(), list[type]()
    app[KIND] = kinds
    app.router.add_route("*", "/", handle)
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
        options = Options(lambda *_: web.Response(status=400), keepalive_seconds=5)
        server = await listen(app, sock, options, shutdown_seconds=1, plain=plain)
        try:
            yield f"http://{HOST}:{port}/", kinds
        finally:
            await server.stop()


async def check_served(url: str) -> None:
    """Requests with and without a body, on one connection."""
    body = bytes(400_000)
    async with aiohttp.ClientSession() as session:
        for sent in (b"", body, b"x"):
            async with session.put(url, data=sent) as response:
                assert sent == await response.read()


async def test_all_is_there_and_ours_are_the_connections() -> None:
    assert [] == lacking()
    async with served() as (url, kinds):
        await check_served(url)
    assert {Connection} == set(kinds)


async def test_plain_connections_can_be_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    async with served(plain=True) as (url, kinds):
        await check_served(url)
    assert {PlainConnection} == set(kinds)
    assert [] == warnings(caplog)


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


async def check_fallen_back(named: str, caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (url, kinds):
        await check_served(url)
    [warning] = warnings(caplog)
    assert named in warning.__dict__["lacking"]
    assert {PlainConnection} == set(kinds)


@pytest.mark.parametrize("part", PARTS, ids=str)
async def test_a_part_that_is_missing_is_named_and_not_needed(
    part: Part, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looked_up: dict[int, str] = {}
    specimen, look_up = inside._specimen, inside.look_up

    def made(name: str) -> object:
        found = specimen(name)
        looked_up[id(found)] = name
        return found

    def without(found: object, name: str) -> object:
        hidden = (looked_up[id(found)], name) == (part.specimen, part.name)
        return inside.ABSENT if hidden else look_up(found, name)

    monkeypatch.setattr(inside, "_specimen", made)
    monkeypatch.setattr(inside, "look_up", without)
    await check_fallen_back(str(part), caplog)


@pytest.mark.parametrize("part", [part for part in PARTS if part.kind is not object], ids=str)
async def test_a_part_of_another_kind_is_named(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = inside.look_up

    def other(found: object, name: str) -> object:
        return Ellipsis if name == part.name else look_up(found, name)

    monkeypatch.setattr(inside, "look_up", other)
    assert str(part) in lacking()


def without_option(right: Callable[..., None]) -> Callable[..., None]:
    def init(self: object, *arguments: Any, lingering_time: float = 10.0, **named: Any) -> None:
        del lingering_time
        right(self, *arguments, **named)

    return init


def other_parser(connection: object, loop: object, limit: int) -> object:
    raise TypeError(f"no such signature: {connection} {loop} {limit}")


class Unlike:
    """A response that does not know ``_eof_sent`` any more."""

    prepared = False
    keep_alive = False


BREAKS: dict[str, tuple[object, str, object]] = {
    "the options of a connection are applied": (
        *(web.RequestHandler, "__init__"),
        without_option(web.RequestHandler.__init__),
    ),
    "the parser's constructor and what it hands out": (bodies, "HttpRequestParser", other_parser),
    "no body is one known object": (aiohttp.streams, "EMPTY_PAYLOAD", object()),
    "a body takes bytes of any kind": (aiohttp.streams.StreamReader, "feed_data", None),
    "a request can be made the connection's last": (inside, "_parsed", None),
    "a response can be declared sent": (web, "StreamResponse", Unlike),
    "a transport asks where bytes are to go": (
        *(aiofastnet, "aiofn_is_buffered_protocol"),
        lambda _: False,
    ),
}


@pytest.mark.parametrize("habit", HABITS)
async def test_a_habit_that_has_changed_is_named(
    habit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*BREAKS[habit])
    assert habit in lacking()


@pytest.mark.parametrize("habit", HABITS)
async def test_a_habit_that_has_changed_is_not_needed(
    habit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inside, "HABITS", {**HABITS, habit: lambda: False})
    await check_fallen_back(habit, caplog)


def test_a_fresh_process_without_the_names_serves() -> None:
    """Nothing that plain serving imports may need them, not even while it is imported."""
    script = (
        "import asyncio, aiohttp.web, aiohttp.http_parser, aiohttp.streams, aiofastnet\n"
        "del aiohttp.http_parser.RawRequestMessage, aiohttp.streams.EMPTY_PAYLOAD\n"
        "del aiofastnet.Transport, aiofastnet.connect_accepted_socket\n"
        "from gateway import app\n"
        "from gateway.web.server.listen import safe_kind\n"
        "async def main():\n"
        "    print(safe_kind().__name__)\n"
        "asyncio.run(main())\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert ("PlainConnection\n", 0) == (finished.stdout, finished.returncode), finished.stderr
    assert 1 == finished.stderr.count("is not known")


def names_given(tree: ast.AST) -> set[str]:
    """Names of functions and variables, slots, and what an ``__init__`` gives its object."""
    given = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                given.add(name)
                if name == "__init__":
                    given |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            case ast.Name(id=name, ctx=ast.Store()):
                given.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")]):
                given |= {str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return given


def test_every_private_name_of_the_package_is_listed() -> None:
    """What it touches and does not give is aiohttp's, and must be looked for at start."""
    folder = Path(inside.__file__).parent
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")]
    given = set[str]().union(*map(names_given, trees))
    names = {n.attr for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    touched = {name for name in names if name.startswith("_") and not name.startswith("__")}
    assert "_messages" in touched - given
    assert set() == touched - given - {part.name for part in PARTS}
