"""One connection: aiohttp's, corrected where it loses a client, and with a way past its handlers.

Knows aiohttp's protocol from the inside, which is why nothing else has to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiofastnet import Transport
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

from gateway.model.errors import Failure, GatewayError, Malformed
from gateway.web.server.bypass import LEAST_BYTES, BodyReceiver, length_of_body, request_parser
from gateway.web.server.exchange import OwnConnection, Receipt, SendAtOnce
from gateway.web.server.tcp import is_acknowledged

LINGERING_SECONDS: Final = 2.0
READ_BUFFER_BYTES: Final = 64 * 1024
_SERVER_FAULT: Final = 500

Word = Callable[[GatewayError], web.StreamResponse]


class Connection(RequestHandler, OwnConnection):
    """One connection. What never reaches a handler is refused in our words."""

    __slots__ = (
        *("_intake", "_lose", "_newest_body", "_newest_length", "_peer", "_receipt"),
        *("_past_parser", "_send_at_once", "_sending", "_word"),
    )

    def __init__(
        self,
        server: web.Server,
        word: Word,
        *,
        keepalive_seconds: float,
        send_at_once: SendAtOnce | None = None,
        past_parser: bool = True,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive_seconds,
            lingering_time=LINGERING_SECONDS,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,  # what is stored is what was sent
            access_log=None,  # type: ignore[arg-type]  # ``frame`` logs
        )
        self._word = word
        self._send_at_once = send_at_once
        self._past_parser = past_parser
        self._peer: str | None = None
        self._sending = False
        self._newest_body: StreamReader | None = None
        self._newest_length: int | None = None
        self._intake: BodyReceiver | None = None
        self._receipt: Receipt | None = None
        self._lose: Callable[[], None] | None = None

    def on_receipt(self, receipt: Receipt) -> None:
        """Tell ``receipt``, once it is known, whether the client got all that was sent by now.

        What we hand to the kernel is not received yet. It was if the client says more, or ends
        the connection in order; not if the connection breaks.
        """
        self._receipt = receipt

    @contextmanager
    def ending_the_block(self) -> Iterator[None]:
        """End the block with ``ConnectionResetError`` as soon as the client is gone.

        aiohttp leaves it to the next write to find out, which may be long after.
        """
        task, lost = asyncio.current_task(), False
        assert task is not None, "handlers run in tasks"
        cancelled_before = task.cancelling()

        def lose() -> None:
            nonlocal lost
            lost = True
            task.cancel()

        self._lose = lose
        try:
            yield
        except asyncio.CancelledError:
            if lost and task.uncancel() <= cancelled_before:
                raise ConnectionResetError("the client left") from None
            raise
        finally:
            self._lose = None

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does; who it is, is asked once."""
        super().connection_made(transport)
        name = self.peername
        self._peer = str(name[0]) if isinstance(name, tuple) else name

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, with three corrections.

        A body that cannot be parsed fails for whoever is reading it: aiohttp only queues its
        refusal behind the request, whose handler would wait for the rest of the body until it
        is cut for being slow. And a request to upgrade, which nobody here does, is the
        connection's last: of the bytes behind it aiohttp drops those that came in one piece
        with it, and would read on in the middle of what they began. Finally, when bytes and a
        reset come in one moment, the loop hands over the bytes and stops looking: the body
        would never end.
        """
        if self._receipt is not None:
            self._receipt(True)
            self._receipt = None
        idle, self._waiter = self._waiter, None  # who is next is decided here
        super().data_received(data)
        self._waiter = idle
        if self._messages:
            self._correct_newest()
            self._take_next()
        if self._unfinished_body is not None:
            self._end_if_reset()
            if self._past_parser:
                self._receive_past_parser()

    @property
    def received_ahead(self) -> int:
        """Bytes of a body that came and that its reader cannot see yet."""
        return 0 if self._intake is None else self._intake.filled

    def is_buffered_protocol(self) -> bool:
        """Whether the transport is to read into ``get_buffer`` (aiofastnet asks)."""
        return self._intake is not None

    def get_buffer(self, _: int) -> memoryview:
        """Where the transport puts what it reads."""
        assert self._intake is not None, "asked while there is one"
        return self._intake.room()

    def buffer_updated(self, count: int) -> None:
        """The transport has read ``count`` bytes into the buffer."""
        assert self._intake is not None, "told while there is one"
        if self._intake.take(count):
            self._body_received()
        else:
            self._end_if_reset()

    def _receive_past_parser(self) -> None:
        """Receive the rest of a large body by ourselves.

        Not while reading is paused: the parser may hold bytes back then.
        """
        body, length, transport = self._unfinished_body, self._newest_length, self.transport
        if body is None or length is None or self._intake is not None or self._reading_paused:
            return
        left = length - body.total_bytes
        if left >= LEAST_BYTES and isinstance(transport, Transport):
            self._intake = BodyReceiver(body, left)
            transport.set_protocol(self)

    def _body_received(self) -> None:
        """Go back to the parser: a new one, for the old one still waits for that body."""
        body, transport = self._newest_body, self.transport
        assert body is not None, "its last bytes came"
        assert transport is not None, "they came from there"
        self._intake = self._newest_length = None
        self._parser = request_parser(self, READ_BUFFER_BYTES)
        transport.set_protocol(self)
        body.feed_eof()

    def _take_next(self) -> None:
        """Have the next request answered, now or by a handler, if nothing else is being sent."""
        idle = self._waiter
        if idle is None or idle.done() or self._sending or not self._messages:
            return
        if not self._sent_at_once():
            idle.set_result(None)

    def _sent_at_once(self) -> bool:
        """Whether the only request there is has its response on the way."""
        if self._send_at_once is None or len(self._messages) > 1 or self.writing_paused:
            return False
        message, body = self._messages[0]
        transport = self.transport
        if body is not EMPTY_PAYLOAD or not isinstance(message, RawRequestMessage):
            return False
        if not isinstance(transport, Transport):
            return False
        sent = self._send_at_once(message, transport, self._peer)
        if sent is None:
            return False
        self._messages.clear()
        if self._parser is not None and self._manager is not None:
            self._parser.message_consumed()
            self._manager.requests_count += 1
        self._expect_another()
        if sent.rest is not None:
            self._sending = self._request_in_progress = True
            sent.rest.add_done_callback(self._rest_sent)
        return True

    def _rest_sent(self, _: object) -> None:
        self._sending = self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)  # somebody shuts down and waits for us
        if self.transport is not None and not self._force_close:
            self._expect_another()
            self._take_next()

    def _expect_another(self) -> None:
        """Close the connection if there is no other request for a while, as aiohttp does."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )

    def _process_keepalive(self) -> None:
        """As aiohttp does, but what is still being sent has no other request behind it yet."""
        if self._sending:
            self._keepalive_handle = None  # ``_rest_sent`` begins anew
            return
        super()._process_keepalive()

    def _correct_newest(self) -> None:
        newest, body = self._messages[-1]
        if isinstance(newest, RawRequestMessage):
            self._newest_body, self._newest_length = body, length_of_body(newest)
            if newest.upgrade:
                self._messages[-1] = (newest._replace(should_close=True), body)
        elif self._unfinished_body is not None:
            self._unfinished_body.set_exception(newest.exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does, and the body fails even if its handler has not begun.

        aiohttp tells only the request that a handler is at; one that begins a moment later
        would wait for the rest of its body until it is cut for being slow. Whoever waits
        within ``ending_the_block`` is told, too.
        """
        receipt, self._receipt = self._receipt, None
        if receipt is not None and self.transport is not None:
            receipt(exc is None and is_acknowledged(self.transport))
        super().connection_lost(exc)
        if self._lose is not None:
            self._lose()
        if self._unfinished_body is not None:
            self._unfinished_body.set_exception(exc or ConnectionResetError("the client left"))

    @property
    def _unfinished_body(self) -> StreamReader | None:
        """The body that more bytes are expected of, if any."""
        body = self._newest_body
        if body is None or body.is_eof() or body.exception() is not None:
            return None
        return body

    def _end_if_reset(self) -> None:
        """End the connection if its socket has an error that nobody has been told of."""
        transport = self.transport
        sock = None if transport is None else transport.get_extra_info("socket")
        if sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            assert transport is not None, "it was asked"
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that could not be parsed; the connection ends with it."""
        del exc, message
        if request.writer.output_size > 0:
            raise ConnectionError("failed after the response had begun")
        response = self._word(Failure() if status >= _SERVER_FAULT else Malformed())
        response.force_close()
        return response
