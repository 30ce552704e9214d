"""What is left of a large body, received in large pieces past aiohttp's parser.

Theory of operation. aiohttp gets a body in bytes that the loop allocated, and copies them. Once the
head of a request has said that much is still to come, the connection takes the socket from the
parser: it declares itself a buffered protocol (the transport asks at ``set_protocol``), and from
then on the transport reads into ``get_buffer``, the very memory that is hashed and written. A full
piece goes to the body's stream, whose reader cannot tell. With the last byte the connection
declares itself unbuffered again and goes on with a new parser, since the old one still waits for
that body. Nothing may be left in the old one: so no body is taken while reading is paused, when a
parser holds bytes back.

Knows aiofastnet's transport. Does not know what a body means.

Rule: not a byte more than the body's is taken, and pieces are handed over whole.
"""

from __future__ import annotations

from typing import Final

from aiofastnet import Transport
from aiohttp.web import Server

from gateway.web.server.bodies import BodyReceiver, request_parser
from gateway.web.server.corrections import CorrectedConnection
from gateway.web.server.exchange import OwnConnection
from gateway.web.server.options import READ_BUFFER_BYTES, Options

LEAST_BYTES: Final = 256 * 1024
"""Less is not worth the change of hands."""


class ReceivingConnection(CorrectedConnection, OwnConnection):
    """A connection that receives large bodies by itself."""

    __slots__ = ("_receiver",)

    def __init__(self, server: Server, options: Options) -> None:
        super().__init__(server, options)
        self._receiver: BodyReceiver | None = None

    @property
    def received_ahead(self) -> int:
        """Bytes of a body that came and that its reader cannot see yet."""
        return 0 if self._receiver is None else self._receiver.filled

    def is_buffered_protocol(self) -> bool:
        """Whether the transport is to read into ``get_buffer`` (aiofastnet asks)."""
        return self._receiver is not None

    def get_buffer(self, _: int) -> memoryview:
        """Where the transport puts what it reads."""
        assert self._receiver is not None, "asked while there is one"
        return self._receiver.room()

    def buffer_updated(self, count: int) -> None:
        """The transport has read ``count`` bytes into the buffer."""
        assert self._receiver is not None, "told while there is one"
        if self._receiver.take(count):
            self._body_received()
        else:
            self._end_if_reset()

    def _receive_past_parser(self) -> None:
        """Receive the rest of a large body by ourselves.

        Not while reading is paused: the parser may hold bytes back then. Nor with TLS, whose
        transport asks where bytes are to go once for many of them.
        """
        body, length, transport = self._unfinished_body, self._newest_length, self.transport
        if body is None or length is None or self._receiver is not None or self._reading_paused:
            return
        left = length - body.total_bytes
        if left < LEAST_BYTES or not isinstance(transport, Transport):
            return
        if transport.get_extra_info("sslcontext") is None:
            self._receiver = BodyReceiver(body, left)
            transport.set_protocol(self)

    def _body_received(self) -> None:
        """Go back to the parser: a new one, for the old one still waits for that body."""
        body, transport = self._newest_body, self.transport
        assert body is not None, "its last bytes came"
        assert transport is not None, "they came from there"
        self._receiver = self._newest_length = None
        self._parser = request_parser(self, READ_BUFFER_BYTES)
        transport.set_protocol(self)
        body.feed_eof()
