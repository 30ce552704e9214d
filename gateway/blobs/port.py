"""The port to bytes: what every blob store promises.

A blob is written once, under a random id that is never reused, and never changes.
``blobs/disk.py`` is the first adapter; the same contract suite runs against every one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.model.file import Blob, Scope


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob as the store sees it, for the sweeper and the checker."""

    id: UUID
    scope: Scope
    size: int
    modified_at: datetime


class BlobWriter(Protocol):
    """One upload's bytes on their way in: write, measure, seal; or discard."""

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""

    @property
    def size(self) -> int:
        """Bytes accepted so far."""

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``, which the caller does not touch again.

        May return before the bytes are stored, with at most three batches in flight; a
        fault in storing them is raised by a later call. Raises ``StorageFull`` or
        ``StorageFailed``.
        """

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""

    async def seal(self) -> Blob:
        """Make the bytes durable under their permanent id.

        On return they survive a power cut. On any exception nothing has been named.
        """

    async def discard(self) -> None:
        """Forget the upload. Harmless at any time, any number of times, even after ``seal``."""


class BlobReader(Protocol):
    """One blob, open: readable even if it is removed meanwhile."""

    @property
    def size(self) -> int:
        """Bytes in the blob."""

    def fileno(self) -> int:
        """A descriptor that ``sendfile`` can read from."""

    async def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``. Raises ``BlobMissing`` if they are not there."""

    def read_ready(self, offset: int, count: int) -> bytes | None:
        """The same if it takes no waiting, else ``None``."""

    def is_whole(self) -> bool:
        """Whether the blob still has all its bytes. Does not block."""

    def close(self) -> None:
        """Let go of the blob. Any number of times."""


class BlobStore(Protocol):
    """Where bytes live."""

    def stage(
        self, scope: Scope, *, algorithms: Collection[str] = (), expected_bytes: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin an upload; what is not sealed by the end of the block is discarded.

        SHA-256 is always computed; ``algorithms`` names further ones as ``hashlib``
        does. Raises ``StorageFull`` at once if ``expected_bytes`` cannot fit.
        """

    async def open(self, blob: Blob) -> BlobReader:
        """The blob's bytes. Raises ``BlobMissing`` if they are not there or not of its size."""

    def locate(self, blob: Blob) -> str:
        """The blob's place relative to the root of the permanent blobs, for a front server."""

    async def remove(self, scope: Scope, blob_id: UUID) -> bool:
        """Delete the bytes; whether there were any. Absence is success."""

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        """How many bytes the blob has, or ``None`` if there is none."""

    def walk(self) -> AsyncIterator[StoredBlob]:
        """Every permanent blob, in no order."""

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        """Remove leftovers of uploads that no living process is writing; how many."""

    async def probe(self) -> None:
        """Raise ``StorageFailed`` or ``StorageFull`` unless an upload could be stored now."""
