"""A blob store in memory, for tests that are not about disks. Held to the contract suite."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

from gateway.blobs.port import StoredBlob
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import BlobMissing
from gateway.model.file import Blob, Scope

Bytes = dict[tuple[Scope, UUID], tuple[bytes, datetime]]


class MemoryWriter:
    """One upload, in a bytearray."""

    def __init__(self, kept: Bytes, scope: Scope, algorithms: Collection[str]) -> None:
        self._kept, self._scope, self._algorithms = kept, scope, {SHA256, *algorithms}
        self._id, self._taken = uuid4(), bytearray()

    @property
    def blob_id(self) -> UUID:
        return self._id

    @property
    def size(self) -> int:
        return len(self._taken)

    async def write(self, chunk: bytes | memoryview) -> None:
        self._taken += chunk

    async def measure(self) -> Mapping[str, bytes]:
        return {name: hashlib.new(name, self._taken).digest() for name in self._algorithms}

    async def seal(self) -> Blob:
        computed = await self.measure()
        self._kept[self._scope, self._id] = (bytes(self._taken), datetime.now(UTC))
        md5 = computed[MD5].hex() if MD5 in computed else None
        return Blob(self._id, self._scope, self.size, Digest(computed[SHA256].hex()), md5)

    async def discard(self) -> None:
        self._taken = bytearray()


class MemoryReader:
    """One blob, held."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    def fileno(self) -> int:
        raise OSError("bytes in memory have no descriptor")

    async def read(self, offset: int, count: int) -> bytes:
        part = self.read_ready(offset, count)
        if part is None:
            raise BlobMissing()
        return part

    def read_ready(self, offset: int, count: int) -> bytes | None:
        part = self._content[offset : offset + count]
        return part if len(part) == count else None

    def is_whole(self) -> bool:
        return True

    def close(self) -> None:
        pass


class MemoryBlobStore:
    """Blobs in a dictionary."""

    def __init__(self) -> None:
        self._kept: Bytes = {}

    @contextlib.asynccontextmanager
    async def stage(
        self, scope: Scope, *, algorithms: Collection[str] = (), expected_bytes: int | None = None
    ) -> AsyncIterator[MemoryWriter]:
        writer = MemoryWriter(self._kept, scope, algorithms)
        try:
            yield writer
        finally:
            await writer.discard()

    async def open(self, blob: Blob) -> MemoryReader:
        content, _ = self._kept.get((blob.scope, blob.id), (None, None))
        if content is None or len(content) != blob.size:
            raise BlobMissing()
        return MemoryReader(content)

    def locate(self, blob: Blob) -> str:
        return f"{blob.scope}/{blob.id}"

    async def remove(self, scope: Scope, blob_id: UUID) -> bool:
        return self._kept.pop((scope, blob_id), None) is not None

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        content, _ = self._kept.get((scope, blob_id), (None, None))
        return None if content is None else len(content)

    async def walk(self) -> AsyncIterator[StoredBlob]:
        for (scope, blob_id), (content, modified_at) in list(self._kept.items()):
            yield StoredBlob(blob_id, scope, len(content), modified_at)

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        return 0

    async def probe(self) -> None:
        pass
