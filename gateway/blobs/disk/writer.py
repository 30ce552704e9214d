"""One upload on its way to disk: batches, hashes, the one descriptor.

Rule: one job at a time for an upload, and nobody closes the descriptor under a job, however
the upload ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from gateway.blobs.disk.folders import STAGE_FLAGS, Disk, disk_errors
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import StorageFailed
from gateway.model.file import Blob, Scope

_LEAST_BUFFER_BYTES: Final = 16 * 1024


class _Batch:
    """Bytes in one piece, so that a thread hashes and writes them in one call each.

    Every call that lets go of the interpreter must win it back from the event loop; with the
    chunks as they came, that costs more than gathering them.
    """

    def __init__(self) -> None:
        self.filled = 0
        self._buffer = bytearray()

    @property
    def content(self) -> memoryview:
        """The bytes gathered so far."""
        return memoryview(self._buffer)[: self.filled]

    def take(self, chunk: memoryview, limit: int) -> int:
        """Gather from ``chunk`` as much as ``limit`` has room for; how much that was."""
        count = min(len(chunk), limit - self.filled)
        if count <= 0:
            return 0
        end = self.filled + count
        if end > len(self._buffer):
            self._buffer += bytes(max(_LEAST_BUFFER_BYTES, min(limit, 2 * end)) - len(self._buffer))
        self._buffer[self.filled : end] = chunk[:count]
        self.filled = end
        return count


@dataclass(frozen=True, slots=True)
class Pools:
    """The threads of all uploads: some that hash and write, more that wait for syncs."""

    writers: ThreadPoolExecutor
    sealers: ThreadPoolExecutor


class DiskWriter:
    """One upload on its way to disk, hashed and written a batch at a time in a thread."""

    def __init__(self, disk: Disk, pools: Pools, scope: Scope, algorithms: Collection[str]) -> None:
        self._disk = disk
        self._pools = pools
        self._scope = scope
        self._id = uuid4()
        self._part = f"{self._id}.part"
        self._hashes = {name: hashlib.new(name) for name in {SHA256, *algorithms}}
        self._descriptor: int | None = None
        self._job: Future[None] | None = None
        self._batch = _Batch()
        self._spare = _Batch()
        self._size = 0
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

        await self._start(self._pools.writers, create)

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``; a full batch goes to a thread while the next one fills."""
        rest = memoryview(chunk)
        self._size += len(rest)
        while rest:
            rest = rest[self._batch.take(rest, self._disk.batch_bytes) :]
            if rest:
                await self._flush()

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""
        if self._batch.filled:
            await self._flush()
        await self._settle()
        return self._digests()

    async def seal(self) -> Blob:
        """Make the bytes durable under their permanent id."""
        await self._settle()
        self._sealed = True
        await self._start(self._pools.sealers, partial(self._make_durable, self._batch))
        computed = self._digests()
        md5 = computed[MD5].hex() if MD5 in computed else None
        return Blob(self._id, self._scope, self._size, Digest(computed[SHA256].hex()), md5)

    async def discard(self) -> None:
        """Forget the upload, once the thread that works for it has finished."""
        with contextlib.suppress(Exception):  # the upload failed already; this is its end
            await self._settle()
        if self._sealed and self._job is None:
            return
        await self._start(self._pools.writers, self._drop)

    async def _flush(self) -> None:
        await self._settle()
        full, self._batch, self._spare = self._batch, self._spare, self._batch
        self._job = self._pools.writers.submit(self._absorb, full)

    def _digests(self) -> dict[str, bytes]:
        return {name: hasher.digest() for name, hasher in self._hashes.items()}

    async def _settle(self) -> None:
        """Wait until no job runs. Cancelling the wait does not forget the job.

        Two may wait, if a request ends while its commit goes on; the first to be woken may
        start another job, and the second must wait for that one, too.
        """
        while (job := self._job) is not None:
            await asyncio.shield(asyncio.wrap_future(job))
            if self._job is job:
                self._job = None

    async def _start(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        self._job = pool.submit(work)
        await self._settle()

    def _create(self, expected_bytes: int = 0) -> int:
        """The part's descriptor, which locks it for as long as it is open."""
        if self._dropped:  # a second part would have the tail of the bytes, under their hash
            raise StorageFailed()
        with disk_errors():
            self._disk.check_room(expected_bytes)
            self._descriptor = os.open(self._part, STAGE_FLAGS, 0o640, dir_fd=self._disk.incoming)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._descriptor

    def _absorb(self, batch: _Batch) -> None:
        descriptor = self._create() if self._descriptor is None else self._descriptor
        content = batch.content
        for hasher in self._hashes.values():
            hasher.update(content)
        with disk_errors():
            write_all(descriptor, content)
        batch.filled = 0

    def _make_durable(self, batch: _Batch) -> None:
        self._absorb(batch)
        with disk_errors():
            assert self._descriptor is not None, "opened to absorb"
            self._disk.sync(self._descriptor)
            self._close()
            self._disk.publish(self._part, self._id, self._scope)

    def _drop(self) -> None:
        self._dropped = True
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
