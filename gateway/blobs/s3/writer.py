"""One upload on its way to a bucket.

Theory of operation. What comes is gathered to batches; each is hashed by a thread and then either
kept, as long as all of it fits into one request, or fed to an upload of parts that runs as a task
of its own. Memory holds a batch or two, a part that fills and the parts that are being sent,
whatever the size of the file; a client that is faster than the store waits. Parts have places that
all uploads share (``room``).

An upload of parts is never cancelled: its source raises instead, and the library takes away what
it had sent. What came of a request is not read off its error: an answer may be lost after the work
was done. ``seal`` looks at the object; it has to be there with every byte before anybody hears of
it.

Rule: on any exception nothing was promised. An object that arrives late has no row; the sweeper
removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from gateway.blobs.s3.bucket import S3Bucket
from gateway.blobs.s3.keys import key_of
from gateway.blobs.s3.reader import S3Reader
from gateway.blobs.s3.room import PartRoom, PartShare
from gateway.blobs.s3.source import PieceSource
from gateway.model.byterange import ByteRange
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import BlobMissing, Failure, StorageFailed, StorageUnavailable
from gateway.model.file import Blob, Scope

SMALLEST_PART_BYTES: Final = 5 * 1024 * 1024
"""The least that a part may have, the last one excepted, by the rules of S3."""
MOST_PARTS: Final = 10_000
_BATCH_BYTES: Final = 256 * 1024
_HASHED_HERE_BYTES: Final = 16 * 1024
_MOST_AT_ONCE: Final = 4
_LOOKS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.2
_DISCARD_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How an upload is cut: no more parts than there may be, each no larger than it has to be."""

    part_bytes: int
    at_once: int

    @classmethod
    def of(cls, most_bytes: int, writers: int) -> PartPlan:
        """For an upload of at most ``most_bytes`` that is one of so many."""
        part_bytes = max(SMALLEST_PART_BYTES, -(-most_bytes // (MOST_PARTS - 1)))
        return cls(part_bytes, max(1, _MOST_AT_ONCE // max(1, writers)))

    @property
    def places(self) -> int:
        """How many parts of the least size it may hold."""
        return self.at_once * -(-self.part_bytes // SMALLEST_PART_BYTES)


class S3Writer:
    """One upload, hashed as it comes."""

    def __init__(
        self,
        bucket: S3Bucket,
        pool: ThreadPoolExecutor,
        room: PartRoom,
        scope: Scope,
        algorithms: Collection[str],
        plan: PartPlan,
        *,
        blob_id: UUID | None = None,
        expected_bytes: int | None = None,
        read_back: bool = False,
    ) -> None:
        self._bucket = bucket
        self._pool = pool
        self._scope = scope
        self._id = blob_id or uuid4()
        self._comes_back = blob_id is not None
        self._key = key_of(bucket.options.within, scope, self._id)
        self._hashes = {name: hashlib.new(name) for name in {SHA256, *algorithms}}
        self._plan = plan
        self._large = expected_bytes is not None and expected_bytes > plan.part_bytes
        self._read_back = read_back
        self._batch: list[bytes | memoryview] = []
        self._batch_bytes = 0
        self._gathered: list[bytes] = []
        self._share = PartShare(room, plan.places)
        self._source = PieceSource(self._share, plan.part_bytes)
        self._upload: asyncio.Task[None] | None = None
        self._size = 0
        self._hashing = False
        self._sealed = False
        self._discarded = False

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""
        return self._id

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._size

    @property
    def upload(self) -> asyncio.Task[None] | None:
        """The request or requests under way, which nobody may cancel."""
        return self._upload

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``."""
        self._size += len(chunk)
        self._batch.append(chunk)
        self._batch_bytes += len(chunk)
        if self._batch_bytes >= _BATCH_BYTES:
            await self._hand_over()

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""
        await self._hand_over()
        return {name: hasher.digest() for name, hasher in self._hashes.items()}

    async def seal(self) -> Blob:
        """Make the bytes an object, and see that it is there and whole."""
        computed = await self.measure()
        if self._discarded:
            raise StorageFailed()
        if self._comes_back:
            await self._check_absent()
        await self._arrived(Digest(computed[SHA256].hex()))
        self._sealed = True
        md5 = computed[MD5].hex() if MD5 in computed else None
        return Blob(self._id, self._scope, self._size, Digest(computed[SHA256].hex()), md5)

    async def discard(self) -> None:
        """Forget the upload; what of it is under way tidies up after itself."""
        if self._sealed or self._discarded:
            return
        self._discarded = True
        self._batch, self._gathered, self._batch_bytes = [], [], 0
        self._source.discard()
        self._share.close()
        if self._upload is not None:
            await asyncio.wait({self._upload}, timeout=_DISCARD_SECONDS)
            if self._upload.done() and self._upload.exception() is None and not self._comes_back:
                with contextlib.suppress(Failure):
                    await self._bucket.delete(self._key)

    async def _hand_over(self) -> None:
        if self._hashing:  # a write was cancelled while a thread hashed it: this is not its content
            raise StorageFailed()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch or self._discarded:
            return
        self._hashing = True
        size = sum(map(len, batch))
        if size <= _HASHED_HERE_BYTES:
            piece = self._absorb(batch)
        else:
            loop = asyncio.get_running_loop()
            piece = await loop.run_in_executor(self._pool, self._absorb, batch)
        await self._take(piece)
        self._hashing = False

    def _absorb(self, batch: list[bytes | memoryview]) -> bytes:
        piece = bytes(batch[0]) if len(batch) == 1 else b"".join(batch)
        for hasher in self._hashes.values():
            hasher.update(piece)
        return piece

    async def _take(self, piece: bytes) -> None:
        """Keep the piece while all fits into one request, else feed it to the upload."""
        if self._upload is None:
            if self._gathered:
                await self._share.take()
            self._gathered.append(piece)
            if not self._large and self._size <= self._plan.part_bytes:
                self._share.lend()
                return
            self._upload = asyncio.create_task(self._put_parts())
            self._upload.add_done_callback(self._source.leave)
            self._upload.add_done_callback(self._share.close)
            gathered, self._gathered = self._gathered, []
            for waiting in gathered:
                await self._source.put(waiting)
            return
        await self._source.put(piece)

    async def _put_parts(self) -> None:
        plan = self._plan
        await self._bucket.put_parts(
            self._key, self._source, part_bytes=plan.part_bytes, at_once=plan.at_once
        )

    async def _put_whole(self) -> None:
        content, self._gathered = self._gathered, []
        await self._bucket.put(self._key, content)

    async def _check_absent(self) -> None:
        """Raise ``StorageFailed`` if there is an object of this id already."""
        with contextlib.suppress(BlobMissing):
            await self._bucket.head(self._key)
            raise StorageFailed()

    async def _arrived(self, digest: Digest) -> None:
        """Finish the upload, and look at what there is then. Raises a ``Failure``."""
        if self._upload is None:
            self._share.keep()
            self._upload = asyncio.create_task(self._put_whole())
            self._upload.add_done_callback(self._share.close)
        self._source.end()
        failure: Failure | None = None
        try:
            await asyncio.shield(self._upload)
        except Failure as exc:
            failure = exc
        stored = await self._looked(failure)
        if stored.size != self._size:
            await self._withdraw(f"{stored.size} bytes are stored of {self._size}")
        if failure is not None or self._read_back:
            await self._compare(stored, digest)

    async def _looked(self, failure: Failure | None) -> S3Reader:
        """The object, as the store now says it is; ``failure`` if it is not there."""
        pause = _FIRST_PAUSE_SECONDS
        for look in range(_LOOKS):
            try:
                found = await self._bucket.head(self._key)
                return S3Reader(self._bucket, found)
            except BlobMissing as exc:
                raise failure or StorageUnavailable() from exc
            except StorageUnavailable as exc:
                if look == _LOOKS - 1:
                    raise failure or exc from exc
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("it was looked at least once")

    async def _compare(self, stored: S3Reader, digest: Digest) -> None:
        """Read it back: if nobody knows how its upload ended, or the store compares nothing."""
        hasher = hashlib.sha256()
        async with contextlib.aclosing(stored.chunks(ByteRange(0, stored.size))) as pieces:
            async for piece in pieces:
                hasher.update(piece)
        if hasher.digest() != digest.raw:
            await self._withdraw("other bytes are stored than were sent")

    async def _withdraw(self, why: str) -> None:
        """The object is not what was sent. Raises ``StorageUnavailable``, once it is gone."""
        with contextlib.suppress(Failure):
            await self._bucket.delete(self._key)
        raise StorageUnavailable(why)
