"""One upload on its way to disk: batches, hashes, the one descriptor.

Rule: one job at a time for an upload, and nobody closes the descriptor under a job, however
the upload ends. No batch is written before the account of the disk's space gave room for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final
from uuid import UUID

from gateway.blobs.disk.batches import Batch, Batches
from gateway.blobs.disk.folders import STAGE_FLAGS, Disk, disk_errors
from gateway.blobs.disk.publishing import Publisher, Sealing
from gateway.blobs.disk.space import Share
from gateway.blobs.disk.writeback import begin_write_back
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import StorageFailed
from gateway.model.file import Blob, Scope
from gateway.process.ids import random_id
from gateway.settings.fastways import FastWay

_WRITE_BACK_BYTES: Final = 8 * 1024 * 1024


class DiskWriter:
    """One upload on its way to disk, hashed and written a batch at a time in a thread."""

    def __init__(
        self,
        disk: Disk,
        pool: ThreadPoolExecutor,
        publisher: Publisher,
        scope: Scope,
        algorithms: Collection[str],
        blob_id: UUID | None = None,
    ) -> None:
        self._disk = disk
        self._pool = pool
        self._publisher = publisher
        self._scope = scope
        self._id = blob_id or random_id()
        # An id that comes again may have left a part of an attempt that was cut.
        self._part = f"{self._id if blob_id is None else random_id()}.part"
        self._hashes = {name: hashlib.new(name) for name in {SHA256, *algorithms}}
        self._share = Share(disk.space)
        self._descriptor: int | None = None
        self._job: Future[None] | asyncio.Future[None] | None = None
        self._batch = self._new_batch()
        self._batches = Batches()
        self._size = 0
        self._written = 0
        self._begun = 0
        self._sealed = False
        self._dropped = False

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""
        return self._id

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._size

    async def begin(self, expected_bytes: int) -> None:
        """Create the part now. An upload of less than a batch does it all in one go later."""

        def create() -> None:
            self._create(expected_bytes)

        await self._start(create)

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``; full batches go to a thread while the next one fills."""
        self._size += len(chunk)
        self._batch.add(chunk)
        if self._batch.size >= self._disk.batch_bytes:
            await self._hand_over()

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""
        if self._batch.size:
            await self._hand_over()
        await self._settle()
        return self._digests()

    async def seal(self) -> Blob:
        """Make the bytes durable under their permanent id."""
        await self._settle()
        self._sealed = True
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        store = partial(self._store, self._batch)
        sealing = Sealing(self._part, self._id, self._scope, store, self._sync, outcome)
        self._publisher.submit(sealing, alone=self._descriptor is not None)
        self._job = outcome
        await self._settle()
        computed = self._digests()
        md5 = computed[MD5].hex() if MD5 in computed else None
        return Blob(self._id, self._scope, self._size, Digest(computed[SHA256].hex()), md5)

    async def discard(self) -> None:
        """Forget the upload, once the thread that works for it has finished."""
        with contextlib.suppress(Exception):  # the upload failed already; this is its end
            await self._settle()
        if self._sealed and self._job is None:
            return
        await self._start(self._drop)

    async def _hand_over(self) -> None:
        full, self._batch = self._batch, self._new_batch()
        if self._batches.put(full):
            try:
                await self._settle()  # the last job took all there was; here is how it ended
            except BaseException:
                self._batches.give_up()
                raise
            self._job = self._pool.submit(self._absorb_batches)
        await self._batches.room()

    def _new_batch(self) -> Batch:
        return Batch(handover=FastWay.HANDOVER in self._disk.ways)

    def _digests(self) -> dict[str, bytes]:
        return {name: hasher.digest() for name, hasher in self._hashes.items()}

    async def _settle(self) -> None:
        """Wait until no job runs. Cancelling the wait does not forget the job.

        Two may wait, if a request ends while its commit goes on; the first to be woken may
        start another job, and the second must wait for that one, too.
        """
        while (job := self._job) is not None:
            if job.done():
                job.result()
            else:
                await asyncio.shield(asyncio.wrap_future(job))
            if self._job is job:
                self._job = None

    async def _start(self, work: Callable[[], None]) -> None:
        self._job = self._pool.submit(work)
        await self._settle()

    def _create(self, expected_bytes: int = 0) -> int:
        """The part's descriptor, which locks it for as long as it is open."""
        if self._dropped:  # a second part would have the tail of the bytes, under their hash
            raise StorageFailed()
        with disk_errors():
            self._share.promise(expected_bytes)
            self._descriptor = os.open(self._part, STAGE_FLAGS, 0o640, dir_fd=self._disk.incoming)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._descriptor

    def _absorb_batches(self) -> None:
        try:
            while (batch := self._batches.take()) is not None:
                self._absorb(batch)
        except BaseException:
            self._batches.give_up()
            raise

    def _absorb(self, batch: Batch) -> None:
        descriptor = self._create() if self._descriptor is None else self._descriptor
        with disk_errors(), self._share.spending(batch.size):
            for piece in batch.pieces:
                for hasher in self._hashes.values():
                    hasher.update(piece)
                write_all(descriptor, memoryview(piece))
                self._written += len(piece)
        early = FastWay.WRITE_BACK in self._disk.ways
        if early and self._written - self._begun >= _WRITE_BACK_BYTES:
            begin_write_back(descriptor, self._begun, self._written - self._begun)
            self._begun = self._written

    def _store(self, batch: Batch) -> None:
        self._absorb(batch)
        self._share.give_back()

    def _sync(self) -> None:
        with disk_errors():
            assert self._descriptor is not None, "opened to store"
            self._disk.sync(self._descriptor)
            self._close()

    def _drop(self) -> None:
        self._dropped = True
        self._share.give_back()
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._part, dir_fd=self._disk.incoming)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)  # checked: NFS and quotas report here


def write_all(descriptor: int, content: memoryview) -> None:
    """Write every byte, however little each call takes. Raises ``OSError``."""
    while content:
        content = content[os.write(descriptor, content) :]
