"""The head of a response whose body is a span of a blob."""

from __future__ import annotations

from gateway.model.byterange import ByteRange
from gateway.web.downloads.decide import OK, PARTIAL
from gateway.web.server.response import RawResponse


class BlobResponse(RawResponse):
    """A 200 or 206 whose body is ``span`` of a blob of ``size`` bytes.

    ``lines`` are the rendered headers that every response of this blob has; aiohttp's own way
    to build a response would render them anew each time.
    """

    def __init__(self, span: ByteRange, size: int, lines: bytes, *, whole: bool) -> None:
        if whole:
            super().__init__(OK, span.length, lines)
        else:
            super().__init__(PARTIAL, span.length, partial_lines(span, size, lines))


def partial_lines(span: ByteRange, size: int, lines: bytes) -> bytes:
    """The header lines of a 206: those of the blob, and which part of it this is."""
    return b"Content-Range: bytes %d-%d/%d\r\n%b" % (span.start, span.stop - 1, size, lines)
