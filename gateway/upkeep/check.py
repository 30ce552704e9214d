"""Checking: whether rows and bytes fit together, and what each misfit is called.

A finding names the file by scope and name, as its owner knows it, and the blob as the disk does.
Safe beside serving gateways: what changed while it was looked at is looked at again, and only
``repair`` changes anything.

Rule: a row without its bytes is reported, never removed: its name may be all there is to ask for
the bytes by.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final
from uuid import UUID

from gateway.blobs.port import BlobStore, Inventory
from gateway.catalogue.port import BlobLedger, Miscount
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob, Scope
from gateway.upkeep.sizes import Sized, walked_sizes
from gateway.upkeep.sweep import GracePeriods, inventory_of, old_orphans, remove_orphans

_PAGE: Final = 500
_FIRST: Final = UUID(int=0)
_NO_GRACE: Final = GracePeriods(-1.0, -1.0)


@unique
class What(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    WRONG_SIZE = "wrong size"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    ORPHAN = "orphan"
    LEFTOVER = "leftover"
    MISCOUNTED = "miscounted"

    @property
    def remedy(self) -> str:
        """What does away with it."""
        return _REMEDIES[self]


_ANEW: Final = "restore the blob from a backup, or upload the file again"
_REMEDIES: Final = {
    What.MISSING: _ANEW,
    What.WRONG_SIZE: _ANEW,
    What.DAMAGED: _ANEW,
    What.UNREADABLE: "look for a failing disk or wrong permissions; then as for a damaged one",
    What.ORPHAN: "check --repair, or the sweep of the service",
    What.LEFTOVER: "check --repair, or the sweep of the service",
    What.MISCOUNTED: "check --repair",
}
MENDED: Final = frozenset({What.ORPHAN, What.LEFTOVER, What.MISCOUNTED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    ``scope`` and ``name`` are the file's, ``place`` is the blob's in the store; what an orphan
    was called, nobody knows.
    """

    what: What
    scope: Scope | None
    name: str | None
    blob_id: UUID | None
    place: Scope | None
    detail: str


@dataclass(slots=True)
class Report:
    """How many live blobs were looked at, and what is wrong.

    If the store was not ``listed``, orphans and leftovers were not looked for, and what is of a
    wrong size is missing. ``repaired`` is what was found and is mended.
    """

    blobs: int = 0
    findings: list[Finding] = field(default_factory=list)
    listed: bool = True
    repaired: list[Finding] = field(default_factory=list)

    def blobs_that_are(self, *kinds: What) -> list[UUID]:
        """The blobs of the findings of these kinds."""
        return [f.blob_id for f in self.findings if f.what in kinds and f.blob_id is not None]

    @property
    def sound(self) -> bool:
        """Whether every row has its bytes, as far as was looked."""
        return all(finding.what in MENDED for finding in self.findings)


Watch = Callable[[int, int], None]
"""Is told how many blobs and how many bytes have been looked at so far."""


def _unwatched(blobs: int, size: int) -> None:
    del blobs, size


async def check(
    blobs: BlobStore,
    ledger: BlobLedger,
    grace: GracePeriods = _NO_GRACE,
    watch: Watch = _unwatched,
) -> Report:
    """Compare rows with bytes, and kept totals with rows; change nothing.

    Orphans and leftovers count once they are older than their ``grace``: until then they may be
    uploads that are being committed.
    """
    report, inventory = Report(), inventory_of(blobs)
    seen = 0
    async for blob, size in _sizes(blobs, inventory, ledger):
        report.blobs, seen = report.blobs + 1, seen + blob.size
        watch(report.blobs, seen)
        if size != blob.size:
            await _report(report, ledger, blob, *_misfit(blob, size))
    report.findings += [_miscounted(found) async for found in ledger.miscounts()]
    if inventory is None:
        report.listed = False
        return report
    async for orphan in old_orphans(inventory, ledger, grace.orphan_seconds):
        detail = f"{orphan.size} bytes of {orphan.modified_at:%Y-%m-%d %H:%M:%S} UTC, no row"
        report.findings.append(Finding(What.ORPHAN, None, None, orphan.id, orphan.scope, detail))
    if count := await inventory.leftovers(older_than_seconds=grace.incoming_seconds):
        detail = f"{count} of uploads that nobody is writing"
        report.findings.append(Finding(What.LEFTOVER, None, None, None, None, detail))
    return report


async def repair(
    blobs: BlobStore, ledger: BlobLedger, grace: GracePeriods, report: Report
) -> Report:
    """Mend what can be mended: orphans and leftovers go, totals are counted again.

    What a second look finds no more is ``repaired`` in its report.
    """
    if blobs.inventory is not None:
        await blobs.inventory.clear_incoming(older_than_seconds=grace.incoming_seconds)
        orphans = old_orphans(blobs.inventory, ledger, grace.orphan_seconds)
        await remove_orphans(orphans, blobs, ledger)
    for miscount in [found async for found in ledger.miscounts()]:
        await ledger.recount(miscount)
    after = await check(blobs, ledger, grace)
    after.repaired = [f for f in report.findings if f.what in MENDED and f not in after.findings]
    return after


async def scrub(blobs: BlobStore, ledger: BlobLedger, watch: Watch = _unwatched) -> Report:
    """Read every live blob and compare its digest with its row."""
    report, seen = Report(), 0
    async for blob in _live_blobs(ledger):
        if fault := await _fault(blobs, blob):
            await _report(report, ledger, blob, *fault)
        report.blobs, seen = report.blobs + 1, seen + blob.size
        watch(report.blobs, seen)
    return report


async def _report(report: Report, ledger: BlobLedger, blob: Blob, what: What, detail: str) -> None:
    """Unless the blob was removed while it was being looked at."""
    record = await ledger.committed(blob.id)
    if record is not None:
        report.findings.append(
            Finding(what, record.scope, record.name, blob.id, blob.scope, detail)
        )


def _misfit(blob: Blob, size: int | None) -> tuple[What, str]:
    if size is None:
        return What.MISSING, f"{blob.size} bytes are not there"
    return What.WRONG_SIZE, f"{size} bytes are stored of {blob.size}"


def _miscounted(found: Miscount) -> Finding:
    whose = "of all its scopes" if found.of_account else "as the total"
    detail = (
        f"{found.kept} files, bytes and condemned bytes are kept {whose}, {found.counted} are there"
    )
    return Finding(What.MISCOUNTED, found.scope, None, None, None, detail)


async def _sizes(
    blobs: BlobStore, inventory: Inventory | None, ledger: BlobLedger
) -> AsyncIterator[Sized]:
    """Every live blob, and how many bytes are stored of it."""
    if inventory is not None and inventory.in_order:
        async with contextlib.aclosing(walked_sizes(inventory, ledger)) as walked:
            async for found in walked:
                yield found
        return
    async for blob in _live_blobs(ledger):
        yield blob, await _size_of(blobs, inventory, blob)


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


async def _fault(blobs: BlobStore, blob: Blob) -> tuple[What, str] | None:
    """What is wrong with the blob's bytes, if anything is."""
    try:
        digest = await _hash(blobs, blob)
    except BlobMissing:
        return What.MISSING, f"{blob.size} bytes are not there, or not all"
    except StorageFailed as exc:
        return What.UNREADABLE, str(exc.__cause__ or exc)
    if digest == blob.digest.raw:
        return None
    return What.DAMAGED, f"its SHA-256 is {digest.hex()} and was {blob.digest.raw.hex()}"


async def _hash(blobs: BlobStore, blob: Blob) -> bytes:
    reader = await blobs.open(blob)
    try:
        hasher = hashlib.sha256()
        async with contextlib.aclosing(reader.chunks(ByteRange(0, blob.size))) as chunks:
            async for chunk in chunks:
                hasher.update(chunk)
        return hasher.digest()
    finally:
        reader.close()


async def _live_blobs(ledger: BlobLedger) -> AsyncIterator[Blob]:
    after = _FIRST
    while page := await ledger.blobs_after(after, _PAGE):
        for blob in page:
            yield blob
        after = page[-1].id
