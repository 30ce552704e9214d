"""Every ability that a store offers is kept; one that it only claims to have is found out."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.blobs.memory import MemoryBlobStore, MemoryReader
from gateway.blobs.port import BlobReader, BlobStore, BlobWriter, StoredBlob
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing
from gateway.model.file import Blob, FrontPlace, Scope
from tests.contract.abilities import CHECKS, READER, Check, Fetch
from tests.contract.stores import (
    DESCRIPTOR,
    FRONT_SERVED,
    INVENTORY,
    STORES,
    Kind,
    deposit,
    fetch_from_disk,
)


def fetcher(kind: Kind, folder: Path) -> Fetch:
    return partial(kind.fetch or fetch_from_disk, folder)


def asked() -> list[object]:
    """Every store with every check of every ability that it offers."""
    return [
        pytest.param(kind, check, id=f"{name}: {check.__name__.replace('_', ' ')}")
        for name, kind in STORES.items()
        for ability in (READER, *sorted(kind.abilities))
        for check in CHECKS[ability]
    ]


@pytest.mark.parametrize(("kind", "check"), asked())
async def test_a_store_keeps_what_it_offers(kind: Kind, check: Check, tmp_path: Path) -> None:
    async with kind.open(tmp_path) as store:
        await check(store, fetcher(kind, tmp_path))


@pytest.mark.parametrize("kind", STORES.values(), ids=STORES)
async def test_a_store_offers_what_it_says(kind: Kind, tmp_path: Path) -> None:
    async with kind.open(tmp_path) as store:
        reader = await store.open(await deposit(store, b"bytes"))
        found = {
            DESCRIPTOR: reader.descriptor,
            FRONT_SERVED: store.front_served,
            INVENTORY: store.inventory,
        }
        reader.close()
    assert kind.abilities == {ability for ability, value in found.items() if value is not None}


class Liar:
    """A store in memory that may say of itself whatever a test lets it say."""

    def __init__(self) -> None:
        self._store = MemoryBlobStore()

    @property
    def front_served(self) -> Any:
        return None

    @property
    def inventory(self) -> Any:
        return self._store

    @asynccontextmanager
    async def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AsyncIterator[BlobWriter]:
        async with self._store.stage(scope, algorithms=algorithms) as writer:
            yield writer

    async def open(self, blob: Blob) -> BlobReader:
        return await self._store.open(blob)

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        await self._store.remove(scope, blob_id)

    async def probe(self) -> None:
        await self._store.probe()


class LyingReader:
    """A blob in memory, and a descriptor of something else."""

    def __init__(self, reader: MemoryReader, shown: int = -1) -> None:
        self._reader = reader
        self._shown = shown

    @property
    def size(self) -> int:
        return self._reader.size

    @property
    def descriptor(self) -> Any:
        return self

    def fileno(self) -> int:
        return self._shown

    async def read(self, offset: int, count: int) -> bytes:
        return await self._reader.read(offset, count)

    def read_ready(self, offset: int, count: int) -> bytes | None:
        return self._reader._content.part(0, self.size)[offset : offset + count]

    def is_whole(self) -> bool:
        return True

    def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        return self._reader.chunks(span)

    def close(self) -> None:
        if self._shown >= 0:
            os.close(self._shown)
            self._shown = -1


class WithoutFile(Liar):
    """Claims a descriptor, and has none."""

    async def open(self, blob: Blob) -> BlobReader:
        return LyingReader(await self._store.open(blob))


class WithAnotherFile(Liar):
    """Shows a file that has not the blob's bytes."""

    async def open(self, blob: Blob) -> BlobReader:
        return LyingReader(await self._store.open(blob), os.open("/dev/zero", os.O_RDONLY))


class Nowhere(Liar):
    """Claims a place where nothing lies."""

    @property
    def front_served(self) -> Any:
        return self

    async def locate(self, blob: Blob) -> FrontPlace:
        return FrontPlace(f"{blob.scope}/{blob.id}")


class Forgetful(Liar):
    """Leaves a blob out of its list."""

    @property
    def inventory(self) -> Any:
        return self

    async def walk(self) -> AsyncIterator[StoredBlob]:
        found = [stored async for stored in self._store.walk()]
        for stored in found[1:]:
            yield stored

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        return await self._store.size_of(scope, blob_id)

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        return await self._store.clear_incoming(older_than_seconds=older_than_seconds)

    async def free_bytes(self) -> int:
        return await self._store.free_bytes()

    async def leftovers(self, *, older_than_seconds: float) -> int:
        return await self._store.leftovers(older_than_seconds=older_than_seconds)


class Overzealous(Forgetful):
    """Counts what is being written as a leftover."""

    async def walk(self) -> AsyncIterator[StoredBlob]:
        async for stored in self._store.walk():
            yield stored

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        del older_than_seconds
        return 1


class ShortReader(LyingReader):
    """Ends a span a byte early, as if that were its end."""

    @property
    def descriptor(self) -> None:
        return

    async def _short(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        async for piece in self._reader.chunks(span):
            yield piece[:-1] or piece

    def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        return self._short(span)


class Short(Liar):
    """Its readers give less than they were asked for."""

    async def open(self, blob: Blob) -> BlobReader:
        return ShortReader(await self._store.open(blob))


@pytest.mark.parametrize(
    ("liar", "ability"),
    [
        pytest.param(WithoutFile, DESCRIPTOR, id="a descriptor that is none"),
        pytest.param(WithAnotherFile, DESCRIPTOR, id="a descriptor of another file"),
        pytest.param(Nowhere, FRONT_SERVED, id="a place where nothing lies"),
        pytest.param(Forgetful, INVENTORY, id="a list that lacks one"),
        pytest.param(Overzealous, INVENTORY, id="living uploads as leftovers"),
        pytest.param(Short, READER, id="spans that end early"),
    ],
)
async def test_a_store_that_lies_is_found_out(
    liar: Callable[[], Liar], ability: str, tmp_path: Path
) -> None:
    found = []
    for check in CHECKS[ability]:
        try:
            await check(cast(BlobStore, liar()), partial(fetch_from_disk, tmp_path))
        except (AssertionError, OSError, BlobMissing) as lie:
            found.append(lie)
    assert found
