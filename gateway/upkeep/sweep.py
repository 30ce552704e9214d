"""Sweeping: what nobody needs any more goes.

Safe beside serving gateways and on several machines at once: every step is idempotent,
and a blob is claimed in the catalogue before its bytes go, so that a late commit of it
fails instead of pointing at nothing.

A store that cannot be listed (it has no ``Inventory``) is kept as far as its rows reach, and
the report says that nothing else was looked for.

Rule: only what no row names is removed; a row without its blob is the checker's to report.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.blobs.port import BlobStore, Inventory, StoredBlob
from gateway.catalogue.port import BlobLedger
from gateway.model.errors import StorageFailed, cause_of

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 500


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


async def sweep(blobs: BlobStore, ledger: BlobLedger, grace: GracePeriods) -> SweepReport:
    """Remove stale parts, blobs that no row names, and condemned blobs whose grace is over."""
    report, inventory = SweepReport(), inventory_of(blobs)
    if inventory is None:
        report.listed = False
    else:
        report.incoming = await inventory.clear_incoming(older_than_seconds=grace.incoming_seconds)
        orphans = old_orphans(inventory, ledger, grace.orphan_seconds)
        report.orphans = await remove_orphans(orphans, blobs, ledger)
    report.garbage = await _sweep_garbage(blobs, ledger)
    await ledger.expire()
    return report


def inventory_of(blobs: BlobStore) -> Inventory | None:
    """What the store can be listed by; it is said if there is nothing."""
    if blobs.inventory is None:
        _log.warning("the store cannot be listed: leftovers and orphans are not looked for")
    return blobs.inventory


async def old_orphans(
    inventory: Inventory, ledger: BlobLedger, grace_seconds: float
) -> AsyncIterator[StoredBlob]:
    """Stored blobs that no row names, of that age at least."""
    limit = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    async for page in _pages(inventory):
        old = [stored for stored in page if stored.modified_at < limit]
        for stored in await _unknown(ledger, old):
            yield stored


async def remove_orphans(
    orphans: AsyncIterator[StoredBlob], blobs: BlobStore, ledger: BlobLedger
) -> int:
    """Claim each in the ledger, then remove its bytes; how many went."""
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
    except StorageFailed as exc:
        named = {"blob_id": str(blob_id), "cause": cause_of(exc)}
        _log.warning("a blob cannot be removed", extra=named)


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
