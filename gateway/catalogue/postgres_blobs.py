"""The ledger of blobs in PostgreSQL.

Knows the statements of ``sql/queries/blobs.sql``; does not know what a blob's bytes are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final
from uuid import UUID

from gateway.catalogue.port import Garbage, Miscount
from gateway.catalogue.postgres_rows import blob_of, record_of
from gateway.database.pool import Database, Row
from gateway.model.errors import CatalogueUnavailable
from gateway.model.file import Blob, FileRecord, Scope

_TOMBSTONE_SECONDS: Final = 7 * 86400.0
_SCOPES_AT_A_TIME: Final = 200
_EXPIRING: Final = (
    "drop_old_vacancies",
    "forget_reservations",
    "forget_days",
    "forget_ended_usage",
    "forget_ended_payers",
    "forget_scrubs",
)


class PostgresBlobLedger:
    """Which blobs are live, which may go, and which never became part of a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def committed(self, blob_id: UUID) -> FileRecord | None:
        """The file that points at the blob."""
        row = await self._database.row("find_file_of_blob", blob_id)
        return None if row is None else record_of(row)

    async def condemn_orphan(self, blob_id: UUID, scope: Scope) -> bool:
        """Claim a blob without a row for removal."""
        claimed = await self._database.run(
            "condemn_orphan", blob_id, scope.kind, scope.owner, _TOMBSTONE_SECONDS
        )
        return claimed == 1

    async def due_garbage(self, limit: int) -> Sequence[Garbage]:
        """Condemned blobs whose grace is over."""
        rows = await self._database.rows("due_garbage", limit)
        return [Garbage(r["id"], Scope(r["kind"], r["owner"])) for r in rows]

    async def purge(self, blob_ids: Sequence[UUID]) -> None:
        """The bytes of these condemned blobs are gone."""
        async with self._database.transaction() as session:
            await session.rows("share_charged_scopes", list(blob_ids))
            await session.run("purge_blobs", list(blob_ids))

    async def blobs_after(self, after: UUID, limit: int) -> Sequence[Blob]:
        """Live blobs in order of id."""
        rows = await self._database.rows("live_blobs_after", after, limit)
        return [blob_of(row) for row in rows]

    async def blobs_by_place(self) -> AsyncGenerator[Blob, None]:
        """Live blobs in the order of the characters of their places."""
        async with aclosing(self._database.stream("live_blobs_by_place")) as rows:
            async for row in rows:
                yield blob_of(row)

    async def which_exist(self, blob_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these ids are of a file, or were."""
        rows = await self._database.rows("existing_blobs", list(blob_ids))
        return frozenset(row["id"] for row in rows)

    async def miscounts(self) -> AsyncGenerator[Miscount, None]:
        """Scopes whose kept totals are not those of their files, a page of scopes at a time.

        Then the users and orgs whose totals are not those of their scopes.
        """
        for statement, read in (("count_scopes", _miscount_of), ("count_accounts", _shortfall_of)):
            kind = owner = ""
            while page := await self._database.rows(statement, kind, owner, _SCOPES_AT_A_TIME):
                for miscount in map(read, page):
                    if miscount.kept != miscount.counted:
                        yield miscount
                kind, owner = page[-1]["kind"], page[-1]["owner"]

    async def recount(self, miscount: Miscount) -> None:
        """Count again what was found to be miscounted."""
        scope = miscount.scope
        async with self._database.transaction() as session:
            await session.row("recounting")
            if miscount.of_account:
                await session.row("recount_account", scope.kind, scope.owner)
                return
            await session.row("close_scope", scope.kind, scope.owner)
            await session.run("forget_usage", scope.kind, scope.owner)
            await session.run("count_usage", scope.kind, scope.owner)

    async def expire(self) -> None:
        """Drop what only mattered for a moment."""
        for statement in _EXPIRING:
            await self._database.run(statement)

    async def probe(self) -> None:
        """Raise ``CatalogueUnavailable`` unless the database answers and can be written."""
        if await self._database.value("probe_catalogue"):
            raise CatalogueUnavailable()


def _miscount_of(row: Row) -> Miscount:
    return Miscount(
        Scope(row["kind"], row["owner"]),
        kept=(row["kept_files"], row["kept_bytes"], row["kept_condemned"]),
        counted=(row["files"], row["bytes"], row["condemned"]),
    )


def _shortfall_of(row: Row) -> Miscount:
    return Miscount(
        Scope(row["kind"], row["owner"]),
        kept=(row["kept_files"], row["kept_bytes"], 0),
        counted=(row["files"], row["bytes"], 0),
        of_account=True,
    )
