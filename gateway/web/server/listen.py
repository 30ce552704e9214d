"""The HTTP server: aiohttp's, with its options really applied and its refusals worded.

aiohttp drops every option of a connection, with no more than a warning, if one of them is
unknown to it; so connections are made here, where a wrong option is an error.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Final

import aiohttp.http_parser
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.model.errors import Failure
from gateway.web.server.connection import (
    LINGERING_SECONDS,
    READ_BUFFER_BYTES,
    Connection,
    Word,
)
from gateway.web.server.exchange import SendAtOnce

_BACKLOG: Final = 4096


@dataclass(slots=True)
class HttpServer:
    """A listening application."""

    runner: web.AppRunner
    listener: asyncio.Server

    async def stop(self) -> None:
        """Accept nothing more, let requests under way finish, then close."""
        self.listener.close()
        await self.runner.cleanup()


async def listen(
    app: web.Application,
    sock: socket.socket,
    word: Word,
    *,
    keepalive_seconds: float,
    shutdown_seconds: float,
    send_at_once: SendAtOnce | None = None,
    past_parser: bool = True,
) -> HttpServer:
    """Serve ``app`` on ``sock``; ``past_parser`` lets large bodies be received past aiohttp's.

    Raises ``Failure`` if aiohttp is not what we rely on.
    """
    check_parser()
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    server = runner.server
    assert server is not None, "set up"

    def connect() -> Connection:
        return Connection(
            server,
            word,
            keepalive_seconds=keepalive_seconds,
            send_at_once=send_at_once,
            past_parser=past_parser,
        )

    check_connection(connect(), keepalive_seconds=keepalive_seconds)
    loop = asyncio.get_running_loop()
    return HttpServer(runner, await loop.create_server(connect, sock=sock, backlog=_BACKLOG))


def check_parser() -> None:
    """Raise ``Failure`` if HTTP would be parsed in Python, which differs from the C parser."""
    if aiohttp.http_parser.HttpRequestParser is aiohttp.http_parser.HttpRequestParserPy:
        raise Failure("aiohttp's C parser is missing; install a wheel that has it")


def check_connection(connection: RequestHandler, *, keepalive_seconds: float) -> None:
    """Raise ``Failure`` unless a live connection has the options it was given."""
    applied = {
        "_keepalive_timeout": keepalive_seconds,
        "_lingering_time": LINGERING_SECONDS,
        "_read_bufsize": READ_BUFFER_BYTES,
        "access_log": None,
    }
    for name, value in applied.items():
        if getattr(connection, name) != value:
            raise Failure(f"the server option {name} was not applied")
