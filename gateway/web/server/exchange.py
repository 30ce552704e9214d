"""A request's connection, as the rest of the gateway may use it.

Theory of operation. A request comes over one of two kinds of connection. Ours
(``connection.Connection``) is aiohttp's taken apart: it receives large bodies by itself, and a
response may be written past aiohttp. ``plain.PlainConnection``, which serves where the other would
not be safe, can do neither. Both tell whether a response was received and that a client left. And
in a test it may be aiohttp's own, which does not even that. The functions below do the same with
all of them, as well as each can. So no handler asks which kind it has, and none touches what
aiohttp calls private or does not document.

Knows aiohttp's requests and streams. Does not know what is sent or received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from aiofastnet import Transport as Transport  # noqa: PLC0414 - others name it, too
    from multidict import CIMultiDictProxy
    from yarl import URL

REQUEST_ID: Final = web.RequestKey("request_id", str)
"""What a request is called in the log and in its response."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HTTP_1_1: Final = (1, 1)

Receipt = Callable[[bool], object]


class Telling:
    """A connection that tells of its client, as all that we make do."""

    __slots__ = ()

    @property
    def is_stopping(self) -> bool:
        """Whether the server has been told to stop: the next response is the connection's last."""
        raise NotImplementedError

    def on_receipt(self, receipt: Receipt) -> None:
        """Tell ``receipt``, once it is known, whether the client got all that was sent by now."""
        raise NotImplementedError

    def ending_the_block(self) -> AbstractContextManager[None]:
        """End the block with ``ConnectionResetError`` as soon as the client is gone."""
        raise NotImplementedError


class OwnConnection(Telling):
    """A connection that may be used past aiohttp."""

    __slots__ = ()

    @property
    def received_ahead(self) -> int:
        """Bytes of a body that came and that its reader cannot see yet."""
        raise NotImplementedError

    def use_turn(self) -> bool:
        """Whether the request that begins has waited for its turn; each turn is for one."""
        raise NotImplementedError


def use_turn(request: web.BaseRequest) -> bool:
    """Whether the connection had this request wait for its turn."""
    return isinstance(request.protocol, OwnConnection) and request.protocol.use_turn()


class RequestHead(Protocol):
    """What a parser says of a request: aiohttp's ``RawRequestMessage``, as far as it is used."""

    @property
    def method(self) -> str:
        """As sent."""

    @property
    def path(self) -> str:
        """As sent, with the query."""

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """All of them."""

    @property
    def should_close(self) -> bool:
        """Whether the connection ends with the response."""

    @property
    def upgrade(self) -> bool:
        """Whether it asks for another protocol."""

    @property
    def url(self) -> URL:
        """The parsed path."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A response that is on its way. ``rest``, if any, is done when all of it left us."""

    rest: asyncio.Future[None] | None


SendAtOnce = Callable[[RequestHead, "Transport", str | None], Sent | None]
"""The fast path: sends the response to a request without a body, to a peer; ``None`` declines."""


def on_receipt(request: web.Request, receipt: Receipt) -> None:
    """Tell ``receipt``, once it is known, whether the client got all that was sent by now.

    Yes at once where we close, or cannot know.
    """
    connection = request.protocol
    if request.keep_alive and isinstance(connection, Telling) and request.transport is not None:
        connection.on_receipt(receipt)
    else:
        receipt(True)


def is_stopping(request: web.Request) -> bool:
    """Whether the server has been told to stop, so that the response is its connection's last."""
    connection = request.protocol
    return isinstance(connection, Telling) and connection.is_stopping


def ending_with_client(request: web.Request) -> AbstractContextManager[None]:
    """End the block with ``ConnectionResetError`` as soon as the client is seen to be gone."""
    connection = request.protocol
    return connection.ending_the_block() if isinstance(connection, Telling) else nullcontext()


def end_after_upgrade(request: web.Request, response: web.StreamResponse) -> None:
    """Close the connection after a request for another protocol, which nobody here speaks.

    Or what is behind it would be taken for a request of ours. Our connections know by themselves.
    """
    if isinstance(request.protocol, OwnConnection):
        return
    tokens = request.headers.get("Connection", "").lower()
    if request.method == "CONNECT" or ("Upgrade" in request.headers and "upgrade" in tokens):
        response.force_close()


def sends_files(request: web.Request) -> bool:
    """Whether the ``Wire`` of a response to it can send files."""
    return isinstance(request.protocol, OwnConnection) and takes_files(request.transport)


def takes_files(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the kernel sends a file on this connection: with TLS only if it encrypts, too."""
    if transport is None or not hasattr(transport, "sendfile"):
        return False
    plain = transport.get_extra_info("sslcontext") is None
    return plain or bool(transport.get_extra_info("ktls_send_enabled"))


def invite_body(request: web.Request) -> None:
    """Send 100 Continue if it is waited for; never to an HTTP/1.0 client (RFC 9110 15.2)."""
    expects = "Expect" in request.headers and not request.content.is_eof()
    if expects and request.version >= _HTTP_1_1 and request.transport is not None:
        request.transport.write(_CONTINUE)


def received_ahead(request: web.Request) -> int:
    """Bytes of the body that came and that ``request.content`` does not show yet."""
    connection = request.protocol
    return connection.received_ahead if isinstance(connection, OwnConnection) else 0


def came_of_body(request: web.Request) -> int:
    """Bytes of the body that came, whether or not they were read."""
    return received_ahead(request) + int(getattr(request.content, "total_bytes", 0))


def read_ahead(request: web.Request, count: int) -> None:
    """Let about ``count`` bytes of the body wait for their reader."""
    set_size: Callable[[int], object] | None = getattr(request.content, "set_read_chunk_size", None)
    if set_size is not None:
        set_size(count)


def fail_body(request: web.Request, error: Exception) -> None:
    """Have whoever reads the body get ``error``."""
    request.content.set_exception(error)


def request_id_line(identifier: str) -> bytes:
    """The header that names the request in its response; the id is free of line breaks already."""
    return b"X-Request-Id: %b\r\n" % identifier.encode("ascii")


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Header lines as they are sent. The values are free of line breaks already."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
