"""Sweep, check and scrub: what keeps bytes and rows in step over years.

Safe beside serving gateways and on several machines at once: every step is idempotent,
and a blob is claimed in the catalogue before its bytes go, so that a late commit of it
fails instead of pointing at nothing.

Rule: a row without its blob is reported, never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.blobs.port import BlobStore, StoredBlob
from gateway.catalogue.port import Catalogue
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 500
_SCRUB_BYTES: Final = 1024 * 1024
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class GracePeriods:
    """How long each kind of leftover is left alone, in seconds."""

    incoming_seconds: float
    orphan_seconds: float


@dataclass(slots=True)
class SweepReport:
    """What a sweep removed."""

    incoming: int = 0
    orphans: int = 0
    garbage: int = 0


@dataclass(slots=True)
class CheckReport:
    """What does not fit together: blob ids by what is wrong with them.

    ``missing`` and ``wrong_size`` (rows whose bytes are not right) are losses;
    ``orphans`` (bytes without a row) wait for the sweeper.
    """

    rows: int = 0
    missing: list[UUID] = field(default_factory=list)
    wrong_size: list[UUID] = field(default_factory=list)
    orphans: list[UUID] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether every row has its bytes."""
        return not self.missing and not self.wrong_size


@dataclass(slots=True)
class ScrubReport:
    """How many blobs were re-hashed, and which are damaged."""

    blobs: int = 0
    damaged: list[UUID] = field(default_factory=list)


async def sweep(blobs: BlobStore, catalogue: Catalogue, graces: GracePeriods) -> SweepReport:
    """Remove stale parts, blobs that no row names, and condemned blobs whose grace is over."""
    report = SweepReport()
    report.incoming = await blobs.clear_incoming(older_than_seconds=graces.incoming_seconds)
    report.orphans = await _sweep_orphans(blobs, catalogue, graces.orphan_seconds)
    report.garbage = await _sweep_garbage(blobs, catalogue)
    await catalogue.tidy()
    return report


async def check(blobs: BlobStore, catalogue: Catalogue) -> CheckReport:
    """Compare rows with bytes; change nothing.

    A blob whose row is just being committed may show as an orphan.
    """
    report = CheckReport()
    async for blob in _live_blobs(catalogue):
        report.rows += 1
        size = await blobs.size_of(blob.scope, blob.id)
        if size != blob.size and await _is_live(catalogue, blob):
            (report.missing if size is None else report.wrong_size).append(blob.id)
    async for page in _pages(blobs):
        report.orphans += [stored.id for stored in await _unknown(catalogue, page)]
    return report


async def scrub(blobs: BlobStore, catalogue: Catalogue) -> ScrubReport:
    """Read every live blob and compare its digest with its row."""
    report = ScrubReport()
    async for blob in _live_blobs(catalogue):
        report.blobs += 1
        if not await _is_intact(blobs, blob) and await _is_live(catalogue, blob):
            report.damaged.append(blob.id)
    return report


async def _sweep_orphans(blobs: BlobStore, catalogue: Catalogue, grace_seconds: float) -> int:
    limit = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    removed = 0
    async for page in _pages(blobs):
        old = [stored for stored in page if stored.modified_at < limit]
        for stored in await _unknown(catalogue, old):
            if await catalogue.condemn_orphan(stored.id, stored.scope):
                with _one_blob(stored.id):
                    removed += await blobs.remove(stored.scope, stored.id)
    return removed


async def _sweep_garbage(blobs: BlobStore, catalogue: Catalogue) -> int:
    removed = 0
    while due := await catalogue.due_garbage(_PAGE):
        gone = []
        for garbage in due:
            with _one_blob(garbage.blob_id):
                removed += await blobs.remove(garbage.scope, garbage.blob_id)
                gone.append(garbage.blob_id)
        if not gone:
            break  # what is left cannot be removed now; the next sweep tries again
        await catalogue.forget(gone)
    return removed


@contextlib.contextmanager
def _one_blob(blob_id: UUID) -> Iterator[None]:
    """A blob that cannot be removed does not keep the others from it."""
    try:
        yield
    except StorageFailed:
        _log.warning("a blob cannot be removed", exc_info=True, extra={"blob_id": str(blob_id)})


async def _is_intact(blobs: BlobStore, blob: Blob) -> bool:
    try:
        reader = await blobs.open(blob)
    except BlobMissing:
        return False
    try:
        hasher = hashlib.sha256()
        for offset in range(0, blob.size, _SCRUB_BYTES):
            hasher.update(await reader.read(offset, min(_SCRUB_BYTES, blob.size - offset)))
        return hasher.digest() == blob.digest.raw
    except BlobMissing:
        return False
    finally:
        reader.close()


async def _is_live(catalogue: Catalogue, blob: Blob) -> bool:
    """Whether the blob was not removed while it was being read."""
    return await catalogue.committed(blob.id) is not None


async def _live_blobs(catalogue: Catalogue) -> AsyncIterator[Blob]:
    after = _FIRST
    while page := await catalogue.blobs_after(after, _PAGE):
        for blob in page:
            yield blob
        after = page[-1].id


async def _pages(blobs: BlobStore) -> AsyncIterator[list[StoredBlob]]:
    page: list[StoredBlob] = []
    async for stored in blobs.walk():
        page.append(stored)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


async def _unknown(catalogue: Catalogue, page: list[StoredBlob]) -> list[StoredBlob]:
    known = await catalogue.known([stored.id for stored in page])
    return [stored for stored in page if stored.id not in known]
