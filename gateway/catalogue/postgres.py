"""The catalogue in PostgreSQL: one transaction for each change.

Knows the statements of ``sql/queries/files.sql``; does not know what a blob's bytes are
nor what the attributes mean.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.catalogue.port import Garbage, Listing, Page
from gateway.database.pool import Database, Row, Session, Taken
from gateway.database.statements import ordered
from gateway.model.digest import Digest
from gateway.model.errors import (
    CatalogueUnavailable,
    Conflict,
    Failure,
    NotFound,
    PreconditionFailed,
)
from gateway.model.file import Blob, Draft, FileRecord, Scope

_USAGE_SLICES: Final = 16
_TOMBSTONE_SECONDS: Final = 7 * 86400.0


Change = Callable[..., Awaitable[Row | None]]


@dataclass(frozen=True, slots=True)
class _Locked:
    id: UUID
    blob_id: UUID


class PostgresCatalogue:
    """Rows about files in PostgreSQL."""

    def __init__(self, database: Database, *, garbage_grace_seconds: float) -> None:
        self._database = database
        self._grace = garbage_grace_seconds

    async def find(self, scope: Scope, name: str) -> FileRecord | None:
        """The file of that name, or ``None``."""
        row = await self._database.row("find_file", scope.kind, scope.owner, name)
        return None if row is None else _record(row)

    async def list(self, listing: Listing) -> Page:
        """One page."""
        scope = listing.scope
        matching = (scope.kind, scope.owner, listing.name, dict(listing.attributes))
        async with self._database.session() as session:
            total = await _count(session, listing, matching)
            rows = await session.rows(
                ordered("list_files", listing.order.name, descending=listing.descending),
                *matching,
                listing.limit,
                listing.offset,
            )
        return Page(total, [_record(row) for row in rows])

    async def add(self, draft: Draft, blob: Blob, *, creator: str) -> FileRecord:
        """A new file. Raises ``Conflict`` or ``NotFound`` (the scope is gone)."""
        return await _add(self._database.change, draft, blob, creator)

    async def replace(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """New bytes under an existing name; the old blob is condemned."""
        async with self._locked(draft.scope, draft.name, expected) as (session, old):
            return await self._replace(session, old, draft, blob, creator)

    async def put(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """``replace`` if there is such a file, else ``add``."""
        scope = draft.scope
        async with self._database.transaction() as session:
            old = await _lock(session, scope, draft.name)
            if old is None and expected is None:
                return await _add(session.row, draft, blob, creator)
            return await self._replace(session, _as_expected(old, expected), draft, blob, creator)

    async def amend(
        self,
        scope: Scope,
        name: str,
        attributes: Mapping[str, Any],
        *,
        expected: UUID | None = None,
    ) -> FileRecord:
        """Merge ``attributes`` into the file's own."""
        async with self._locked(scope, name, expected) as (session, old):
            await session.run("amend_file", old.id, dict(attributes))
            return await _reread(session, scope, name)

    async def remove(
        self, scope: Scope, name: str, *, creator: str, expected: UUID | None = None
    ) -> None:
        """Remove the row and condemn its blob."""
        async with self._locked(scope, name, expected) as (session, old):
            await session.run("remove_file", old.id, old.blob_id, self._grace, creator, _slice())

    async def committed(self, blob_id: UUID) -> FileRecord | None:
        """The file that points at the blob."""
        row = await self._database.row("find_file_of_blob", blob_id)
        return None if row is None else _record(row)

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

    async def forget(self, blob_ids: Sequence[UUID]) -> None:
        """The bytes of these condemned blobs are gone."""
        await self._database.run("forget_blobs", list(blob_ids))

    async def blobs_after(self, after: UUID, limit: int) -> Sequence[Blob]:
        """Live blobs in order of id."""
        rows = await self._database.rows("live_blobs_after", after, limit)
        return [_blob(row, row["id"]) for row in rows]

    async def known(self, blob_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these ids are of a file, or were."""
        rows = await self._database.rows("known_blobs", list(blob_ids))
        return frozenset(row["id"] for row in rows)

    async def tidy(self) -> None:
        """Drop what only mattered for a moment."""
        await self._database.run("drop_old_vacancies")

    async def probe(self) -> None:
        """Raise ``CatalogueUnavailable`` unless the database answers and can be written."""
        if await self._database.value("probe_catalogue"):
            raise CatalogueUnavailable()

    @asynccontextmanager
    async def _locked(
        self, scope: Scope, name: str, expected: UUID | None
    ) -> AsyncIterator[tuple[Session, _Locked]]:
        async with self._database.transaction() as session:
            yield session, _as_expected(await _lock(session, scope, name), expected)

    async def _replace(
        self, session: Session, old: _Locked, draft: Draft, blob: Blob, creator: str
    ) -> FileRecord:
        values = _upload_values(draft, blob, creator)
        with _late_commits_refused():
            await session.run("replace_file", old.id, *values, old.blob_id, self._grace)
        return await _reread(session, draft.scope, draft.name)


async def _add(change: Change, draft: Draft, blob: Blob, creator: str) -> FileRecord:
    with _late_commits_refused():
        row = await change("add_file", uuid4(), *_upload_values(draft, blob, creator))
    assert row is not None, "insert returning yields a row or raises"
    return FileRecord(
        id=row["id"],
        scope=draft.scope,
        name=draft.name,
        blob=blob,
        content_type=draft.content_type,
        attributes=draft.attributes,
        creator=creator,
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        updated_at=row["updated_at"],
    )


@contextmanager
def _late_commits_refused() -> Iterator[None]:
    """Unique constraints, in the catalogue's words: a tombstone, or a name that is taken."""
    try:
        yield
    except Taken as exc:
        if exc.constraint == "blobs_pkey":
            raise Failure("the upload was given up by the sweeper") from exc
        raise Conflict() from exc


def _upload_values(draft: Draft, blob: Blob, creator: str) -> tuple[object, ...]:
    return (
        draft.scope.kind,
        draft.scope.owner,
        draft.name,
        blob.id,
        blob.size,
        blob.digest.raw,
        blob.md5,
        draft.content_type,
        dict(draft.attributes),
        creator,
        _slice(),
    )


async def _lock(session: Session, scope: Scope, name: str) -> _Locked | None:
    row = await session.row("lock_file", scope.kind, scope.owner, name)
    return None if row is None else _Locked(row["id"], row["blob_id"])


def _as_expected(locked: _Locked | None, expected: UUID | None) -> _Locked:
    if locked is None:
        raise NotFound()
    if expected is not None and locked.blob_id != expected:
        raise PreconditionFailed()
    return locked


async def _reread(session: Session, scope: Scope, name: str) -> FileRecord:
    row = await session.row("find_file", scope.kind, scope.owner, name)
    assert row is not None, "the row is locked by this transaction"
    return _record(row)


async def _count(
    session: Session, listing: Listing, matching: tuple[str, str, str, dict[str, Any]]
) -> int:
    if listing.name or listing.attributes:
        return int(await session.value("count_matching_files", *matching))
    return int(await session.value("count_files", *matching[:2]))


def _record(row: Row) -> FileRecord:
    return FileRecord(
        id=row["id"],
        scope=Scope(row["kind"], row["owner"]),
        name=row["name"],
        blob=_blob(row, row["blob_id"]),
        content_type=row["content_type"],
        attributes=row["attributes"],
        creator=row["creator"],
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        updated_at=row["updated_at"],
    )


def _blob(row: Row, blob_id: UUID) -> Blob:
    return Blob(
        id=blob_id,
        scope=Scope(row["kind"], row["owner"]),
        size=row["size"],
        digest=Digest(row["sha256"].hex()),
        md5=row["md5"],
    )


def _slice() -> int:
    return random.randrange(_USAGE_SLICES)  # noqa: S311 - spreads load, guards nothing
