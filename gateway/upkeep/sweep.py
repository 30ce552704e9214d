"""Sweep, check and scrub: what keeps bytes and rows in step over years.

Safe beside serving gateways and on several machines at once: every step is idempotent,
and a blob is claimed in the catalogue before its bytes go, so that a late commit of it
fails instead of pointing at nothing.

A store that cannot be listed (it has no ``Inventory``) is kept as far as its rows reach, and
the report says that nothing else was looked for.

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

from gateway.blobs.port import BlobStore, Inventory, StoredBlob
from gateway.catalogue.port import BlobLedger
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 500
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class GracePeriods:
    """How long each kind of leftover is left alone, in seconds."""

    incoming_seconds: float
    orphan_seconds: float


@dataclass(slots=True)
class SweepReport:
    """What a sweep removed.

    If the store was not ``listed``, leftovers and orphans were not looked for.
    """

    incoming: int = 0
    orphans: int = 0
    garbage: int = 0
    listed: bool = True


@dataclass(slots=True)
class CheckReport:
    """What does not fit together: blob ids by what is wrong with them.

    ``missing`` and ``wrong_size`` (rows whose bytes are not right) are losses;
    ``orphans`` (bytes without a row) wait for the sweeper. If the store was not ``listed``, they
    were not looked for, and ``missing`` has what is of a wrong size, too.
    """

    rows: int = 0
    missing: list[UUID] = field(default_factory=list)
    wrong_size: list[UUID] = field(default_factory=list)
    orphans: list[UUID] = field(default_factory=list)
    listed: bool = True

    @property
    def sound(self) -> bool:
        """Whether every row has its bytes."""
        return not self.missing and not self.wrong_size


@dataclass(slots=True)
class ScrubReport:
    """How many blobs were re-hashed, and which are damaged."""

    blobs: int = 0
    damaged: list[UUID] = field(default_factory=list)


async def sweep(blobs: BlobStore, ledger: BlobLedger, grace: GracePeriods) -> SweepReport:
    """Remove stale parts, blobs that no row names, and condemned blobs whose grace is over."""
    report, inventory = SweepReport(), _inventory_of(blobs)
    if inventory is None:
        report.listed = False
    else:
        report.incoming = await inventory.clear_incoming(older_than_seconds=grace.incoming_seconds)
        orphans = _old_orphans(inventory, ledger, grace.orphan_seconds)
        report.orphans = await _remove_orphans(orphans, blobs, ledger)
    report.garbage = await _sweep_garbage(blobs, ledger)
    await ledger.expire()
    return report


async def check(blobs: BlobStore, ledger: BlobLedger) -> CheckReport:
    """Compare rows with bytes; change nothing.

    A blob whose row is just being committed may show as an orphan.
    """
    report, inventory = CheckReport(), _inventory_of(blobs)
    async for blob in _live_blobs(ledger):
        report.rows += 1
        size = await _size_of(blobs, inventory, blob)
        if size != blob.size and await _is_live(ledger, blob):
            (report.missing if size is None else report.wrong_size).append(blob.id)
    if inventory is None:
        report.listed = False
        return report
    async for page in _pages(inventory):
        report.orphans += [stored.id for stored in await _unknown(ledger, page)]
    return report


async def scrub(blobs: BlobStore, ledger: BlobLedger) -> ScrubReport:
    """Read every live blob and compare its digest with its row."""
    report = ScrubReport()
    async for blob in _live_blobs(ledger):
        report.blobs += 1
        if not await _is_intact(blobs, blob) and await _is_live(ledger, blob):
            report.damaged.append(blob.id)
    return report


def _inventory_of(blobs: BlobStore) -> Inventory | None:
    """What the store can be listed by; it is said if there is nothing."""
    if blobs.inventory is None:
        _log.warning("the store cannot be listed: leftovers and orphans are not looked for")
    return blobs.inventory


async def _size_of(blobs: BlobStore, inventory: Inventory | None, blob: Blob) -> int | None:
    """How many bytes are stored; a store that cannot say so is asked for the blob."""
    if inventory is not None:
        return await inventory.size_of(blob.scope, blob.id)
    try:
        reader = await blobs.open(blob)
    except BlobMissing:
        return None
    reader.close()
    return reader.size


async def _old_orphans(
    inventory: Inventory, ledger: BlobLedger, grace_seconds: float
) -> AsyncIterator[StoredBlob]:
    limit = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    async for page in _pages(inventory):
        old = [stored for stored in page if stored.modified_at < limit]
        for stored in await _unknown(ledger, old):
            yield stored


async def _remove_orphans(
    orphans: AsyncIterator[StoredBlob], blobs: BlobStore, ledger: BlobLedger
) -> int:
    removed = 0
    async for stored in orphans:
        if await ledger.condemn_orphan(stored.id, stored.scope):
            with _one_blob(stored.id):
                await blobs.remove(stored.scope, stored.id)
                removed += 1
    return removed


async def _sweep_garbage(blobs: BlobStore, ledger: BlobLedger) -> int:
    removed = 0
    while due := await ledger.due_garbage(_PAGE):
        gone = []
        for garbage in due:
            with _one_blob(garbage.blob_id):
                await blobs.remove(garbage.scope, garbage.blob_id)
                gone.append(garbage.blob_id)
        if not gone:
            break  # what is left cannot be removed now; the next sweep tries again
        await ledger.purge(gone)
        removed += len(gone)
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
        async with contextlib.aclosing(reader.chunks(ByteRange(0, blob.size))) as chunks:
            async for chunk in chunks:
                hasher.update(chunk)
        return hasher.digest() == blob.digest.raw
    except BlobMissing:
        return False
    finally:
        reader.close()


async def _is_live(ledger: BlobLedger, blob: Blob) -> bool:
    """Whether the blob was not removed while it was being read."""
    return await ledger.committed(blob.id) is not None


async def _live_blobs(ledger: BlobLedger) -> AsyncIterator[Blob]:
    after = _FIRST
    while page := await ledger.blobs_after(after, _PAGE):
        for blob in page:
            yield blob
        after = page[-1].id


async def _pages(inventory: Inventory) -> AsyncIterator[list[StoredBlob]]:
    page: list[StoredBlob] = []
    async for stored in inventory.walk():
        page.append(stored)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


async def _unknown(ledger: BlobLedger, page: list[StoredBlob]) -> list[StoredBlob]:
    existing = await ledger.which_exist([stored.id for stored in page])
    return [stored for stored in page if stored.id not in existing]
