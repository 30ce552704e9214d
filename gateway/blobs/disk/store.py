"""The blob store on a disk: the port's verbs, each one hop to a bounded pool of threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

import aiofiles.os

from gateway.blobs.disk.folders import READ_FLAGS, Disk, disk_errors
from gateway.blobs.disk.publishing import Publisher
from gateway.blobs.disk.reader import DiskReader
from gateway.blobs.disk.writer import DiskWriter
from gateway.blobs.port import StoredBlob, place_of
from gateway.model.errors import BlobMissing, StartupFailed, StorageFailed
from gateway.model.file import Blob, FrontPlace, Scope
from gateway.settings.fastways import ALL_WAYS, FastWay

P = ParamSpec("P")
T = TypeVar("T")

_FAILED_SYNCS_ALLOWED: Final = 3
_SEALERS_PER_THREAD: Final = 4
_PUBLISHERS: Final = 2


class DiskBlobStore:
    """A blob store in one folder of one file system."""

    def __init__(
        self,
        disk: Disk,
        publisher: Publisher,
        *,
        writers: ThreadPoolExecutor,
        readers: ThreadPoolExecutor,
    ) -> None:
        self._disk = disk
        self._publisher = publisher
        self._writers = writers
        self._readers = readers

    @property
    def front_served(self) -> DiskBlobStore:
        """nginx reads the same folders."""
        return self

    @property
    def client_served(self) -> None:
        """Nobody but this machine reads its disk."""
        return

    @property
    def inventory(self) -> DiskBlobStore:
        """Folders can be listed."""
        return self

    @contextlib.asynccontextmanager
    async def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AsyncIterator[DiskWriter]:
        """Begin an upload; what is not sealed by the end of the block is discarded."""
        writer = DiskWriter(self._disk, self._writers, self._publisher, scope, algorithms, blob_id)
        self._disk.writers += 1
        try:
            if not self._goes_in_one(expected_bytes):
                await writer.begin(expected_bytes or 0)
            yield writer
        finally:
            self._disk.writers -= 1
            await writer.discard()

    def _goes_in_one(self, expected_bytes: int | None) -> bool:
        """Whether an upload is so small that its part is made, written and published at once."""
        together = FastWay.PUBLISH_TOGETHER in self._disk.ways
        return together and expected_bytes is not None and expected_bytes <= self._disk.batch_bytes

    async def open(self, blob: Blob) -> DiskReader:
        """The blob's bytes. Raises ``BlobMissing`` if they are not there or not of its size."""
        job = self._readers.submit(self._open, blob)
        try:
            return await asyncio.shield(asyncio.wrap_future(job))
        except asyncio.CancelledError:
            job.add_done_callback(_close_unwanted)
            raise

    async def locate(self, blob: Blob) -> FrontPlace:
        """The blob's place relative to the folder of the permanent blobs.

        Raises ``BlobMissing`` if it is not there or not of its size.
        """
        if await self.size_of(blob.scope, blob.id) != blob.size:
            raise BlobMissing()
        return FrontPlace(place_of(blob.scope, blob.id))

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        """Delete the bytes. Absence is success."""
        path = place_of(scope, blob_id)
        with disk_errors(), contextlib.suppress(FileNotFoundError):
            await aiofiles.os.unlink(path, dir_fd=self._disk.blobs, executor=self._writers)

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        """How many bytes the blob has, or ``None`` if there is none."""
        path = place_of(scope, blob_id)
        with disk_errors(), contextlib.suppress(FileNotFoundError):
            found = await aiofiles.os.stat(
                path, dir_fd=self._disk.blobs, follow_symlinks=False, executor=self._readers
            )
            return int(found.st_size)
        return None

    @property
    def in_order(self) -> bool:
        """A folder has no order, and a look costs little."""
        return False

    async def walk(self) -> AsyncIterator[StoredBlob]:
        """Every permanent blob, a scope's folder at a time."""
        root = self._disk.root / "blobs"
        for kind in await self._read_side(_folder_names, root):
            for owner in await self._read_side(_folder_names, root / kind):
                for stored in await self._read_side(_blobs_in, root, Scope(kind, owner)):
                    yield stored

    async def free_bytes(self) -> int:
        """How much more could be stored, the watermark not regarded."""
        return await self._read_side(self._disk.space.free_bytes)

    async def leftovers(self, *, older_than_seconds: float) -> int:
        """How many leftovers of uploads there are that no living process is writing."""
        return await self._read_side(self._disk.clear_incoming, older_than_seconds, keep=True)

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        """Remove leftovers of uploads that no living process is writing; how many."""
        return await self._write_side(self._disk.clear_incoming, older_than_seconds)

    async def probe(self) -> None:
        """Raise ``StorageFailed`` or ``StorageFull`` unless an upload could be stored now."""
        await self._write_side(self._probe)

    def _probe(self) -> None:
        if self._disk.failed_syncs >= _FAILED_SYNCS_ALLOWED:
            raise StorageFailed()
        with disk_errors():
            self._disk.space.check()
            try:
                self._disk.check_layout()
            except StartupFailed as exc:
                raise StorageFailed() from exc

    def _open(self, blob: Blob) -> DiskReader:
        with disk_errors():
            try:
                place = place_of(blob.scope, blob.id)
                descriptor = os.open(place, READ_FLAGS, dir_fd=self._disk.blobs)
            except FileNotFoundError as exc:
                raise BlobMissing() from exc
            ready = FastWay.READ_READY in self._disk.ways
            reader = DiskReader(descriptor, blob.size, self._readers, read_ready=ready)
            try:
                _check_whole(descriptor, blob)
            except BaseException:
                reader.close()
                raise
        return reader

    async def _write_side(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _hop(self._writers, work, *args, **kwargs)

    async def _read_side(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _hop(self._readers, work, *args, **kwargs)


@contextlib.asynccontextmanager
async def open_disk_store(
    root: Path,
    *,
    threads: int = 4,
    min_free_bytes: int = 0,
    ways: frozenset[FastWay] = ALL_WAYS,
) -> AsyncIterator[DiskBlobStore]:
    """The store under ``root``, checked for being usable; closed at the end of the block.

    Uploads and downloads have ``threads`` threads each, and what only waits for the disk to
    sync has more of its own. Raises ``StartupFailed`` with the reason if the folder will not do.
    """
    disk = Disk(root, min_free_bytes=min_free_bytes, ways=ways)
    publisher = Publisher(disk, together=_PUBLISHERS, alone=_SEALERS_PER_THREAD * threads)
    writers = ThreadPoolExecutor(threads, "blob-write")
    readers = ThreadPoolExecutor(threads, "blob-read")
    try:
        await _hop(writers, disk.check_layout)
        yield DiskBlobStore(disk, publisher, writers=writers, readers=readers)
    finally:
        await asyncio.to_thread(writers.shutdown)
        await asyncio.to_thread(publisher.close)
        await asyncio.to_thread(readers.shutdown)
        disk.close()


async def _hop(
    pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """One blocking call on ``pool``; its OS errors are renamed."""
    with disk_errors():
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, partial(work, *args, **kwargs))


def _check_whole(descriptor: int, blob: Blob) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != blob.size:
        raise BlobMissing()


def _close_unwanted(job: Future[DiskReader]) -> None:
    """Whoever asked for the blob was cancelled while a thread opened it."""
    if job.exception() is None:
        job.result().close()


def _folder_names(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))


def _blobs_in(root: Path, scope: Scope) -> list[StoredBlob]:
    found: list[StoredBlob] = []
    with os.scandir(root / scope.kind / scope.owner) as entries:
        for entry in entries:
            with contextlib.suppress(ValueError, FileNotFoundError):
                info = entry.stat(follow_symlinks=False)
                modified = datetime.fromtimestamp(info.st_mtime, UTC)
                found.append(StoredBlob(UUID(entry.name), scope, info.st_size, modified))
    return found
