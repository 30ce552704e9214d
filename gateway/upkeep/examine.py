"""A look at one blob: whether its bytes are those that were uploaded, and what is wrong if not.

Knows how bytes are read and hashed, off the loop and at a pace. Does not know who asked, nor what
becomes of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from typing import Protocol

from gateway.blobs.port import BlobStore
from gateway.model.byterange import ByteRange
from gateway.model.damage import Damage, Fault
from gateway.model.errors import BlobMissing, StorageFailed, StorageUnavailable
from gateway.model.file import Blob


class Pause(Protocol):
    """How a rate is kept."""

    async def __call__(self, count: int) -> None:
        """So many bytes were read."""


class Throttle:
    """Bytes at no more than so many a second on average; 0: as fast as they come."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second or math.inf
        self._free_at = 0.0

    async def __call__(self, count: int) -> None:
        """So many bytes were read: wait until the next may be."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + count / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


UNBOUNDED = Throttle(0)


async def examine(blobs: BlobStore, blob: Blob, read: Pause = UNBOUNDED) -> Fault | None:
    """What is wrong with the blob's bytes, if anything is; ``read`` is told of each piece.

    Raises ``StorageUnavailable`` if the store is away, which says nothing of its blobs.
    """
    try:
        digest = await _hash(blobs, blob, read)
    except BlobMissing:
        return await _absence(blobs, blob)
    except StorageUnavailable:
        raise
    except StorageFailed as exc:
        return Fault(Damage.UNREADABLE, str(exc.__cause__ or exc))
    return None if digest == blob.digest.raw else other_bytes(blob, digest)


def other_bytes(blob: Blob, digest: bytes) -> Fault:
    """The blob's bytes have this digest instead of its own."""
    detail = f"its SHA-256 is {digest.hex()} and was {blob.digest.raw.hex()}"
    return Fault(Damage.DAMAGED, detail)


def misfit(blob: Blob, size: int | None) -> Fault | None:
    """What is wrong with a blob of which ``size`` bytes are stored, or none."""
    if size is None:
        return Fault(Damage.MISSING, f"{blob.size} bytes are not there")
    if size != blob.size:
        return Fault(Damage.WRONG_SIZE, f"{size} bytes are stored of {blob.size}")
    return None


async def size_of(blobs: BlobStore, blob: Blob) -> int | None:
    """How many bytes are stored; a store that cannot say so is asked for the blob."""
    if blobs.inventory is not None:
        return await blobs.inventory.size_of(blob.scope, blob.id)
    try:
        reader = await blobs.open(blob)
    except BlobMissing:
        return None
    reader.close()
    return reader.size


async def _absence(blobs: BlobStore, blob: Blob) -> Fault:
    """It was not there whole a moment ago: how much of it is there."""
    with contextlib.suppress(StorageFailed):
        if (fault := misfit(blob, await size_of(blobs, blob))) is not None:
            return fault
    return Fault(Damage.MISSING, f"{blob.size} bytes are not there, or not all")


async def _hash(blobs: BlobStore, blob: Blob, read: Pause) -> bytes:
    reader = await blobs.open(blob)
    with contextlib.closing(reader):
        hasher = hashlib.sha256()
        async with contextlib.aclosing(reader.chunks(ByteRange(0, blob.size))) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(hasher.update, chunk)
                await read(len(chunk))
        return hasher.digest()
