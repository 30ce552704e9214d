"""One open blob: its descriptor, and reads that do not hold up the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from gateway.blobs.disk.folders import disk_errors
from gateway.blobs.port import MOST_PIECE_BYTES
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing


class DiskReader:
    """One open blob."""

    def __init__(
        self, descriptor: int, size: int, pool: ThreadPoolExecutor, *, read_ready: bool = True
    ) -> None:
        self._descriptor = descriptor
        self._size = size
        self._pool = pool
        self._reads_ready = read_ready

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return self._size

    @property
    def descriptor(self) -> DiskReader:
        """It is an open file."""
        return self

    def fileno(self) -> int:
        """A descriptor that ``sendfile`` can read from."""
        return self._descriptor

    async def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``.

        What the page cache holds is read at once; only what must come from the disk
        goes to a thread.
        """
        ready = self.read_ready(offset, count)
        if ready is not None:
            return ready
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read_blocking, offset, count)

    async def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``span``, each piece read as ``read`` does."""
        for start in range(span.start, span.stop, MOST_PIECE_BYTES):
            yield await self.read(start, min(MOST_PIECE_BYTES, span.stop - start))

    def read_ready(self, offset: int, count: int) -> bytes | None:
        """Exactly ``count`` bytes from ``offset`` if the page cache holds them, else ``None``."""
        if not self._reads_ready:
            return None
        buffer = bytearray(count)
        try:
            found = os.preadv(self._descriptor, [buffer], offset, os.RWF_NOWAIT)
        except OSError:  # of which "it would have to wait" is one
            return None
        return bytes(buffer) if found == count else None

    def _read_blocking(self, offset: int, count: int) -> bytes:
        with disk_errors():
            parts = []
            while count > 0:
                part = os.pread(self._descriptor, count, offset)
                if not part:
                    raise BlobMissing()
                parts.append(part)
                offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

    def is_whole(self) -> bool:
        """Whether the blob still has all its bytes; asks the open inode, not the disk."""
        return os.fstat(self._descriptor).st_size == self._size

    def close(self) -> None:
        """Let go of the blob."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
