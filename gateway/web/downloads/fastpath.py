"""Ranges that are ready to go, sent as soon as their request is parsed.

Most of what a fleet asks for is the next few KiB of an image that was looked up a moment ago.
Such a request needs no task, no routing and no response object, which together cost more than
all the rest of it.

Rule: what is sent is what ``serve`` would send, byte for byte. Whatever is not plain, or was not
looked up yet, is declined and goes the ordinary way. A request is plain if every one of its headers
is known to be irrelevant or is looked at here; of any other header nothing need be known.
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
from gateway.settings.fastways import FastWay
from gateway.web import metrics
from gateway.web.downloads.context import Downloads, ResolvedRead
from gateway.web.downloads.decide import PARTIAL
from gateway.web.downloads.deliver.response import partial_lines
from gateway.web.downloads.deliver.sendfile import is_of_disk
from gateway.web.downloads.deliver.write import ONE_WRITE_BYTES
from gateway.web.middleware import CLIENT_LEFT, RequestMiddleware
from gateway.web.server.exchange import RequestHead, Sent, request_id_line, takes_files
from gateway.web.server.response import rendered_head

if TYPE_CHECKING:
    from gateway.web.server.exchange import Transport

MOST_BYTES: Final = 256 * 1024
"""What is larger takes its time anyway, and is sent in slices so that others get their turn."""

_AUTHORIZATION: Final = istr("Authorization")
_RANGE: Final = istr("Range")
_HTTP_1_1: Final = (1, 1)


def _spelt(*names: str) -> frozenset[str]:
    """The ways in which these are commonly written; who writes otherwise is declined."""
    return frozenset(spelling for name in names for spelling in (name, name.lower()))


PLAIN_HEADERS: Final = _spelt(
    # Looked at here, or by the parser.
    *("Authorization", "Range", "Host", "Connection", "Keep-Alive"),
    # Of what we send there is one form, never encoded, and always the current bytes.
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma"),
    # Who sends, for whom, and from where: logged at most, and the same there.
    *("User-Agent", "Referer", "From", "DNT", "Via"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"),
)
"""Headers that change nothing of a small range, or that are looked at here."""

_SENT: Final = Sent(None)


@dataclass(frozen=True, slots=True)
class _RangeResponse:
    """What is sent for a request that was accepted."""

    message: RequestHead
    peer: str | None
    started: float
    resolved: ResolvedRead
    file: Descriptor
    span: ByteRange
    identifier: str

    @property
    def head(self) -> bytes:
        """The response's head."""
        span, version = self.span, self.resolved.version
        lines = partial_lines(span, version.blob.size, version.lines)
        return rendered_head(PARTIAL, span.length, lines + request_id_line(self.identifier))


class FastPath:
    """Sends a response or declines."""

    def __init__(self, downloads: Downloads, middleware: RequestMiddleware) -> None:
        self._downloads = downloads
        self._middleware = middleware

    def send(self, message: RequestHead, transport: Transport, peer: str | None) -> Sent | None:
        """Send the response to ``message``, which has no body; ``None`` declines it."""
        started = time.perf_counter()
        wanted = _plain_range(message)
        if wanted is None or self._middleware.is_full:
            return None
        key = (message.path, tuple(message.headers.getall(_AUTHORIZATION, ())))
        resolved = self._downloads.reads.find(key)
        if resolved is None:
            return None
        try:
            reader = resolved.reader.opened
            file = None if reader is None else reader.descriptor
            span = None if file is None else self._span(wanted, resolved)
            if file is None or span is None:
                return None
            identifier = self._middleware.next_identifier()
            response = _RangeResponse(message, peer, started, resolved, file, span, identifier)
            if span.length > ONE_WRITE_BYTES:
                return self._send_file(response, transport) if takes_files(transport) else None
            return self._send_bytes(response, transport)
        finally:
            resolved.reader.release()

    def _span(self, wanted: str, resolved: ResolvedRead) -> ByteRange | None:
        """The part that is asked for; ``None`` if it is not for us, or a mistake.

        The end of a file is not: whether it arrives may have to be known.
        """
        downloads, size = self._downloads, resolved.version.blob.size
        version = resolved.version.validators.etag
        if not resolved.plain or downloads.pace_of(resolved.access) is not None:
            return None
        if downloads.watch.continues_other_version(resolved.read_id, version, wanted):
            return None
        try:
            span = parse_range(wanted, size)
        except GatewayError:
            return None
        most = MOST_BYTES if FastWay.SENDFILE in downloads.ways else ONE_WRITE_BYTES
        return span if span and span.length <= most and span.stop < size else None

    def _send_bytes(self, response: _RangeResponse, transport: Transport) -> Sent | None:
        body = response.file.read_ready(response.span.start, response.span.length)
        if body is None:
            return None
        self._remember(response)
        transport.write(response.head + body)
        self._record(response, PARTIAL)
        return _SENT

    def _send_file(self, response: _RangeResponse, transport: Transport) -> Sent:
        file = cast(BinaryIO, response.file)
        self._remember(response)
        transport.write(response.head)
        try:
            rest = transport.sendfile(file, response.span.start, response.span.length)
        except OSError as exc:  # the transport is closing because of it
            self._fail(response, exc)
            return _SENT
        if rest is None:
            self._complete(response, transport)
            return _SENT
        response.resolved.reader.hold()
        self._downloads.stalls.watch(transport)
        rest.add_done_callback(partial(self._rest_sent, response, transport))
        return Sent(rest)

    def _remember(self, response: _RangeResponse) -> None:
        resolved, version = response.resolved, response.resolved.version
        etag, size = version.validators.etag, version.blob.size
        self._downloads.watch.record_response(resolved.read_id, etag, response.span, size)

    def _rest_sent(
        self, response: _RangeResponse, transport: Transport, rest: asyncio.Future[None]
    ) -> None:
        self._downloads.stalls.unwatch(transport)
        error = None if rest.cancelled() else rest.exception()
        if rest.cancelled() or error is not None:
            self._fail(response, error)
        else:
            self._complete(response, transport)
        response.resolved.reader.release()

    def _complete(self, response: _RangeResponse, transport: Transport) -> None:
        """``sendfile`` says nothing of a file that ends early, so the blob is asked."""
        if response.file.is_whole():
            self._record(response, PARTIAL)
        else:
            transport.abort()
            self._damaged(response)
            self._record(response, CLIENT_LEFT)

    def _fail(self, response: _RangeResponse, error: BaseException | None) -> None:
        """The response was cut, by the client or by the disk."""
        if error is not None and is_of_disk(error):
            self._damaged(response)
        self._record(response, CLIENT_LEFT)

    def _damaged(self, response: _RangeResponse) -> None:
        metrics.damage_met()
        self._downloads.files.suspect(response.resolved.record)

    def _record(self, response: _RangeResponse, status: int) -> None:
        if status == PARTIAL:
            metrics.sent(response.span.length)
        self._middleware.record(
            response.resolved.access.dialect,
            response.message,
            status,
            response.started,
            response.peer,
            response.resolved.access.principal,
            response.span.length if status == PARTIAL else 0,
            response.identifier,
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
    if len(ranges) != 1 or not PLAIN_HEADERS.issuperset(headers):
        return None
    return ranges[0]
