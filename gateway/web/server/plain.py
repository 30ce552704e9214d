"""A connection as aiohttp means it to be used: slower, and without anything private.

Theory of operation. This is what serves where aiohttp, aiofastnet or uvloop are not what
``inside`` lists, or where an operator asks for it. Every body passes the parser, every request
gets a task and a response that aiohttp renders.
Only documented options are set and only public methods are overridden; an option that this
aiohttp does not know any more is left out.

Rule: the responses are the same as over a ``connection.Connection``.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.model.errors import Failure, GatewayError
from gateway.web.server.options import LINGERING_SECONDS, READ_BUFFER_BYTES, Options
from gateway.web.server.receipts import TellingConnection
from gateway.web.server.unparsed import LOOKED_AT_BYTES, WrittenResponse, line_of, refusal_of

_SERVER_FAULT: Final = 500
_EMPTY_LINE: Final = b"\r\n\r\n"
_MOST_CUTS: Final = 32
_CLIENTS_DOING: Final = (OSError, HttpProcessingError, ClientError, GatewayError)


class DocumentedConnection(TellingConnection):
    """What both kinds have. What never reaches a handler is refused in our words."""

    __slots__ = ("_address", "_options", "_unparsed")

    def __init__(self, server: web.Server, options: Options) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **handler_options(options))
        self._options = options
        self._address = ""
        self._unparsed = b""  # with what the request begins that could not be parsed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does, and it is counted."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._options.on_change(self._address, 1)
        self._options.stop.expect(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does, and it is counted."""
        super().connection_lost(exc)
        self._options.on_change(self._address, -1)
        self._options.stop.end(self)

    @property
    def is_stopping(self) -> bool:
        """Whether the server has been told to stop."""
        return self._options.stop.told

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that could not be parsed; the connection ends with it.

        Raises ``ConnectionError`` if there is nobody, or no way, to respond to any more.
        """
        del message
        self._options.stop.end(self)
        if isinstance(exc, ConnectionError):
            raise exc
        if getattr(request.writer, "output_size", 1) > 0:
            raise ConnectionError("failed after the response had begun")
        line, failed = line_of(self._unparsed), status >= _SERVER_FAULT
        if failed:
            self.log_exception("a request failed outside of its handler", exc_info=exc)
        error = Failure() if failed else refusal_of(exc, line)
        return WrittenResponse(self._options.render_error(error, line, request.remote), line)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """As aiohttp does, unless it was the client's doing, of which no line is made.

        The rest of a body that was refused is read for a moment, and thrown away: what becomes of
        that is nobody's fault here.
        """
        if not isinstance(kw.get("exc_info"), _CLIENTS_DOING):
            super().log_exception(*args, **kw)

    def _end_if_reset(self) -> None:
        """End the connection if its socket has an error that nobody has been told of.

        When bytes and a reset come in one moment, the loop hands over the bytes and stops looking.
        """
        transport = self.transport
        sock = None if transport is None else transport.get_extra_info("socket")
        if sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            assert transport is not None, "it was asked"
            transport.abort()


class PlainConnection(DocumentedConnection):
    """aiohttp's connection, and no more than is documented."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """As aiohttp does. Whether a body goes on is not ours to see: it is asked always.

        A head is parsed alone, for what is behind it may be what cannot be parsed, and then aiohttp
        forgets all that came with that.
        """
        for piece in _pieces(data):
            self._unparsed = piece[:LOOKED_AT_BYTES]
            super().data_received(piece)
        self._end_if_reset()


def _pieces(data: bytes) -> Iterator[bytes]:
    """``data`` cut behind its first empty lines, of which a sender may make many.

    Not behind a head that announces chunks: whoever reads them would not hear that one is broken.
    """
    begin = 0
    for _ in range(_MOST_CUTS):
        end = data.find(_EMPTY_LINE, begin) + len(_EMPTY_LINE)
        if end < len(_EMPTY_LINE) or b"chunked" in data[begin:end].lower():
            break
        yield data[begin:end]
        begin = end
    if begin < len(data) or not data:
        yield data[begin:]


def handler_options(options: Options) -> dict[str, Any]:
    """The options of a ``RequestHandler``, as far as aiohttp has them."""
    wanted = {
        "keepalive_timeout": options.keepalive_seconds,
        "lingering_time": LINGERING_SECONDS,
        "read_bufsize": READ_BUFFER_BYTES,
        "auto_decompress": False,  # what is stored is what was sent
        "access_log": None,  # the middleware logs
    }
    known = inspect.signature(web.RequestHandler).parameters
    return {name: value for name, value in wanted.items() if name in known}
