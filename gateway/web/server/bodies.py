"""Bodies as the parser leaves them to us: how long one is, memory for the rest of it, a new parser.

Knows aiohttp's streams and its parser's constructor. Does not know connections.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestHandler

_FIRST_PIECE_BYTES: Final = 16 * 1024
_EMPTY_LINE: Final = b"\r\n\r\n"


class BodyReceiver:
    """``left`` bytes on their way into ``body``."""

    __slots__ = ("_body", "_filled", "_left", "_piece", "_size")

    def __init__(self, body: StreamReader, left: int) -> None:
        self._body = body
        self._left = left
        self._filled = 0
        self._size = _FIRST_PIECE_BYTES
        self._piece = bytearray()

    @property
    def filled(self) -> int:
        """Bytes that came and were not handed over yet."""
        return self._filled

    def room(self) -> memoryview:
        """Where the next bytes belong, never empty while any are missing.

        A piece is as long as the body's reader wants to read ahead, but no more than twice as
        long as the one before: a client must send much to be given much memory.
        """
        if not self._piece:
            ahead, _ = self._body.get_read_buffer_limits()
            self._piece = bytearray(min(ahead, self._size, self._left))
            self._size *= 2
        return memoryview(self._piece)[self._filled :]

    def take(self, count: int) -> bool:
        """``count`` bytes have come into the room; whether they were the body's last."""
        self._filled += count
        if self._filled < len(self._piece):
            return False
        piece, self._piece, self._filled = self._piece, bytearray(), 0
        self._left -= len(piece)
        self._body.feed_data(piece)  # type: ignore[arg-type]  # any bytes do
        return self._left == 0


def length_of_body(message: RawRequestMessage) -> int | None:
    """How many bytes follow ``message``, if it says so; the parser has checked how."""
    text = message.headers.get(hdrs.CONTENT_LENGTH)
    return None if text is None or message.chunked or message.upgrade else int(text)


def request_parser(connection: RequestHandler, read_bufsize: int) -> HttpRequestParser:
    """A parser as aiohttp makes one for a connection, to be used on its loop."""
    return HttpRequestParser(
        connection,
        asyncio.get_running_loop(),
        read_bufsize,
        max_line_size=connection.max_line_size,
        max_field_size=connection.max_field_size,
        max_headers=connection.max_headers,
        payload_exception=web.RequestPayloadError,
        auto_decompress=False,
        max_msg_queue_size=MAX_MSG_QUEUE_SIZE,
    )


def whole_requests(
    connection: RequestHandler, data: bytes
) -> tuple[list[tuple[RawRequestMessage, StreamReader]], int]:
    """The requests with which ``data`` begins, each with all of its body, and where they end.

    At most as many as a connection lets wait. One that cannot be parsed, whose body is not whole
    or that asks for another protocol ends the search.
    """
    parser, end = request_parser(connection, len(data)), 0
    found = list[tuple[RawRequestMessage, StreamReader]]()
    with suppress(HttpProcessingError):
        while len(found) < MAX_MSG_QUEUE_SIZE:
            head = _end_of_head(data, end)
            messages, _, _ = parser.feed_data(data[end:head])
            if not messages or messages[0][0].upgrade:
                break
            [(message, body)] = messages
            end_of_body = _feed_body(parser, message, body, data, head)
            if not body.is_eof() or body.exception() is not None:
                break
            found.append((message, body))
            end = end_of_body
    return found, end


def _end_of_head(data: bytes, begin: int) -> int:
    """Where the empty line ends; where all does, if there is none."""
    end = data.find(_EMPTY_LINE, begin)
    return len(data) if end < 0 else end + len(_EMPTY_LINE)


def _feed_body(
    parser: HttpRequestParser,
    message: RawRequestMessage,
    body: StreamReader,
    data: bytes,
    begin: int,
) -> int:
    """Feed the body that begins there, and nothing behind it; where it ends.

    A chunked one ends with one of the empty lines, of which the first few are tried.
    """
    length = length_of_body(message)
    if length is not None and not body.is_eof():
        parser.feed_data(data[begin : begin + length])
        return begin + length
    for _ in range(MAX_MSG_QUEUE_SIZE):
        if body.is_eof() or begin == len(data):
            break
        end = _end_of_head(data, begin)
        parser.feed_data(data[begin:end])
        begin = end
    return begin
