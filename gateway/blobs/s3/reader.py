"""One object, read by requests that all name the version that was looked at first.

Theory of operation. A span is read through windows: a request for a part of it, whose body is read
as its taker asks for more. A taker that keeps up gets larger windows, in the end the whole rest in
one request. One that does not (a device on a slow link) is given a small window at a time: nothing
is open at the store while it is busy with that, so a thousand of them hold neither connections nor
buffers there, and no time-out of the store can end what lasts for hours.

A body that ends early is continued behind its last byte, a few times if nothing came. Each request
names the object's ETag, so that bytes of two versions never come together.

Rule: exactly the span, or an exception.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Final

from gateway.blobs.port import MOST_PIECE_BYTES
from gateway.blobs.s3.bucket import Entry, S3Bucket
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageUnavailable

_FIRST_WINDOW: Final = 64 * 1024
_SLOW_WINDOW: Final = 32 * 1024
_GROWTH: Final = 8
_SLOW_SECONDS: Final = 0.5
_TRIES: Final = 3


class Windows:
    """How much is asked for in one request."""

    def __init__(self) -> None:
        self.size = _FIRST_WINDOW

    def taken(self, seconds: float) -> bool:
        """A piece was taken in so many seconds; whether to go on with the window it was of."""
        if seconds < _SLOW_SECONDS:
            return True
        self.size = _SLOW_WINDOW
        return False

    def grow(self) -> None:
        """A whole window was taken without pause."""
        self.size *= _GROWTH


class S3Reader:
    """One object, and the version of it that is read."""

    def __init__(self, bucket: S3Bucket, found: Entry) -> None:
        self._bucket = bucket
        self._found = found

    @property
    def size(self) -> int:
        """Bytes in the object."""
        return self._found.size

    @property
    def descriptor(self) -> None:
        """An object is no file."""
        return

    async def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``."""
        if offset + count > self.size:
            raise BlobMissing()
        if count == 0:
            return b""
        found = self._found
        content = await self._bucket.get(found.key, offset, offset + count, found.etag)
        if len(content) != count:
            raise StorageUnavailable(f"{len(content)} bytes came of {count}")
        return content

    async def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``span``, piece by piece."""
        if span.stop > self.size:
            raise BlobMissing()
        windows, at = Windows(), span.start
        while at < span.stop:
            window = ByteRange(at, min(at + windows.size, span.stop))
            async with contextlib.aclosing(self._continued(window)) as pieces:
                async for piece in pieces:
                    at += len(piece)
                    began = time.monotonic()
                    yield piece
                    if not windows.taken(time.monotonic() - began):
                        break
                else:
                    windows.grow()

    def close(self) -> None:
        """Nothing to let go of."""

    async def _continued(self, window: ByteRange) -> AsyncGenerator[bytes, None]:
        """All of the window, over several requests if bodies are cut."""
        at, tries = window.start, 0
        while at < window.stop:
            began = at
            try:
                async with contextlib.aclosing(self._body(ByteRange(at, window.stop))) as pieces:
                    async for piece in pieces:
                        at += len(piece)
                        yield piece
            except StorageUnavailable:
                if at == began and tries == _TRIES:
                    raise
            tries = 0 if at > began else tries + 1
            if tries > _TRIES:
                raise StorageUnavailable("the store gives nothing")

    async def _body(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """What one request gives of the span, never more of it, in pieces of bounded size."""
        if span.length <= _FIRST_WINDOW:
            yield await self.read(span.start, span.length)
            return
        left, found = span.length, self._found
        stream = self._bucket.stream(found.key, span.start, span.stop, found.etag)
        async with contextlib.aclosing(stream) as bodies:
            async for body in bodies:
                if len(body) > left:
                    raise StorageUnavailable("the store gave more than it was asked for")
                left -= len(body)
                for start in range(0, len(body), MOST_PIECE_BYTES):
                    yield body[start : start + MOST_PIECE_BYTES]
