"""Ranges that are ready to go, sent as soon as their request is parsed.

Most of what a fleet asks for is the next few KiB of an image that was looked up a moment ago.
Such a request needs no task, no routing and no response object, which together cost more than
all the rest of it.

Rule: what is sent is what ``serve`` would send, byte for byte. Whatever is not plain, or was not
looked up yet, is declined and goes the ordinary way.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from multidict import istr

from gateway.blobs.port import Descriptor
from gateway.model.byterange import ByteRange, parse_range
from gateway.model.errors import GatewayError
from gateway.web import metrics
from gateway.web.context import Gateway, ResolvedRead
from gateway.web.downloads.sending import ONE_WRITE_BYTES, partial_head
from gateway.web.downloads.serve import ACCEL_HEADER, CONDITIONAL
from gateway.web.edge import EDGE_HEADER
from gateway.web.middleware import CLIENT_LEFT, RequestMiddleware
from gateway.web.server.exchange import RequestHead, Sent

if TYPE_CHECKING:
    from gateway.web.server.exchange import Transport

MOST_BYTES: Final = 256 * 1024
"""What is larger takes its time anyway, and is sent in slices so that others get their turn."""

_AUTHORIZATION: Final = istr("Authorization")
_RANGE: Final = istr("Range")
_HTTP_1_1: Final = (1, 1)
_PARTIAL: Final = 206
# Whoever sends one of these is answered the ordinary way.
_NOT_PLAIN: Final = tuple(
    istr(name) for name in (*CONDITIONAL, "Expect", "Want-Digest", EDGE_HEADER, ACCEL_HEADER)
)


_SENT: Final = Sent(None)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A request that was accepted."""

    message: RequestHead
    peer: str | None
    started: float
    resolved: ResolvedRead
    file: Descriptor
    span: ByteRange

    @property
    def head(self) -> bytes:
        """The response's head."""
        return partial_head(self.span, self.resolved.record.content.size, self.resolved.lines)


class FastPath:
    """Answers or declines."""

    def __init__(self, gateway: Gateway, frame: RequestMiddleware) -> None:
        self._gateway = gateway
        self._frame = frame

    def send(self, message: RequestHead, transport: Transport, peer: str | None) -> Sent | None:
        """Send the response to ``message``, which has no body; ``None`` declines it."""
        started = time.perf_counter()
        wanted = _plain_range(message)
        if wanted is None or self._frame.is_full:
            return None
        key = (message.path, tuple(message.headers.getall(_AUTHORIZATION, ())))
        resolved = self._gateway.reads.find(key)
        if resolved is None:
            return None
        try:
            span, file = self._span(wanted, resolved), resolved.blob.reader.descriptor
            if span is None or file is None:
                return None
            answer = _Answer(message, peer, started, resolved, file, span)
            if span.length > ONE_WRITE_BYTES:
                return self._send_file(answer, transport)
            return self._send_bytes(answer, transport)
        finally:
            resolved.blob.release()

    def _span(self, wanted: str, resolved: ResolvedRead) -> ByteRange | None:
        """The part that is asked for; ``None`` if it is not for us, or a mistake.

        The end of a file is not: whether it arrives may have to be known.
        """
        size = resolved.record.content.size
        version = resolved.validators.etag
        if not resolved.plain or self._gateway.pace_of(resolved.access) is not None:
            return None
        if self._gateway.downloads.would_mix(resolved.download, version, wanted):
            return None
        try:
            span = parse_range(wanted, size)
        except GatewayError:
            return None
        return span if span and span.length <= MOST_BYTES and span.stop < size else None

    def _send_bytes(self, answer: _Answer, transport: Transport) -> Sent | None:
        body = answer.file.read_ready(answer.span.start, answer.span.length)
        if body is None:
            return None
        self._remember(answer)
        transport.write(answer.head + body)
        self._record(answer, _PARTIAL)
        return _SENT

    def _send_file(self, answer: _Answer, transport: Transport) -> Sent:
        file = cast(BinaryIO, answer.file)
        self._remember(answer)
        transport.write(answer.head)
        try:
            rest = transport.sendfile(file, answer.span.start, answer.span.length)
        except OSError:  # the transport is closing because of it
            self._record(answer, CLIENT_LEFT)
            return _SENT
        if rest is None:
            self._complete(answer, transport)
            return _SENT
        answer.resolved.blob.hold()
        self._gateway.stalls.watch(transport)
        rest.add_done_callback(partial(self._rest_sent, answer, transport))
        return Sent(rest)

    def _remember(self, answer: _Answer) -> None:
        resolved, span = answer.resolved, answer.span
        size, version = resolved.record.content.size, resolved.validators.etag
        self._gateway.downloads.answer(resolved.download, version, span, size)

    def _rest_sent(self, answer: _Answer, transport: Transport, rest: asyncio.Future[None]) -> None:
        self._gateway.stalls.unwatch(transport)
        if rest.cancelled() or rest.exception() is not None:
            self._record(answer, CLIENT_LEFT)
        else:
            self._complete(answer, transport)
        answer.resolved.blob.release()

    def _complete(self, answer: _Answer, transport: Transport) -> None:
        """``sendfile`` says nothing of a file that ends early, so the blob is asked."""
        if answer.file.is_whole():
            self._record(answer, _PARTIAL)
        else:
            transport.abort()
            self._record(answer, CLIENT_LEFT)

    def _record(self, answer: _Answer, status: int) -> None:
        if status == _PARTIAL:
            metrics.sent(answer.span.length)
        self._frame.passed(
            answer.resolved.access.dialect, answer.message, status, answer.started, answer.peer
        )


def _plain_range(message: RequestHead) -> str | None:
    """The Range header of a GET that has nothing else to be considered."""
    if (
        message.method != "GET"
        or message.version != _HTTP_1_1
        or message.should_close
        or message.upgrade
        or "?" in message.path
    ):
        return None
    headers = message.headers
    ranges = headers.getall(_RANGE, ())
    if len(ranges) != 1 or any(name in headers for name in _NOT_PLAIN):
        return None
    return ranges[0]
