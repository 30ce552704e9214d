"""The quarantine and the scrubs in PostgreSQL.

Knows the statements of ``sql/queries/quarantine.sql``; does not know how a blob is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from gateway.catalogue.damage import Portion, QuarantinePlace, ScrubKind, ScrubProgress
from gateway.catalogue.postgres_rows import blob_of
from gateway.database.pool import Database, Row
from gateway.model.damage import Damage, Fault, FoundBy, Quarantined
from gateway.model.file import Blob, FileName, Scope

LEASE_SECONDS: Final = 60.0
PORTIONS: Final = 16
_MOST_COUNTED: Final = 10_000
_IDS: Final = 2**128 // PORTIONS
_STARTS: Final = [UUID(int=max(0, number * _IDS - 1)) for number in range(PORTIONS)]
_FIRST: Final = QuarantinePlace(datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class PostgresQuarantine:
    """Blobs that nobody is sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, blob_id: UUID, fault: Fault, found_by: FoundBy) -> FileName | None:
        """Put a live blob there, and tell."""
        row = await self._database.row(
            "quarantine_blob", blob_id, fault.damage, fault.detail, found_by
        )
        return None if row is None else _name_of(row)

    async def release(self, blob_id: UUID, found_by: FoundBy) -> FileName | None:
        """Let a blob out whose bytes are right, and tell."""
        row = await self._database.row("release_blob", blob_id, found_by)
        return None if row is None else _name_of(row)

    async def among(self, blob_ids: Collection[UUID]) -> frozenset[UUID]:
        """Which of these blobs are there."""
        rows = await self._database.rows("is_in_quarantine", list(blob_ids))
        return frozenset(row["blob_id"] for row in rows)

    async def page(self, after: QuarantinePlace | None, limit: int) -> Sequence[Quarantined]:
        """What is there and of a file, the longest there first."""
        place = after or _FIRST
        values = (place.found_at, place.blob_id, limit)
        return [_entry_of(r) for r in await self._database.rows("quarantined_after", *values)]

    async def count(self) -> int:
        """How many there are, 10,000 at most."""
        return int(await self._database.value("count_quarantined", _MOST_COUNTED))


class PostgresScrubPlan:
    """Which blobs were hashed, and who hashes the next."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._seconds = lease_seconds

    async def is_due(self, days: float) -> bool:
        """Whether no scrub that has ended began within so many days."""
        return bool(await self._database.value("scrub_is_due", days))

    async def begin(self, kind: ScrubKind) -> int:
        """The id of the scrub of that kind that is under way, a new one if none is."""
        while True:  # one that is under way may end between the two looks
            async with self._database.transaction() as session:
                begun: int | None = await session.value("begin_scrub", kind)
                if begun is not None:
                    await session.run("divide_scrub", begun, list(range(PORTIONS)), _STARTS)
                    return begun
            found: int | None = await self._database.value("scrub_under_way", kind)
            if found is not None:
                return found

    async def claim(self, scrub_id: int, *, most_at_once: int) -> Portion | None:
        """A portion to work on, unless so many are worked on."""
        lease = uuid4()
        async with self._database.transaction() as session:
            if await session.row("hold_scrub", scrub_id) is None:
                return None
            values = (scrub_id, lease, self._seconds, most_at_once)
            row = await session.row("claim_portion", *values)
        if row is None:
            return None
        last = UUID(int=(row["portion"] + 1) * _IDS - 1)
        return Portion(scrub_id, lease, row["after"], last)

    async def blobs(self, portion: Portion, limit: int) -> Sequence[Blob]:
        """The next live blobs of the portion, in order of id."""
        values = (portion.after, portion.last, limit)
        return [blob_of(row) for row in await self._database.rows("live_blobs_between", *values)]

    async def advance(
        self, portion: Portion, after: UUID, *, blobs: int, size: int, done: bool
    ) -> bool:
        """These were hashed, too, and the lease is kept; ``False`` if it was lost."""
        portion.after = after
        return await self._advance(portion, after, blobs, size, done=done)

    async def keep(self, portion: Portion) -> bool:
        """Keep the lease; ``False`` if it was lost."""
        return await self._advance(portion, None, 0, 0, done=False)

    async def let_go(self, portion: Portion) -> None:
        """Somebody else may go on."""
        await self._database.run("let_go_of_portion", portion.scrub_id, portion.lease)

    async def progress(self, scrub_id: int) -> ScrubProgress:
        """How far it has come; it is ended if all of it is done."""
        await self._database.run("end_scrub", scrub_id)
        row = await self._database.row("scrub_progress", scrub_id)
        assert row is not None, "it was begun, and is kept for a year"
        return ScrubProgress(row["ended"], row["blobs"], row["bytes"], row["is_worked_on"])

    async def _advance(
        self, portion: Portion, after: UUID | None, blobs: int, size: int, *, done: bool
    ) -> bool:
        values = (portion.scrub_id, portion.lease, self._seconds, after, blobs, size, done)
        return await self._database.row("advance_portion", *values) is not None


def _name_of(row: Row) -> FileName:
    return FileName(Scope(row["kind"], row["owner"]), row["name"])


def _entry_of(row: Row) -> Quarantined:
    return Quarantined(
        blob_of(row),
        FileName(Scope(row["file_kind"], row["file_owner"]), row["name"]),
        Fault(Damage(row["what"]), row["detail"]),
        FoundBy(row["found_by"]),
        row["found_at"],
    )
