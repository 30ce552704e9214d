"""The bound of the store in memory: what counts, when it is taken, when it is given back."""

from __future__ import annotations

import pytest

from gateway.blobs.memory import MemoryBlobStore
from gateway.model.errors import StorageFailed, StorageFull
from gateway.model.file import Scope

SCOPE = Scope("things", "one")
ENTRY = 1024


async def put(store: MemoryBlobStore, content: bytes) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(content)
        await writer.seal()


async def test_what_is_announced_is_refused_before_a_byte_comes() -> None:
    store = MemoryBlobStore(ENTRY + 100)
    with pytest.raises(StorageFull):
        async with store.stage(SCOPE, expected_bytes=101):
            raise AssertionError("there is no room for it")
    async with store.stage(SCOPE, expected_bytes=100) as writer:
        await writer.write(bytes(100))


async def test_uploads_under_way_count_against_each_other() -> None:
    store = MemoryBlobStore(2 * ENTRY + 100)
    async with store.stage(SCOPE) as one, store.stage(SCOPE) as two:
        await one.write(bytes(60))
        await two.write(bytes(40))
        with pytest.raises(StorageFull):
            await two.write(b"x")


async def test_what_was_announced_and_did_not_come_is_given_back() -> None:
    store = MemoryBlobStore(2 * ENTRY + 100)
    async with store.stage(SCOPE, expected_bytes=100) as writer:
        await writer.write(b"x")
        await writer.seal()
    await put(store, bytes(99))


@pytest.mark.parametrize("end", ["discarded", "removed"])
async def test_room_comes_back_once(end: str) -> None:
    store = MemoryBlobStore(ENTRY + 100)
    for _ in range(3):
        async with store.stage(SCOPE) as writer:
            await writer.write(bytes(100))
            if end == "removed":
                blob = await writer.seal()
                await writer.discard()
                await store.remove(SCOPE, blob.id)
                await store.remove(SCOPE, blob.id)
    await store.probe()
    await put(store, bytes(100))
    with pytest.raises(StorageFull):
        await put(store, b"")


async def test_empty_blobs_are_not_for_nothing() -> None:
    store = MemoryBlobStore(3 * ENTRY)
    for _ in range(3):
        await put(store, b"")
    with pytest.raises(StorageFull):
        await put(store, b"")
    with pytest.raises(StorageFull):
        await store.probe()


async def test_an_upload_that_lost_its_room_cannot_be_sealed() -> None:
    store = MemoryBlobStore()
    async with store.stage(SCOPE) as writer:
        await writer.write(b"half")
        await writer.discard()
        with pytest.raises(StorageFailed):
            await writer.seal()
