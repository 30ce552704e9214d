"""aiohttp's connection, corrected where it loses a client or keeps one waiting.

Theory of operation. A ``RequestHandler`` is an asyncio protocol. The loop gives it bytes
(``data_received``), its parser turns them into pairs of a message and a body stream, and those
wait in ``_messages``. One task per connection (``start``) takes a pair, runs the handler in a task
of its own, and when ``_messages`` is empty waits on the future ``_waiter``, which the next message
completes. Bytes of a body go from the parser straight into its stream.

What we correct:

1. A body that cannot be parsed fails for whoever reads it. aiohttp only queues its refusal behind
   the request, whose handler would wait for the rest of the body until it is cut for being slow.
2. A request to upgrade, which nobody here does, is the connection's last. Of the bytes behind it
   aiohttp drops those that came in one piece with it, and would read on in the middle of what
   they began.
3. When bytes and a reset come in one moment, the loop hands over the bytes and stops looking: the
   body would never end. So the socket is asked, while a body is unfinished.
4. A connection that ends fails the body even if its handler has not begun.
5. A request under way has its time once when the server stops, not twice.
6. What never reaches a handler is refused in our words, for which its beginning is kept.
7. Whole requests that came in one piece with what cannot be parsed have their responses, before
   its refusal. aiohttp forgets them; so the piece is parsed once more, request by request. That is
   done only where the piece is known to begin with a request: what is no request never becomes
   one.

Knows aiohttp's ``RequestHandler`` from the inside (``inside`` lists what). Does not know what is
served.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web import Server

from gateway.web.server.bodies import length_of_body, whole_requests
from gateway.web.server.options import Options
from gateway.web.server.plain import DocumentedConnection
from gateway.web.server.unparsed import LOOKED_AT_BYTES

_HEADS_END: Final = b"\r\n\r\n"


class CorrectedConnection(DocumentedConnection):
    """The corrections; ``newest`` is the last request whose head has come."""

    __slots__ = ("_at_start", "_beginning", "_newest_body", "_newest_length")

    def __init__(self, server: Server, options: Options) -> None:
        super().__init__(server, options)
        self._newest_body: StreamReader | None = None
        self._newest_length: int | None = None
        self._beginning = b""  # of a head that has not come whole
        self._at_start = True  # whether the next byte is known to be a request's first

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """As aiohttp does, but a request under way has ``timeout`` seconds once, not twice.

        aiohttp's second time is for handlers that read a body, whose end it has just spoilt; one
        that sends goes on as if nothing were.
        """
        if timeout is None or self._task_handler is None:
            return await super().shutdown(timeout)
        end = asyncio.get_running_loop().call_later(timeout, self._task_handler.cancel)
        try:
            await super().shutdown(timeout)
        finally:
            end.cancel()

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does, and the body fails even if its handler has not begun.

        aiohttp tells only the request that a handler is at; one that begins a moment later
        would wait for the rest of its body until it is cut for being slow.
        """
        super().connection_lost(exc)
        if self._unfinished_body is not None:
            self._unfinished_body.set_exception(exc or ConnectionResetError("the client left"))

    def _keep_beginning(self, data: bytes) -> None:
        """More of a head came, but not its end."""
        if self._unfinished_body is None:
            self._beginning += data[: LOOKED_AT_BYTES - len(self._beginning)]
            self._options.stop.expect(self)

    def _correct_newest(self, data: bytes) -> None:
        """``data`` is what has just come."""
        newest, body = self._messages[-1]
        before, self._beginning = self._beginning, b""
        if isinstance(newest, RawRequestMessage):
            self._newest_body, self._newest_length = body, length_of_body(newest)
            if newest.upgrade:
                self._messages[-1] = (newest._replace(should_close=True), body)
        elif self._unfinished_body is not None:
            self._unfinished_body.set_exception(newest.exc)
        elif data:  # without, it is what the parser held back
            begin = self._restore_whole(data) if self._at_start else 0
            self._unparsed = before + data[begin : begin + LOOKED_AT_BYTES - len(before)]

    def _restore_whole(self, data: bytes) -> int:
        """Put the whole requests of ``data`` before the refusal; where what is refused begins."""
        found, end = whole_requests(self, data)
        refusal = self._messages.pop()
        self._messages.extend((*found, refusal))
        return end

    def _see_end(self, data: bytes) -> None:
        """Whether a request ended with ``data``: a head does with an empty line, and has no body.

        No part of a head ends like that, nor a body of which more is expected.
        """
        body = self._newest_body
        self._at_start = data.endswith(_HEADS_END) and (body is None or body.is_eof())

    @property
    def _unfinished_body(self) -> StreamReader | None:
        """The body that more bytes are expected of, if any."""
        body = self._newest_body
        if body is None or body.is_eof() or body.exception() is not None:
            return None
        return body
