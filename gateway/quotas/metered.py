"""A writer that accepts no byte there is no room for.

Who said how much will come has it reserved at once; who did not, is given room as it comes, some
megabytes at a time. What is small enough to be in memory until it is sealed is proved by its
commit alone, which costs no word with the database.

Knows what a writer of bytes looks like; does not know where they go.

Rule: at most ``UNRESERVED_BYTES`` are accepted that are not reserved, and whatever was reserved is
given back, however the upload ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, Protocol
from uuid import UUID

from gateway.model.file import Blob, Scope
from gateway.quotas.port import UNRESERVED_BYTES, Promises

STEP_BYTES: Final = 16 * 1024 * 1024
"""How much is reserved at a time for who did not say how much will come."""

FRAMING_BYTES: Final = 64 * 1024
"""How much of a declared length may be a form's own: it need not fit."""


class Writer(Protocol):
    """What is metered; as ``blobs.port.BlobWriter``."""

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have."""

    @property
    def size(self) -> int:
        """Bytes accepted so far."""

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``."""

    async def measure(self) -> Mapping[str, bytes]:
        """The raw digests by algorithm."""

    async def seal(self) -> Blob:
        """Make the bytes permanent."""

    async def discard(self) -> None:
        """Forget the upload."""


class Metered:
    """One upload's bytes on their way in, as far as there is room in ``scope``'s accounts."""

    def __init__(self, writer: Writer, room: Promises, scope: Scope) -> None:
        self._writer = writer
        self._room = room
        self._scope = scope
        self._reserved: float = 0
        self._held = False

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""
        return self._writer.blob_id

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._writer.size

    async def expect(self, count: int) -> None:
        """So many bytes will come, at most. Raises ``OverQuota`` if they are clearly too many."""
        if count > UNRESERVED_BYTES:
            await self._reserve(count, max(1, count - FRAMING_BYTES))

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``. Raises ``OverQuota`` if there is no room for it."""
        size = self._writer.size + len(chunk)
        if size > UNRESERVED_BYTES and size > self._reserved:
            missing = size - int(self._reserved)
            await self._reserve(max(missing, STEP_BYTES), missing)
        await self._writer.write(chunk)

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""
        return await self._writer.measure()

    async def seal(self) -> Blob:
        """Make the bytes permanent under their id."""
        return await self._writer.seal()

    async def discard(self) -> None:
        """Forget the upload."""
        await self._writer.discard()

    @property
    def is_held(self) -> bool:
        """Whether there may be something to release."""
        return self._held

    async def release(self) -> None:
        """Give back what was reserved."""
        await self._room.release(self._writer.blob_id)

    async def _reserve(self, wanted: int, least: int) -> None:
        had, self._held = self._held, True  # who is cancelled meanwhile does not know
        granted = await self._room.reserve(self._writer.blob_id, self._scope, wanted, least)
        self._reserved = inf if granted is None else self._reserved + granted
        self._held = had or granted is not None
