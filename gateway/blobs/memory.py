"""Blobs in the memory of this process, for tests and trials.

Keeps the contract of ``port`` but for one thing, which it says wherever it can: nothing here
survives the process, and no other process sees it. It has no descriptor and no place for a
front server, so it goes the ways that a store behind a network goes.

Rule: what is kept and what is on its way count against one bound, each byte before it is taken.
No call does work in proportion to a blob, only to the bytes it was given or asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from gateway.blobs.port import StoredBlob
from gateway.model.byterange import ByteRange
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import BlobMissing, StorageFailed, StorageFull
from gateway.model.file import Blob, Scope

DEFAULT_MOST_BYTES: Final = 256 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_ENTRY_BYTES: Final = 1024
"""What an empty blob counts: its entry takes memory, too."""


class Capacity:
    """How much may be held, and how much is spoken for."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    @property
    def left(self) -> int:
        """What is left of it, in bytes."""
        return self._left

    def take(self, count: int) -> None:
        """Reserve ``count`` bytes. Raises ``StorageFull``."""
        if count > self._left:
            raise StorageFull()
        self._left -= count

    def give_back(self, count: int) -> None:
        """They are not needed any more."""
        self._left += count

    def check(self) -> None:
        """Raise ``StorageFull`` if not even an empty blob fits."""
        if self._left < _ENTRY_BYTES:
            raise StorageFull()


@dataclass(frozen=True, slots=True)
class Content:
    """A blob's bytes, in pieces of ``_PIECE_BYTES``, the last one excepted."""

    pieces: tuple[bytes, ...]
    size: int
    modified_at: datetime

    def part(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset`` on. Raises ``BlobMissing`` if there are not ``count``."""
        if offset + count > self.size:
            raise BlobMissing()
        first, skipped = divmod(offset, _PIECE_BYTES)
        last = (offset + count - 1) // _PIECE_BYTES
        if first >= last:
            return self.pieces[first][skipped : skipped + count] if count else b""
        joined = b"".join(self.pieces[first : last + 1])
        return joined[skipped : skipped + count]


Kept = dict[tuple[Scope, UUID], Content]


class MemoryWriter:
    """One upload, hashed as it comes."""

    def __init__(
        self,
        kept: Kept,
        room: Capacity,
        scope: Scope,
        algorithms: Collection[str],
        blob_id: UUID,
    ) -> None:
        self._kept = kept
        self._room = room
        self._scope = scope
        self._id = blob_id
        self._hashes = {name: hashlib.new(name) for name in {SHA256, *algorithms}}
        self._pieces: list[bytes] = []
        self._newest = bytearray()
        self._size = 0
        self._reserved = 0

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""
        return self._id

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._size

    def reserve(self, count: int) -> None:
        """Take room for an upload of ``count`` bytes, if it has none yet."""
        missing = _ENTRY_BYTES + count - self._reserved
        if missing > 0:
            self._room.take(missing)
            self._reserved += missing

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``."""
        self.reserve(self._size + len(chunk))
        for hasher in self._hashes.values():
            hasher.update(chunk)
        self._size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            fitting = _PIECE_BYTES - len(self._newest)
            self._newest += rest[:fitting]
            rest = rest[fitting:]
            if len(self._newest) == _PIECE_BYTES:
                self._pieces.append(bytes(self._newest))
                self._newest.clear()

    async def measure(self) -> Mapping[str, bytes]:
        """The raw digests by algorithm."""
        return {name: hasher.digest() for name, hasher in self._hashes.items()}

    async def seal(self) -> Blob:
        """Keep the bytes under their permanent id, for as long as the process lives."""
        if (self._scope, self._id) in self._kept:
            raise StorageFailed()
        if not self._reserved:  # it was discarded: what is left would not be what was hashed
            raise StorageFailed()
        computed = await self.measure()
        newest = [bytes(self._newest)] if self._newest else []
        content = Content((*self._pieces, *newest), self._size, datetime.now(UTC))
        self._room.give_back(self._reserved - _ENTRY_BYTES - self._size)
        self._reserved = 0  # it is the blob's from now on
        self._kept[self._scope, self._id] = content
        md5 = computed[MD5].hex() if MD5 in computed else None
        return Blob(self._id, self._scope, self._size, Digest(computed[SHA256].hex()), md5)

    async def discard(self) -> None:
        """Forget the upload, if it was not sealed."""
        self._room.give_back(self._reserved)
        self._reserved = 0
        self._pieces, self._newest = [], bytearray()


class MemoryReader:
    """One blob, held."""

    def __init__(self, content: Content) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return self._content.size

    @property
    def descriptor(self) -> None:
        """Memory is no file."""
        return

    async def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``."""
        return self._content.part(offset, count)

    async def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``span``, piece by piece."""
        if span.stop > self.size:
            raise BlobMissing()
        start = span.start
        while start < span.stop:
            border = start - start % _PIECE_BYTES + _PIECE_BYTES
            stop = min(border, span.stop)
            yield self._content.part(start, stop - start)
            start = stop

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryBlobStore:
    """Blobs in a dictionary of at most ``most_bytes``, those on their way in included."""

    def __init__(self, most_bytes: int = DEFAULT_MOST_BYTES) -> None:
        self._kept: Kept = {}
        self._room = Capacity(most_bytes)

    @property
    def front_served(self) -> None:
        """No other process reads our memory."""
        return

    @property
    def client_served(self) -> None:
        """Nor does any client."""
        return

    @property
    def inventory(self) -> MemoryBlobStore:
        """What is here is known."""
        return self

    @contextlib.asynccontextmanager
    async def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AsyncIterator[MemoryWriter]:
        """Begin an upload; what is not sealed by the end of the block is discarded."""
        writer = MemoryWriter(self._kept, self._room, scope, algorithms, blob_id or uuid4())
        try:
            writer.reserve(expected_bytes or 0)
            yield writer
        finally:
            await writer.discard()

    async def open(self, blob: Blob) -> MemoryReader:
        """The blob's bytes. Raises ``BlobMissing`` if they are not there or not of its size."""
        content = self._kept.get((blob.scope, blob.id))
        if content is None or content.size != blob.size:
            raise BlobMissing()
        return MemoryReader(content)

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        """Forget the bytes, of which open readers still have all."""
        content = self._kept.pop((scope, blob_id), None)
        if content is not None:
            self._room.give_back(_ENTRY_BYTES + content.size)

    @property
    def in_order(self) -> bool:
        """By when they came."""
        return False

    async def walk(self) -> AsyncIterator[StoredBlob]:
        """Every blob."""
        for (scope, blob_id), content in list(self._kept.items()):
            yield StoredBlob(blob_id, scope, content.size, content.modified_at)

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        """How many bytes the blob has, or ``None`` if there is none."""
        content = self._kept.get((scope, blob_id))
        return None if content is None else content.size

    async def free_bytes(self) -> int:
        """How much more may be held."""
        return self._room.left

    async def leftovers(self, *, older_than_seconds: float) -> int:
        """Uploads of a dead process left nothing."""
        del older_than_seconds
        return 0

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        """Uploads of a dead process left nothing."""
        del older_than_seconds
        return 0

    async def probe(self) -> None:
        """Raise ``StorageFull`` unless an upload could be stored now."""
        self._room.check()
