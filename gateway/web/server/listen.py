"""The HTTP server: aiohttp's application on connections of ours, or plain ones.

Theory of operation. ``AppRunner`` prepares the application and its ``web.Server``, which knows the
open connections and ends them. What aiohttp calls a site is left out: it would make connections
whose options are dropped, with no more than a warning, if one of them is unknown; here they are
made by hand. Of which kind they are is decided once, before the first: ``inside`` is asked.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import aiofastnet
from aiohttp import http_parser, web

from gateway.model.errors import StartupFailed
from gateway.web.server import inside
from gateway.web.server.acceptor import Acceptor, Connect, ceiling_of, descriptor_limit
from gateway.web.server.options import Options
from gateway.web.server.peers import PeerCount, most_of
from gateway.web.server.plain import DocumentedConnection, PlainConnection
from gateway.web.server.stop import MOMENT_SECONDS, Stop

_HANDSHAKE_SECONDS: Final = 10.0
_LAST_SECONDS: Final = 1.0
"""For a response whose time is over and that is nearly written."""

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class HttpServer:
    """A listening application."""

    runner: web.AppRunner
    acceptor: Acceptor
    stopping: Stop
    seconds: float

    async def stop(self) -> None:
        """Let nobody in but who waits already; serve who is there; then close."""
        loop = asyncio.get_running_loop()
        end, self.stopping.told = loop.time() + self.seconds, True
        await self.acceptor.finish(min(self.seconds, MOMENT_SECONDS))
        await self.stopping.settle(end - loop.time())
        if self.runner.server is not None:
            self.runner.server.pre_shutdown()
            await self.runner.server.shutdown(max(_LAST_SECONDS, end - loop.time()))
        await self.runner.cleanup()

    async def cut(self) -> None:
        """End every connection now."""
        if self.runner.server is not None:
            await self.runner.server.shutdown(0)


async def listen(
    app: web.Application,
    sock: socket.socket,
    options: Options,
    *,
    shutdown_seconds: float,
    plain: bool = False,
    most_of_one_address: int = 0,
    is_proxy: Callable[[str], bool] = lambda _: False,
    tls: Callable[[], ssl.SSLContext | None] = lambda: None,
) -> HttpServer:
    """Serve ``app`` on ``sock``, on ``plain`` connections if told so or if ours are not safe.

    ``tls`` says for each connection what to speak TLS with on it, if anything.

    An address has at most so many connections (0: three quarters of those that there are
    descriptors for), unless it ``is_proxy``. Raises ``StartupFailed`` if HTTP cannot be served as
    it must be, or descriptors are too few.
    """
    check_parser()
    ceiling = ceiling_of(descriptor_limit())
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    server = runner.server
    assert server is not None, "set up"
    kind = PlainConnection if plain else safe_kind()
    peers = PeerCount(most_of_one_address or most_of(ceiling), is_proxy)
    options = replace(options, on_change=_telling(peers, options.on_change))
    connector = _connector(server, kind, options, tls)
    acceptor = Acceptor(sock, connector, ceiling=ceiling, peers=peers)
    acceptor.start()
    return HttpServer(runner, acceptor, options.stop, shutdown_seconds)


def _telling(peers: PeerCount, others: Callable[[str, int], object]) -> Callable[[str, int], None]:
    """Tells ``others`` of beginning and end, and ``peers``, who admitted it, of the end."""

    def told(peer: str, by: int) -> None:
        others(peer, by)
        if by < 0:
            peers.leave(peer)

    return told


def safe_kind() -> type[DocumentedConnection]:
    """Our connections if everything they rely on is there; else plain ones, and a warning."""
    lacking = inside.lacking()
    if not lacking:
        # Not before: where something is missing, this import may fail.
        from gateway.web.server.connection import Connection

        return Connection
    _log.warning(
        "serving plainly, for this release of aiohttp or aiofastnet is not known",
        extra={"lacking": lacking},
    )
    return PlainConnection


def _connector(
    server: web.Server,
    kind: type[DocumentedConnection],
    options: Options,
    tls: Callable[[], ssl.SSLContext | None],
) -> Connect:
    """Makes a connection of an accepted socket, on aiofastnet's transport where there is one.

    With TLS it is done when the handshake is.
    """
    loop = asyncio.get_running_loop()
    fast = getattr(aiofastnet, "connect_accepted_socket", None)

    def protocol() -> DocumentedConnection:
        return kind(server, options)

    def connect(accepted: socket.socket) -> Awaitable[object]:
        context = tls()
        limit = None if context is None else _HANDSHAKE_SECONDS
        if fast is None:
            return loop.connect_accepted_socket(
                protocol, accepted, ssl=context, ssl_handshake_timeout=limit
            )
        made: Awaitable[object] = fast(
            loop, protocol, accepted, ssl=context, ssl_handshake_timeout=limit
        )
        return made

    return connect


def check_parser() -> None:
    """Raise ``StartupFailed`` if HTTP would be parsed in Python: not as the C parser does."""
    in_python = getattr(http_parser, "HttpRequestParserPy", None)
    if getattr(http_parser, "HttpRequestParser", None) is in_python:
        raise StartupFailed("aiohttp's C parser is missing; install a wheel that has it")
