"""What an ability of a blob store promises, as checks that a lie does not pass.

Each check is one promise. Whoever offers the ability keeps all of them; a store that does not
offer it is not asked. ``test_blob_abilities`` asks the stores there are, and liars.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gateway.blobs.port import (
    MOST_PIECE_BYTES,
    BlobReader,
    BlobStore,
    Descriptor,
    FrontServed,
    Inventory,
)
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing
from gateway.model.file import Blob, FrontPlace
from tests.contract.stores import (
    DESCRIPTOR,
    FRONT_SERVED,
    INVENTORY,
    OTHER,
    SCOPE,
    content_of,
    deposit,
)
from tests.tools.firmware import Firmware

READER = "reader"
Fetch = Callable[[FrontPlace], bytes]
Check = Callable[[BlobStore, Fetch], Awaitable[None]]

CHECKS: dict[str, list[Check]] = {READER: [], DESCRIPTOR: [], FRONT_SERVED: [], INVENTORY: []}


def of(ability: str) -> Callable[[Check], Check]:
    """Enter a check as one of an ability's."""

    def enter(check: Check) -> Check:
        CHECKS[ability].append(check)
        return check

    return enter


@asynccontextmanager
async def opened(store: BlobStore, content: bytes) -> AsyncIterator[tuple[BlobReader, Blob]]:
    blob = await deposit(store, content)
    reader = await store.open(blob)
    try:
        yield reader, blob
    finally:
        reader.close()


def descriptor_of(reader: BlobReader) -> Descriptor:
    assert reader.descriptor is not None, "the ability is offered"
    return reader.descriptor


def inventory_of(store: BlobStore) -> Inventory:
    assert store.inventory is not None, "the ability is offered"
    return store.inventory


def front_of(store: BlobStore) -> FrontServed:
    assert store.front_served is not None, "the ability is offered"
    return store.front_served


IMAGE = Firmware(17, 3 * MOST_PIECE_BYTES + 4321)


@of(READER)
async def a_span_comes_in_order_in_bounded_pieces(store: BlobStore, _: Fetch) -> None:
    async with opened(store, IMAGE.content) as (reader, _blob):
        for start, stop in [
            (0, IMAGE.size),
            (0, 1),
            (IMAGE.size - 1, IMAGE.size),
            (65_535, 65_537),
            (12_345, 2 * MOST_PIECE_BYTES + 1),
        ]:
            async with aclosing(reader.chunks(ByteRange(start, stop))) as chunks:
                pieces = [piece async for piece in chunks]
            assert IMAGE.content[start:stop] == b"".join(pieces)
            assert all(0 < len(piece) <= MOST_PIECE_BYTES for piece in pieces)


@of(READER)
async def an_empty_span_has_no_piece(store: BlobStore, _: Fetch) -> None:
    async with opened(store, b"") as (reader, _blob):
        assert [] == [piece async for piece in reader.chunks(ByteRange(0, 0))]


@of(READER)
async def a_span_beyond_the_end_raises_instead_of_ending(store: BlobStore, _: Fetch) -> None:
    async with opened(store, b"0123456789") as (reader, _blob):
        with pytest.raises(BlobMissing):
            assert [] == [piece async for piece in reader.chunks(ByteRange(5, 11))]


@of(READER)
async def whoever_stops_reading_lets_go(store: BlobStore, _: Fetch) -> None:
    async with opened(store, IMAGE.content) as (reader, _blob):
        chunks = reader.chunks(ByteRange(0, IMAGE.size))
        assert IMAGE.content.startswith(await anext(chunks))
        await chunks.aclose()
        assert IMAGE.content[:10] == await reader.read(0, 10)


@of(READER)
async def two_read_one_blob_at_different_speeds(store: BlobStore, _: Fetch) -> None:
    async with opened(store, IMAGE.content) as (reader, _blob):
        fast, slow = (reader.chunks(ByteRange(0, IMAGE.size)) for _ in range(2))
        first = await anext(slow)
        assert IMAGE.content == b"".join([piece async for piece in fast])
        assert IMAGE.content == first + b"".join([piece async for piece in slow])


@of(DESCRIPTOR)
async def the_kernel_sends_the_bytes(store: BlobStore, _: Fetch) -> None:
    content = Firmware(3, 40_000).content
    async with opened(store, content) as (reader, _blob):
        with _pair() as (here, there):
            sent = os.sendfile(here.fileno(), descriptor_of(reader).fileno(), 1000, 20_000)
            assert content[1000 : 1000 + sent] == there.recv(sent, socket.MSG_WAITALL)
            assert 20_000 == sent


@of(DESCRIPTOR)
async def what_is_ready_is_exact(store: BlobStore, _: Fetch) -> None:
    content = Firmware(4, 100_000).content
    async with opened(store, content) as (reader, _blob):
        assert content == await reader.read(0, reader.size)  # into the page cache
        for start, count in [(0, 1), (50_000, 4096), (99_999, 1)]:
            assert descriptor_of(reader).read_ready(start, count) in {
                content[start : start + count],
                None,
            }
        assert descriptor_of(reader).read_ready(99_999, 2) is None


@of(DESCRIPTOR)
async def a_file_that_was_cut_says_so(store: BlobStore, _: Fetch) -> None:
    async with opened(store, b"0123456789") as (reader, _blob):
        descriptor = descriptor_of(reader)
        assert descriptor.is_whole()
        os.truncate(f"/proc/self/fd/{descriptor.fileno()}", 7)
        assert not descriptor.is_whole()


@of(DESCRIPTOR)
async def it_is_readable_whole_after_its_removal(store: BlobStore, _: Fetch) -> None:
    content = Firmware(5, 200_000).content
    async with opened(store, content) as (reader, blob):
        await store.remove(blob.scope, blob.id)
        assert descriptor_of(reader).is_whole()
        assert content[150_000:150_100] == await reader.read(150_000, 100)


@of(FRONT_SERVED)
async def every_blob_lies_where_it_is_said_to(store: BlobStore, fetch: Fetch) -> None:
    contents = [b"one", b"two", b""]
    places = set()
    for content, scope in zip(contents, (SCOPE, OTHER, SCOPE), strict=True):
        blob = await deposit(store, content, scope)
        place = await front_of(store).locate(blob)
        assert content == fetch(place)
        places.add(place.path)
    assert len(contents) == len(places)


@of(FRONT_SERVED)
async def what_is_not_there_whole_has_no_place(store: BlobStore, _: Fetch) -> None:
    blob = await deposit(store, b"bytes")
    longer, absent = replace(blob, size=blob.size + 1), replace(blob, id=uuid4())
    assert [True, False, False] == [await has_place(store, b) for b in (blob, longer, absent)]
    await store.remove(blob.scope, blob.id)
    assert not await has_place(store, blob)


async def has_place(store: BlobStore, blob: Blob) -> bool:
    try:
        await front_of(store).locate(blob)
    except BlobMissing:
        return False
    return True


@of(FRONT_SERVED)
async def a_place_needs_no_escaping(store: BlobStore, _: Fetch) -> None:
    place = await front_of(store).locate(await deposit(store, b"bytes"))
    assert re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", place.path)


@of(INVENTORY)
async def the_walk_meets_every_blob_once(store: BlobStore, _: Fetch) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    blobs = [await deposit(store, bytes(n), (SCOPE, OTHER)[n % 2]) for n in range(12)]
    met = [stored async for stored in inventory_of(store).walk()]
    assert sorted((b.id, b.scope.kind, b.size) for b in blobs) == sorted(
        (s.id, s.scope.kind, s.size) for s in met
    )
    assert all(before < stored.modified_at <= datetime.now(UTC) for stored in met)


@of(INVENTORY)
async def what_was_not_sealed_or_was_removed_is_not_listed(store: BlobStore, _: Fetch) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(b"half")
        await writer.measure()
    blob = await deposit(store, b"gone soon")
    await store.remove(blob.scope, blob.id)
    assert [] == [stored async for stored in inventory_of(store).walk()]


@of(INVENTORY)
async def a_size_is_that_of_the_blob_in_its_scope(store: BlobStore, _: Fetch) -> None:
    blob, inventory = await deposit(store, b"mine"), inventory_of(store)
    assert 4 == await inventory.size_of(SCOPE, blob.id)
    assert await inventory.size_of(OTHER, blob.id) is None
    assert await inventory.size_of(SCOPE, uuid4()) is None
    await store.remove(SCOPE, blob.id)
    assert await inventory.size_of(SCOPE, blob.id) is None


@of(INVENTORY)
async def a_living_upload_is_no_leftover(store: BlobStore, _: Fetch) -> None:
    async with store.stage(SCOPE) as writer:
        await writer.write(b"still ")
        await writer.measure()
        assert 0 == await inventory_of(store).leftovers(older_than_seconds=0)
        assert 0 == await inventory_of(store).clear_incoming(older_than_seconds=0)
        await writer.write(b"here")
        blob = await writer.seal()
    assert b"still here" == await content_of(store, blob)


@of(INVENTORY)
async def what_is_free_is_told(store: BlobStore, _: Fetch) -> None:
    assert 0 < await inventory_of(store).free_bytes()


@contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    try:
        yield here, there
    finally:
        here.close()
        there.close()
