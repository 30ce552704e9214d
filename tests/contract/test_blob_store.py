"""What every blob store promises (``gateway.blobs.port``), asked of each one that there is.

What only some can do is in ``abilities``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.blobs.port import BlobStore
from gateway.model.digest import MD5, Digest
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob
from tests.contract.stores import OTHER, SCOPE, STORES, content_of, deposit, is_there
from tests.tools.firmware import Firmware

EMPTY = Digest(hashlib.sha256().hexdigest())


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    async with STORES[request.param].open(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(0, id="nothing"),
        pytest.param(1, id="one byte"),
        pytest.param(70_000, id="one piece"),
        pytest.param(3 * 1024 * 1024 + 1, id="several batches"),
    ],
)
async def test_what_was_sealed_is_read_back(store: BlobStore, size: int) -> None:
    firmware = Firmware(size, size)
    blob = await deposit(store, firmware.content)
    assert (size, Digest(firmware.sha256)) == (blob.size, blob.digest)
    assert firmware.content == await content_of(store, blob)


async def test_a_body_of_tiny_chunks_is_stored_whole(store: BlobStore) -> None:
    content = Firmware(5, 20_000).content
    blob = await deposit(store, content, piece=3)
    assert content == await content_of(store, blob)


async def test_the_writer_counts_and_measures_before_it_seals(store: BlobStore) -> None:
    async with store.stage(SCOPE, algorithms={MD5, "sha512"}, expected_bytes=6) as writer:
        await writer.write(b"abc")
        await writer.write(memoryview(b"def"))
        assert writer.size == 6
        measured = await writer.measure()
        assert hashlib.sha256(b"abcdef").digest() == measured["sha256"]
        assert hashlib.sha512(b"abcdef").digest() == measured["sha512"]
        blob = await writer.seal()
    assert (writer.blob_id, hashlib.md5(b"abcdef").hexdigest()) == (blob.id, blob.md5)


async def test_what_is_not_sealed_leaves_no_blob(store: BlobStore) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(b"half")
        await writer.measure()
    assert not await is_there(store, Blob(writer.blob_id, SCOPE, 4, EMPTY))


async def test_discarding_is_harmless_at_any_time(store: BlobStore) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(b"whole")
        blob = await writer.seal()
        await writer.discard()
        await writer.discard()
    assert b"whole" == await content_of(store, blob)
    async with store.stage(SCOPE) as writer:
        await writer.discard()
        await writer.discard()
    assert not await is_there(store, Blob(writer.blob_id, SCOPE, 0, EMPTY))


async def test_what_was_discarded_cannot_be_sealed(store: BlobStore) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(b"half")
        await writer.discard()
        with pytest.raises(StorageFailed):
            await writer.seal()
    assert not await is_there(store, Blob(writer.blob_id, SCOPE, 4, EMPTY))


async def test_an_upload_that_raises_leaves_no_blob(store: BlobStore) -> None:
    begun = []

    async def fail() -> None:
        async with store.stage(SCOPE) as writer:
            begun.append(writer.blob_id)
            await writer.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not await is_there(store, Blob(begun[0], SCOPE, 4, EMPTY))


async def test_ids_are_never_reused(store: BlobStore) -> None:
    blobs = [await deposit(store, b"same bytes") for _ in range(20)]
    assert 20 == len({blob.id for blob in blobs})


async def test_a_blob_belongs_to_its_scope(store: BlobStore) -> None:
    blob = await deposit(store, b"mine")
    assert not await is_there(store, Blob(blob.id, OTHER, blob.size, blob.digest))
    await store.remove(OTHER, blob.id)
    assert await is_there(store, blob)


async def test_a_removed_blob_is_gone_and_removing_it_again_is_no_error(store: BlobStore) -> None:
    blob = await deposit(store, b"gone soon")
    await store.remove(SCOPE, blob.id)
    await store.remove(SCOPE, blob.id)
    with pytest.raises(BlobMissing):
        await store.open(blob)


async def test_an_open_blob_gives_its_bytes_or_fails_once_it_is_removed(store: BlobStore) -> None:
    content = Firmware(1, 200_000).content
    blob = await deposit(store, content)
    reader = await store.open(blob)
    await store.remove(SCOPE, blob.id)
    with contextlib.suppress(BlobMissing):
        assert content[150_000:150_100] == await reader.read(150_000, 100)
    reader.close()
    reader.close()


async def test_a_read_past_the_end_is_refused_not_shortened(store: BlobStore) -> None:
    reader = await store.open(await deposit(store, b"0123456789"))
    assert b"789" == await reader.read(7, 3)
    with pytest.raises(BlobMissing):
        await reader.read(7, 4)
    reader.close()


@pytest.mark.parametrize("size", [pytest.param(3, id="less"), pytest.param(5, id="more")])
async def test_a_blob_that_is_not_of_its_size_is_missing(store: BlobStore, size: int) -> None:
    blob = await deposit(store, b"four")
    with pytest.raises(BlobMissing):
        await store.open(Blob(blob.id, blob.scope, size, blob.digest))


async def test_a_blob_that_never_was_is_missing(store: BlobStore) -> None:
    nothing = Blob(uuid4(), SCOPE, 4, Digest("0" * 64))
    with pytest.raises(BlobMissing):
        await store.open(nothing)
    await store.remove(SCOPE, nothing.id)


async def test_uploads_at_once_do_not_mix(store: BlobStore) -> None:
    images = [Firmware(seed, 300_000 + seed) for seed in range(30)]
    blobs = await asyncio.gather(*(deposit(store, image.content) for image in images))
    for image, blob in zip(images, blobs, strict=True):
        assert Digest(image.sha256) == blob.digest
        assert image.content == await content_of(store, blob)


async def test_a_healthy_store_says_so(store: BlobStore) -> None:
    await store.probe()


async def test_a_blob_that_comes_back_has_its_own_id_and_never_another_ones_bytes(
    store: BlobStore,
) -> None:
    came = uuid4()
    async with store.stage(SCOPE, blob_id=came) as writer:
        await writer.write(b"these bytes")
        blob = await writer.seal()
    assert (came, b"these bytes") == (blob.id, await content_of(store, blob))
    async with store.stage(SCOPE, blob_id=came) as writer:
        await writer.write(b"other bytes")
        with pytest.raises(StorageFailed):
            await writer.seal()
    assert b"these bytes" == await content_of(store, blob)
