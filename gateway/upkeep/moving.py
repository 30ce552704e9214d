"""Moving a deployment's blobs from one store to another, while it serves.

Blobs never change, so a copy that is whole stays right. A pass walks the rows beside what the
target has and copies what is missing, each blob under its own id, hashed on its way: it counts
only if it has its row's digest. Passes are repeated until one finds nothing to copy. So a move
that was cut goes on where it was when it is repeated, and what was uploaded meanwhile is met by
the next pass.

Nothing is removed from the source: whoever has looked at the target does that.

Rule: a byte is believed when its digest is that of its row, not because it was copied.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from gateway.blobs.port import BlobReader, BlobStore, Inventory
from gateway.catalogue.port import BlobLedger
from gateway.model.byterange import ByteRange
from gateway.model.digest import SHA256
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob
from gateway.upkeep.check import Finding, Watch, What
from gateway.upkeep.sizes import Sized, walked_sizes

_AT_ONCE: Final = 4
_MOST_PASSES: Final = 20


@dataclass(slots=True)
class MoveReport:
    """What a move did: blobs that were there already, that were copied, that could not be."""

    present: int = 0
    copied: int = 0
    copied_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def blobs(self) -> int:
        """How many rows were looked at."""
        return self.present + self.copied + len(self.findings)


async def move(
    source: BlobStore, target: BlobStore, ledger: BlobLedger, watch: Watch
) -> MoveReport:
    """Copy every live blob that the target has not; the report of the last pass.

    What it counts as copied is of all passes.
    """
    copied = copied_bytes = 0
    report = MoveReport()
    for _ in range(_MOST_PASSES):
        report = await _Pass(source, target, ledger, watch).run()
        copied, copied_bytes = copied + report.copied, copied_bytes + report.copied_bytes
        if not report.copied:
            break
    report.present -= copied - report.copied
    report.copied, report.copied_bytes = copied, copied_bytes
    return report


class _Pass:
    """One walk over the rows."""

    def __init__(
        self, source: BlobStore, target: BlobStore, ledger: BlobLedger, watch: Watch
    ) -> None:
        self._source = source
        self._target = target
        self._ledger = ledger
        self._watch = watch
        self._report = MoveReport()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> MoveReport:
        """Copy, a few blobs at a time. The first failure of the target ends it."""
        assert self._target.inventory is not None, "every store that outlives its process has one"
        try:
            async with asyncio.TaskGroup() as copies:
                sizes = sizes_of(self._target.inventory, self._ledger)
                async with contextlib.aclosing(sizes) as rows:
                    async for blob, size in rows:
                        if size == blob.size:
                            self._report.present += 1
                            continue
                        await self._places.acquire()
                        copies.create_task(self._copy(blob, stale=size is not None))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        return self._report

    async def _copy(self, blob: Blob, *, stale: bool) -> None:
        report = self._report
        try:
            if stale:  # under this id there is something else: not from here, or cut
                await self._target.remove(blob.scope, blob.id)
            fault = await _copied(self._source, self._target, blob)
            if fault is None:
                report.copied, report.copied_bytes = (
                    report.copied + 1,
                    report.copied_bytes + blob.size,
                )
                self._watch(report.blobs, report.copied_bytes)
            else:
                await self._note(blob, *fault)
        finally:
            self._places.release()

    async def _note(self, blob: Blob, what: What, detail: str) -> None:
        """Unless the blob was removed meanwhile."""
        record = await self._ledger.committed(blob.id)
        if record is not None:
            found = Finding(what, record.scope, record.name, blob.id, blob.scope, detail)
            self._report.findings.append(found)


async def sizes_of(inventory: Inventory, ledger: BlobLedger) -> AsyncGenerator[Sized, None]:
    """Every live blob, and how many bytes are stored of it."""
    if inventory.in_order:
        async with contextlib.aclosing(walked_sizes(inventory, ledger)) as walked:
            async for found in walked:
                yield found
        return
    async with contextlib.aclosing(ledger.blobs_by_place()) as rows:
        async for blob in rows:
            yield blob, await inventory.size_of(blob.scope, blob.id)


async def _copied(source: BlobStore, target: BlobStore, blob: Blob) -> tuple[What, str] | None:
    """Copy one blob; what is wrong with it. Raises what the target does."""
    try:
        reader = await source.open(blob)
    except BlobMissing:
        return What.MISSING, f"{blob.size} bytes are not there, or not all"
    except StorageFailed as exc:
        return What.UNREADABLE, str(exc.__cause__ or exc)
    with contextlib.closing(reader):
        staged = target.stage(blob.scope, expected_bytes=blob.size, blob_id=blob.id)
        async with staged as writer:
            pieces = _read(reader, blob)
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, tuple):
                        return piece
                    await writer.write(piece)
            found = (await writer.measure())[SHA256]
            if found != blob.digest.raw:
                return What.DAMAGED, f"its SHA-256 is {found.hex()} and was {blob.digest.hex}"
            await writer.seal()
    return None


async def _read(reader: BlobReader, blob: Blob) -> AsyncGenerator[bytes | tuple[What, str], None]:
    """The source's bytes; its failure is the last piece, and so none of the target's."""
    try:
        async with contextlib.aclosing(reader.chunks(ByteRange(0, blob.size))) as chunks:
            async for chunk in chunks:
                yield chunk
    except (BlobMissing, StorageFailed) as exc:
        yield What.UNREADABLE, str(exc.__cause__ or exc)
