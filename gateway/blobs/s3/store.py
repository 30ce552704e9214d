"""The blob store in a bucket: the port's verbs on objects.

Rule: an object is a blob's from its first byte to its last, under a key that is never used again.
What its bytes survive is what the store promises; this only sees that they arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from gateway.blobs.port import StoredBlob
from gateway.blobs.s3.bucket import S3Bucket, StoreWatch, unwatched
from gateway.blobs.s3.keys import blob_at, blobs_of, key_of, probe_of
from gateway.blobs.s3.options import S3Options
from gateway.blobs.s3.probing import Traits, find_out
from gateway.blobs.s3.reader import S3Reader
from gateway.blobs.s3.room import PartRoom
from gateway.blobs.s3.signing import presigned
from gateway.blobs.s3.unfinished import PlainRequests, UnfinishedUpload
from gateway.blobs.s3.writer import PartPlan, S3Writer
from gateway.model.errors import BlobMissing, GatewayError
from gateway.model.file import Blob, FrontPlace, Scope, ShownBytes
from gateway.process.malloc import return_large

_UNBOUNDED: Final = 2**62
_PROBED_SECONDS: Final = 5.0
_END_SECONDS: Final = 15.0
_log: Final = logging.getLogger(__name__)


class S3BlobStore:
    """Blobs as objects of one bucket."""

    def __init__(self, bucket: S3Bucket, pool: ThreadPoolExecutor, traits: Traits) -> None:
        self._bucket = bucket
        self._pool = pool
        self._traits = traits
        self._room = PartRoom()
        self._writing: dict[UUID, S3Writer] = {}
        self._uploads: set[asyncio.Task[None]] = set()
        self._probed = float("-inf")
        self._fault: GatewayError | None = None

    @property
    def front_served(self) -> S3BlobStore:
        """Whoever has a signed address may read."""
        return self

    @property
    def client_served(self) -> S3BlobStore | None:
        """Whoever has a signed address may read. One whose file has a name only we can sign."""
        return None if self._bucket.options.credential is None else self

    @property
    def inventory(self) -> S3BlobStore:
        """A bucket can be listed."""
        return self

    @contextlib.asynccontextmanager
    async def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AsyncIterator[S3Writer]:
        """Begin an upload; what is not sealed by the end of the block is discarded."""
        most = self._bucket.options.most_bytes if expected_bytes is None else expected_bytes
        writer = S3Writer(
            self._bucket,
            self._pool,
            self._room,
            scope,
            algorithms,
            PartPlan.of(most, len(self._writing) + 1),
            blob_id=blob_id,
            expected_bytes=expected_bytes,
            read_back=self._reads_back,
        )
        self._writing[writer.blob_id] = writer
        try:
            yield writer
        finally:
            try:
                await writer.discard()
            finally:
                del self._writing[writer.blob_id]
                self._see_off(writer)

    @property
    def _reads_back(self) -> bool:
        """Whether uploads are compared by us: asked for, or because the store compares nothing."""
        asked = self._bucket.options.read_back
        return self._traits.compares is False if asked is None else asked

    def _see_off(self, writer: S3Writer) -> None:
        """Watch what an upload has under way still, to its end."""
        if writer.upload is not None and not writer.upload.done():
            self._uploads.add(writer.upload)
            writer.upload.add_done_callback(self._ended)

    def _ended(self, upload: asyncio.Task[None]) -> None:
        self._uploads.discard(upload)
        if not upload.cancelled() and upload.exception() is not None:
            _log.debug("an upload ended without its writer", exc_info=upload.exception())

    async def open(self, blob: Blob) -> S3Reader:
        """The blob's bytes. Raises ``BlobMissing`` if they are not there or not of its size."""
        found = await self._bucket.head(self._key(blob.scope, blob.id))
        if found.size != blob.size:
            raise BlobMissing()
        return S3Reader(self._bucket, found)

    async def locate(self, blob: Blob) -> FrontPlace:
        """The object's path at the store, and a signature that lets it be read for a while.

        A front server cannot ask for another one in the middle of a body, which it fetches at the
        pace of its client. Raises ``BlobMissing`` if it is not there or not of its size.
        """
        await self.open(blob)
        signed, now = self._bucket.options.signed_seconds, time.monotonic()
        address = await self._bucket.sign(self._key(blob.scope, blob.id), signed)
        parts = urlsplit(address)
        return FrontPlace(parts.path.lstrip("/"), parts.query, now + signed / 2)

    async def address_of(self, blob: Blob, shown: ShownBytes) -> str:
        """The object's address for a client, signed for a moment.

        Raises ``BlobMissing`` if it is not there or not of its size.
        """
        await self.open(blob)
        options = self._bucket.options
        assert options.credential is not None, "the ability is offered"
        return presigned(
            f"{options.client_url}/{self._key(blob.scope, blob.id)}",
            {
                "response-cache-control": shown.cache_control,
                "response-content-disposition": shown.disposition,
                "response-content-type": shown.content_type,
            },
            options.credential,
            region=options.region,
            now=datetime.now(UTC),
            seconds=options.redirect_seconds,
        )

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        """Delete the object. Absence is success."""
        await self._bucket.delete(self._key(scope, blob_id))

    async def probe(self) -> None:
        """Raise ``StorageUnavailable`` or ``StorageFull`` unless an upload could be stored now.

        Tried once in a few seconds, however many ask.
        """
        if time.monotonic() - self._probed >= _PROBED_SECONDS:
            self._probed = time.monotonic()
            key = probe_of(self._bucket.options.within, uuid4().hex)
            self._fault = None
            try:
                await self._bucket.put(key, [b"probe"])
                await self._bucket.delete(key)
            except GatewayError as exc:
                self._fault = exc
        if self._fault is not None:
            raise self._fault

    async def free_bytes(self) -> int:
        """More than anybody has: a bucket does not say."""
        return _UNBOUNDED

    @property
    def in_order(self) -> bool:
        """A bucket is listed by its keys, a thousand in a request."""
        return True

    async def walk(self) -> AsyncIterator[StoredBlob]:
        """Every blob, in the order of the bytes of its key."""
        within = self._bucket.options.within
        async with contextlib.aclosing(self._bucket.list(blobs_of(within))) as pages:
            async for page in pages:
                for entry in page:
                    if (place := blob_at(within, entry.key)) is not None:
                        scope, blob_id = place
                        yield StoredBlob(blob_id, scope, entry.size, entry.modified_at)

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        """How many bytes the blob has, or ``None`` if there is none."""
        with contextlib.suppress(BlobMissing):
            return (await self._bucket.head(self._key(scope, blob_id))).size
        return None

    async def leftovers(self, *, older_than_seconds: float) -> int:
        """How many unfinished uploads there are of that age that nobody can be writing."""
        return len([upload async for _, upload in self._abandoned(older_than_seconds)])

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        """Remove unfinished uploads that nobody can be writing; how many."""
        removed = 0
        async for plain, upload in self._abandoned(older_than_seconds):
            await plain.abort(upload)
            removed += 1
        return removed

    async def _abandoned(
        self, older_than_seconds: float
    ) -> AsyncIterator[tuple[PlainRequests, UnfinishedUpload]]:
        """Older than any upload may take: if another gateway writes it, the store cannot say."""
        options = self._bucket.options
        if options.credential is None:
            return
        age = max(older_than_seconds, options.longest_upload_seconds)
        limit, plain = (
            datetime.now(UTC) - timedelta(seconds=age),
            PlainRequests(options, options.credential),
        )
        async for upload in plain.unfinished():
            place = blob_at(options.within, upload.key)
            if place is not None and place[1] not in self._writing and upload.begun_at < limit:
                yield plain, upload

    async def drain(self) -> None:
        """Wait a while for what is under way; the rest is left to the sweeper."""
        if self._uploads:
            await asyncio.wait(set(self._uploads), timeout=_END_SECONDS)

    def _key(self, scope: Scope, blob_id: UUID) -> str:
        return key_of(self._bucket.options.within, scope, blob_id)


@contextlib.asynccontextmanager
async def open_s3_store(
    options: S3Options, *, threads: int = 4, watch: StoreWatch = unwatched
) -> AsyncIterator[S3BlobStore]:
    """The store in the bucket, tried for being usable.

    Uploads have ``threads`` threads to hash with. Raises ``StartupFailed`` with the reason if the
    bucket cannot be used. Open it in the process that uses it: the client has threads.
    """
    return_large()
    bucket = S3Bucket(options, watch)
    traits = await find_out(bucket)
    pool = ThreadPoolExecutor(threads, "blob-hash")
    try:
        store = S3BlobStore(bucket, pool, traits)
        yield store
        await store.drain()
    finally:
        await asyncio.to_thread(pool.shutdown)
