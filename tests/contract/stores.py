"""The blob stores that there are, and what each says that it can do.

A new adapter adds one entry to ``STORES`` and changes nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.blobs.disk.store import open_disk_store
from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobStore
from gateway.model.errors import BlobMissing
from gateway.model.file import Blob, FrontPlace, Scope

SCOPE = Scope("things", "t1")
OTHER = Scope("groups", "g1")

DESCRIPTOR, FRONT_SERVED, INVENTORY = "descriptor", "front served", "inventory"
Opener = Callable[[Path], AbstractAsyncContextManager[BlobStore]]
Fetch = Callable[[Path, FrontPlace], bytes]


@dataclass(frozen=True)
class Kind:
    """One store: how it is opened in a folder, what it offers, how a front server reads it."""

    open: Opener
    abilities: frozenset[str]
    fetch: Fetch | None = None


@asynccontextmanager
async def on_disk(folder: Path) -> AsyncIterator[BlobStore]:
    async with open_disk_store(folder / "data") as store:
        yield store


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[BlobStore]:
    del folder
    yield MemoryBlobStore()


def fetch_from_disk(folder: Path, place: FrontPlace) -> bytes:
    return (folder / "data" / "blobs" / place.path).read_bytes()


STORES = {
    "disk": Kind(on_disk, frozenset({DESCRIPTOR, FRONT_SERVED, INVENTORY}), fetch=fetch_from_disk),
    "memory": Kind(in_memory, frozenset({INVENTORY})),
}


async def deposit(
    store: BlobStore, content: bytes, scope: Scope = SCOPE, piece: int = 70_000
) -> Blob:
    """``content``, sealed."""
    async with store.stage(scope) as writer:
        for start in range(0, len(content), piece):
            await writer.write(content[start : start + piece])
        return await writer.seal()


async def content_of(store: BlobStore, blob: Blob) -> bytes:
    """All of it, in one read."""
    reader = await store.open(blob)
    try:
        return await reader.read(0, reader.size)
    finally:
        reader.close()


async def is_there(store: BlobStore, blob: Blob) -> bool:
    """Whether it can be opened."""
    try:
        (await store.open(blob)).close()
    except BlobMissing:
        return False
    return True
