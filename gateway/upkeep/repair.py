"""Repairing: what was found and can be mended is mended; what cannot is in quarantine, and said.

Orphans and leftovers go, totals are counted again. A blob that was found damaged is hashed: one
whose bytes are right leaves the quarantine, one of which there is a good copy elsewhere gets it,
and every other one goes into quarantine.

Rule: bytes are replaced only by bytes whose digest is that of the row, and that were hashed before
the damaged ones went.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol
from uuid import UUID

from gateway.blobs.port import BlobStore
from gateway.catalogue.port import BlobLedger
from gateway.model.damage import FoundBy
from gateway.model.file import Blob
from gateway.upkeep.check import MENDED, Report, check, entries_of
from gateway.upkeep.examine import examine
from gateway.upkeep.quarantine import Ward
from gateway.upkeep.sweep import GracePeriods, old_orphans, remove_orphans


class Copies(Protocol):
    """Where good copies of blobs may be."""

    async def put_back(self, blob: Blob, blobs: BlobStore) -> bool:
        """Give the store the blob's right bytes in place of what is there, if they are here."""


async def repair(
    ward: Ward, grace: GracePeriods, report: Report, copies: Copies | None = None
) -> Report:
    """Mend what the ``report`` found, as far as that can be.

    What a second look finds no more is ``repaired`` in its report. Raises ``StoreAway``.
    """
    blobs, ledger = ward.blobs, ward.ledger
    if blobs.inventory is not None:
        await blobs.inventory.clear_incoming(older_than_seconds=grace.incoming_seconds)
        orphans = old_orphans(blobs.inventory, ledger, grace.orphan_seconds)
        await remove_orphans(orphans, blobs, ledger)
    for miscount in [found async for found in ledger.miscounts()]:
        await ledger.recount(miscount)
    async for blob in _damaged(ward, report):
        await mend(ward, blob, copies)
    after = await check(blobs, ledger, grace, quarantine=ward.quarantine)
    still = {(finding.what in MENDED, finding.blob_id) for finding in after.findings}
    after.repaired = [
        f for f in report.findings
        if f not in after.findings and (f.what in MENDED or (False, f.blob_id) not in still)
    ]  # fmt: skip
    return after


async def mend(ward: Ward, blob: Blob, copies: Copies | None = None) -> bool:
    """Whether the blob's bytes are right now; else it is in quarantine. Raises ``StoreAway``."""
    fault = await examine(ward.blobs, blob)
    if fault is not None and copies is not None and await copies.put_back(blob, ward.blobs):
        fault = await examine(ward.blobs, blob)
    if fault is not None:
        await ward.admit(blob, fault, FoundBy.CHECK)
        return False
    await ward.release(blob.id, FoundBy.CHECK)
    return True


async def _damaged(ward: Ward, report: Report) -> AsyncIterator[Blob]:
    """What was found, and what is in quarantine."""
    async for entry in entries_of(ward.quarantine):
        yield entry.blob
    for finding in report.findings:
        if finding.what not in MENDED and finding.blob_id is not None:
            record = await _record(ward.ledger, finding.blob_id)
            if record is not None:
                yield record


async def _record(ledger: BlobLedger, blob_id: UUID) -> Blob | None:
    record = await ledger.committed(blob_id)
    return None if record is None or record.content.quarantined else record.content
