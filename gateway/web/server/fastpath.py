"""Requests whose response is on its way before a handler would have begun.

Theory of operation. The parser has put a request into ``_messages``, and the connection's task
still sleeps on ``_waiter``. That is the moment in which the fast path is asked: if it sends the
response, the message is taken out again and the task never wakes. The rules of the moment:

- only a request that is alone, without a body, while nothing is being sent: responses keep their
  order, and what is behind it waits in ``_messages`` until ``_rest_sent``;
- what aiohttp does per request is done here: the parser gets its place back
  (``message_consumed``), the server counts, the keep-alive timer begins anew;
- while the rest of a response is on its way the connection is under way for a stopping server
  (``_request_in_progress``), and is not idle for the keep-alive timer;
- of a server that stops nothing is sent at once: a handler says that the connection ends.

Knows aiohttp's ``RequestHandler`` from the inside (``inside`` lists what). Does not know which
requests are answered, nor with what.
"""

from __future__ import annotations

import asyncio

from aiofastnet import Transport
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web import Server

from gateway.model.address import host_of
from gateway.web.server.bypass import ReceivingConnection
from gateway.web.server.options import Options


class RespondingConnection(ReceivingConnection):
    """A connection that offers each plain request to the fast path."""

    __slots__ = ("_awaits_round", "_had_turn", "_peer", "_sending")

    def __init__(self, server: Server, options: Options) -> None:
        super().__init__(server, options)
        self._peer: str | None = None
        self._sending = False
        self._awaits_round = False  # the next request is parsed and its turn has not come
        self._had_turn = False  # it has come, and nobody has asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does; who it is, is asked once."""
        super().connection_made(transport)
        name = self.peername
        self._peer = str(name[0]) if isinstance(name, tuple) else name

    def _take_next(self) -> None:
        """Have the next request answered, now or by a handler, if nothing else is being sent."""
        idle = self._waiter
        if idle is None or idle.done() or self._sending or not self._messages:
            return
        if self._awaits_round or self._sent_at_once():
            return
        self._options.stop.begin(self)
        rounds, holder = self._options.rounds, self._address and host_of(self._address)
        if rounds is None or not holder or rounds.admits(holder):
            self._begin_next(idle)
        else:
            self._awaits_round = True
            rounds.wait(holder, self._begin_in_round)

    def _begin_in_round(self) -> bool:
        """It is this connection's turn; whether it still has a request."""
        self._awaits_round, idle = False, self._waiter
        if idle is None or idle.done() or not self._messages:
            return False
        self._begin_next(idle)
        return True

    def _begin_next(self, idle: asyncio.Future[None]) -> None:
        self._had_turn = True
        idle.set_result(None)

    def use_turn(self) -> bool:
        """As said there: only the first of requests that came together had a turn."""
        had, self._had_turn = self._had_turn, False
        return had

    def _sent_at_once(self) -> bool:
        """Whether the only request there is has its response on the way."""
        send, stop = self._options.send_at_once, self._options.stop
        if send is None or stop.told or len(self._messages) > 1 or self.writing_paused:
            return False
        message, body = self._messages[0]
        transport = self.transport
        if body is not EMPTY_PAYLOAD or not isinstance(message, RawRequestMessage):
            return False
        if not isinstance(transport, Transport):
            return False
        sent = send(message, transport, self._peer)
        if sent is None:
            return False
        self._consume()
        if sent.rest is None:
            stop.end(self)
        else:
            stop.begin(self)
            self._sending = self._request_in_progress = True
            sent.rest.add_done_callback(self._rest_sent)
        return True

    def _consume(self) -> None:
        """The request is answered; do what aiohttp does after one."""
        self._messages.clear()
        if self._parser is not None and self._manager is not None:
            self._parser.message_consumed()
            self._manager.requests_count += 1
        self._expect_another()

    def _rest_sent(self, _: object) -> None:
        self._sending = self._request_in_progress = False
        self._options.stop.end(self)
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
