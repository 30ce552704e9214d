"""Checking: whether rows and bytes fit together, and what each misfit is called.

A finding names the file by scope and name, as its owner knows it, and the blob as the disk does.
Safe beside serving gateways: what changed while it was looked at is looked at again. Nothing is
changed here; ``repair`` does.

Rule: a row without its bytes is reported, never removed: its name may be all there is to ask for
the bytes by.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final
from uuid import UUID

from gateway.blobs.port import BlobStore, Inventory
from gateway.catalogue.damage import Quarantine, QuarantinePlace
from gateway.catalogue.port import BlobLedger, Miscount
from gateway.model.damage import Damage, Fault, Quarantined
from gateway.model.file import Blob, Scope
from gateway.upkeep.examine import examine, misfit, size_of
from gateway.upkeep.sizes import Sized, walked_sizes
from gateway.upkeep.sweep import GracePeriods, inventory_of, old_orphans

_PAGE: Final = 500
_FIRST: Final = UUID(int=0)
_NO_GRACE: Final = GracePeriods(-1.0, -1.0)


@unique
class What(StrEnum):
    """What is wrong."""

    MISSING = Damage.MISSING
    WRONG_SIZE = Damage.WRONG_SIZE
    DAMAGED = Damage.DAMAGED
    UNREADABLE = Damage.UNREADABLE
    ORPHAN = "orphan"
    LEFTOVER = "leftover"
    MISCOUNTED = "miscounted"

    @property
    def remedy(self) -> str:
        """What does away with it."""
        return _REMEDIES[self]


_ANEW: Final = "check --repair --from BACKUPS, or upload the file again"
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
    *,
    quarantine: Quarantine | None = None,
) -> Report:
    """Compare rows with bytes, and kept totals with rows; change nothing.

    What is in ``quarantine`` is found, whatever its size. Orphans and leftovers count once they are
    older than their ``grace``: until then they may be uploads that are being committed.
    """
    report, inventory = Report(), inventory_of(blobs)
    seen = 0
    async for blob, size in _sizes(blobs, inventory, ledger):
        report.blobs, seen = report.blobs + 1, seen + blob.size
        watch(report.blobs, seen)
        if fault := misfit(blob, size):
            await _report(report, ledger, blob, fault)
    if quarantine is not None:
        known = {finding.blob_id for finding in report.findings}
        async for entry in entries_of(quarantine):
            if entry.blob.id not in known:
                report.findings.append(finding_of(entry))
    report.findings += [_miscounted(found) async for found in ledger.miscounts()]
    if inventory is None:
        report.listed = False
        return report
    await _find_rubbish(report, inventory, ledger, grace)
    return report


async def entries_of(quarantine: Quarantine) -> AsyncIterator[Quarantined]:
    """All that is in quarantine, the longest there first."""
    place = None
    while page := await quarantine.page(place, _PAGE):
        for entry in page:
            yield entry
        place = QuarantinePlace(page[-1].found_at, page[-1].blob.id)


def finding_of(entry: Quarantined) -> Finding:
    """What is in quarantine, as a finding."""
    fault, file, blob = entry.fault, entry.file, entry.blob
    since = f"{fault.detail}; in quarantine since {entry.found_at:%Y-%m-%d %H:%M:%S} UTC"
    return Finding(What(fault.damage), file.scope, file.name, blob.id, blob.scope, since)


async def _find_rubbish(
    report: Report, inventory: Inventory, ledger: BlobLedger, grace: GracePeriods
) -> None:
    async for orphan in old_orphans(inventory, ledger, grace.orphan_seconds):
        detail = f"{orphan.size} bytes of {orphan.modified_at:%Y-%m-%d %H:%M:%S} UTC, no row"
        report.findings.append(Finding(What.ORPHAN, None, None, orphan.id, orphan.scope, detail))
    if count := await inventory.leftovers(older_than_seconds=grace.incoming_seconds):
        detail = f"{count} of uploads that nobody is writing"
        report.findings.append(Finding(What.LEFTOVER, None, None, None, None, detail))


async def scrub(blobs: BlobStore, ledger: BlobLedger, watch: Watch = _unwatched) -> Report:
    """Hash every live blob and compare its digest with its row; change nothing."""
    report, seen = Report(), 0
    async for blob in _live_blobs(ledger):
        if fault := await examine(blobs, blob):
            await _report(report, ledger, blob, fault)
        report.blobs, seen = report.blobs + 1, seen + blob.size
        watch(report.blobs, seen)
    return report


async def _report(report: Report, ledger: BlobLedger, blob: Blob, fault: Fault) -> None:
    """Unless the blob was removed while it was being looked at."""
    record = await ledger.committed(blob.id)
    if record is not None:
        what = What(fault.damage)
        report.findings.append(
            Finding(what, record.scope, record.name, blob.id, blob.scope, fault.detail)
        )


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
        yield blob, await size_of(blobs, blob)


async def _live_blobs(ledger: BlobLedger) -> AsyncIterator[Blob]:
    after = _FIRST
    while page := await ledger.blobs_after(after, _PAGE):
        for blob in page:
            yield blob
        after = page[-1].id
