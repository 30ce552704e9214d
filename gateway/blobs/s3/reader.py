"""One object, read by requests that all name the version that was looked at first.

Theory of operation. A span is read through windows: a request for a part of it, whose body is read
as its taker asks for more. A taker that keeps up gets larger windows, in the end the whole rest in
one request. One that does not (a device on a slow link) is given a small window at a time. And as
soon as a taker is seen to be slow, while it still has the last piece in its hands, the request is
dropped with all that came of it: it is asked for again when it is wanted. So a thousand slow
devices hold neither connections nor buffers, and no time-out of the store can end what lasts for
hours. Larger windows are for as many takers at once as bodies may be open; all others read on in
small ones.

A body that ends early is continued behind its last byte, a few times if nothing came. Each request
names the object's ETag, so that bytes of two versions never come together.

Rule: exactly the span, or an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from gateway.blobs.port import MOST_PIECE_BYTES
from gateway.blobs.s3.bucket import Entry, ObjectBody, S3Bucket
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageUnavailable

_FIRST_WINDOW: Final = 16 * 1024
_SLOW_WINDOW: Final = 16 * 1024
_WHOLE_WINDOW: Final = 64 * 1024
"""A window up to this size is one piece."""
_GROWTH: Final = 8
_MOST_WINDOW: Final = 1 << 40
_PIECES: Final = ((128 * 1024, 16 * 1024), (1024 * 1024, 32 * 1024), (8 * 1024**2, 64 * 1024))
"""The longest pieces of windows up to some size: what a taker has in its hands it keeps, and it is
not seen to be slow until its socket is full."""
_SLOW_SECONDS: Final = 0.5
_TRIES: Final = 3


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
        return await _whole(self._bucket, self._found, ByteRange(offset, offset + count))

    async def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``span``, piece by piece."""
        if span.stop > self.size:
            raise BlobMissing()
        at = span.start
        with contextlib.closing(_Windows(self._bucket, self._found)) as windows:
            while at < span.stop:
                piece = await windows.next(at, span.stop)
                at += len(piece)
                with windows.taken():
                    yield piece

    def close(self) -> None:
        """Nothing to let go of."""


async def _whole(bucket: S3Bucket, found: Entry, span: ByteRange) -> bytes:
    """The span in one piece. Raises ``BlobMissing``, ``StorageUnavailable``."""
    content = await bucket.get(found.key, span.start, span.stop, found.etag)
    if len(content) != span.length:
        raise StorageUnavailable(f"{len(content)} bytes came of {span.length}")
    return content


class _Windows:
    """The requests that are made for one taker, one after the other."""

    def __init__(self, bucket: S3Bucket, found: Entry) -> None:
        self._bucket, self._found = bucket, found
        self._size = _FIRST_WINDOW
        self._narrow = False
        self._left = 0
        self._body: ObjectBody | None = None
        self._rest = b""

    async def next(self, at: int, stop: int) -> bytes:
        """A piece from ``at`` on, at most up to ``stop``. Raises as ``BlobReader.read``."""
        for tries in range(_TRIES + 1):
            try:
                if not self._left:
                    await self._ask(ByteRange(at, min(at + self._size, stop)))
                if piece := await self._piece():
                    return piece
            except StorageUnavailable:
                self.close()
                if tries == _TRIES:
                    raise
            self.close()
        raise StorageUnavailable("the store gives nothing")

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """The taker has a piece in its hands; if for long, nothing more is held for it."""
        began = time.monotonic()
        timer = asyncio.get_running_loop().call_later(_SLOW_SECONDS, self.close)
        try:
            yield
        finally:
            timer.cancel()
        if time.monotonic() - began >= _SLOW_SECONDS:
            self.close()
            self._size = _SLOW_WINDOW
        elif not self._left and not self._narrow:
            self._size = min(self._size * _GROWTH, _MOST_WINDOW)

    def close(self) -> None:
        """Drop what was asked for and was not taken."""
        if self._body is not None:
            self._body.close()
        self._body, self._rest, self._left = None, b"", 0

    async def _ask(self, window: ByteRange) -> None:
        found = self._found
        if window.length > _WHOLE_WINDOW:
            body = await self._bucket.open(found.key, window.start, window.stop, found.etag)
            self._narrow = body is None
            if body is not None:
                self._body, self._left = body, window.length
                return
            window = ByteRange(window.start, window.start + _WHOLE_WINDOW)
        self._rest = await _whole(self._bucket, found, window)
        self._left = window.length

    async def _piece(self) -> bytes:
        """More of the window; nothing if its body has ended."""
        if not self._rest and self._body is not None:
            self._rest = await self._body.next()
        if len(self._rest) > self._left:
            raise StorageUnavailable("the store gave more than it was asked for")
        most = next((m for size, m in _PIECES if self._size <= size), MOST_PIECE_BYTES)
        piece, self._rest = self._rest[:most], self._rest[most:]
        self._left -= len(piece)
        if not self._left:
            self.close()
        return piece
