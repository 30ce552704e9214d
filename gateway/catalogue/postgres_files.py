"""Rows about files in PostgreSQL: one transaction for each change.

Knows the statements of ``sql/queries/files.sql``; does not know what a blob's bytes are
nor what the attributes mean.

A change first shares the locks of the scopes that it touches, then takes the rows, then changes
them. Who names a file by its id does not know its scope: it is looked up, locked, and all is
begun again if the file has moved in between.
"""

from __future__ import annotations

import random
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from gateway.catalogue.port import NO_BLOB, Listing
from gateway.catalogue.postgres_rows import record_of
from gateway.catalogue.together import TogetherCommits
from gateway.database.pool import Database, Row, Session, Taken
from gateway.database.statements import ordered
from gateway.model.errors import Conflict, Failure, NotFound, PreconditionFailed
from gateway.model.file import Blob, Draft, FileName, FileRecord, Scope
from gateway.model.paging import Page
from gateway.process.ids import random_id

_USAGE_SLICES: Final = 16
_LOCK_ATTEMPTS: Final = 5

Add = Callable[..., Awaitable[Row | None]]


@dataclass(frozen=True, slots=True)
class _Locked:
    id: UUID
    at: FileName
    blob_id: UUID | None


class PostgresFiles:
    """Rows about files in PostgreSQL."""

    def __init__(
        self, database: Database, *, garbage_grace_seconds: float, together: bool = True
    ) -> None:
        self._database = database
        self._together = TogetherCommits(database) if together else None
        self._grace = garbage_grace_seconds

    async def find(self, scope: Scope, name: str) -> FileRecord | None:
        """The file of that name, or ``None``."""
        return await self._find("find_file", scope.kind, scope.owner, name)

    async def find_in(self, scopes: Sequence[Scope], name: str) -> FileRecord | None:
        """The file of that name in the first of these scopes that has one, or ``None``."""
        kinds, owners = [s.kind for s in scopes], [s.owner for s in scopes]
        return await self._find("find_file_in_scopes", kinds, owners, name)

    async def find_by_id(self, file_id: UUID) -> FileRecord | None:
        """The file, wherever it is now, or ``None``."""
        return await self._find("find_file_by_id", file_id)

    async def list(self, listing: Listing) -> Page[FileRecord]:
        """One page."""
        matching, page = _matching(listing), (listing.limit, listing.offset)
        async with self._database.session() as session:
            total = await _count(session, listing, matching)
            rows = await session.rows(_statement(listing), *matching, *page)
        return Page(total, [record_of(row) for row in rows])

    async def walk(self, listing: Listing) -> AsyncGenerator[FileRecord, None]:
        """All files of a listing from its offset on."""
        values = (*_matching(listing), None, listing.offset)
        async with aclosing(self.stream(_statement(listing), *values)) as files:
            async for record in files:
                yield record

    async def select(self, statement: str, *values: object) -> Sequence[FileRecord]:
        """What a dialect's own statement yields."""
        return [record_of(row) for row in await self._database.rows(statement, *values)]

    async def stream(self, statement: str, *values: object) -> AsyncGenerator[FileRecord, None]:
        """The same for any number of rows, in memory that does not grow."""
        async with aclosing(self._database.stream(statement, *values)) as rows:
            async for row in rows:
                yield record_of(row)

    async def add(self, draft: Draft, blob: Blob | None, *, creator: str) -> FileRecord:
        """A new file. Raises ``Conflict`` or ``NotFound`` (the scope is gone)."""
        change = self._database.change
        if self._together is None or blob is None:
            return await _add(partial(change, "add_file"), draft, blob, creator)
        return await _add(self._together.add, draft, blob, creator)

    async def replace(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """New bytes under an existing name; the old blob is condemned."""
        async with self._locked(FileName(draft.scope, draft.name), expected) as (session, old):
            return await self._replace(session, old, draft, blob, creator)

    async def put(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """``replace`` if there is such a file, else ``add``."""
        async with self._database.transaction() as session:
            old = await _lock(session, FileName(draft.scope, draft.name))
            if old is None and expected is None:
                return await _add(partial(session.row, "add_file"), draft, blob, creator)
            return await self._replace(session, _as_expected(old, expected), draft, blob, creator)

    async def fill(
        self,
        file_id: UUID,
        blob: Blob,
        *,
        creator: str,
        expected: UUID | None,
        content_type: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        matching: Mapping[str, Any] | None = None,
        within: Scope | None = None,
    ) -> FileRecord:
        """The first bytes of a file that has none, or new ones; the old blob is condemned."""
        async with self._locked(file_id, expected, within) as (session, old):
            if matching or content_type is None:
                present = await _reread(session, file_id)
                _check_matching(present, matching or {})
                content_type = present.content_type if content_type is None else content_type
            draft = Draft(old.at.scope, old.at.name, content_type, attributes or {})
            return await self._replace(session, old, draft, blob, creator)

    async def amend(
        self,
        at: FileName | UUID,
        attributes: Mapping[str, Any],
        *,
        actor: str,
        expected: UUID | None = None,
        matching: Mapping[str, Any] | None = None,
        within: Scope | None = None,
    ) -> FileRecord:
        """Merge ``attributes`` into the file's own."""
        async with self._locked(at, expected, within) as (session, old):
            if matching:
                _check_matching(await _reread(session, old.id), matching)
            await session.run("amend_file", old.id, dict(attributes), actor)
            return await _reread(session, old.id)

    async def transfer(
        self,
        file_id: UUID,
        scope: Scope,
        name: str | None = None,
        *,
        actor: str,
        attributes: Mapping[str, Any] | None = None,
        expected: UUID | None = None,
        within: Scope | None = None,
    ) -> FileRecord:
        """Give the file to another scope, or another name, or both; amend it before."""
        async with self._locked(file_id, expected, within, scope) as (session, old):
            to = FileName(scope, old.at.name if name is None else name)
            if attributes is not None:
                await session.run("amend_file", file_id, dict(attributes), actor)
            if to != old.at:
                if to.scope != old.at.scope:
                    await session.run("uncount_file", file_id, _slice())
                with _uniqueness_worded():
                    await session.run(
                        "transfer_file", file_id, scope.kind, scope.owner, to.name, actor, _slice()
                    )
            return await _reread(session, file_id)

    async def remove(
        self,
        at: FileName | UUID,
        *,
        actor: str,
        expected: UUID | None = None,
        within: Scope | None = None,
    ) -> None:
        """Remove the row and condemn its blob."""
        async with self._locked(at, expected, within) as (session, old):
            await session.run("remove_files", [old.id], self._grace, actor, _slice())

    async def remove_many(
        self, file_ids: Sequence[UUID], *, actor: str, within: Scope | None = None
    ) -> Sequence[FileName]:
        """Remove these files in one transaction; those that were there."""
        async with self._locked_by_id(file_ids) as (session, found):
            there = [file for file in found if within in (None, file.at.scope)]
            ids = [file.id for file in there]
            await session.run("remove_files", ids, self._grace, actor, _slice())
        return [file.at for file in there]

    async def _find(self, statement: str, *values: object) -> FileRecord | None:
        row = await self._database.row(statement, *values)
        return None if row is None else record_of(row)

    @asynccontextmanager
    async def _locked(
        self,
        at: FileName | UUID,
        expected: UUID | None,
        within: Scope | None = None,
        *scopes: Scope,
    ) -> AsyncIterator[tuple[Session, _Locked]]:
        """A transaction that has the file; ``scopes`` are others that it is about to touch."""
        if isinstance(at, UUID):
            async with self._locked_by_id([at], *scopes) as (session, found):
                there = [file for file in found if within in (None, file.at.scope)]
                yield session, _as_expected(there[0] if there else None, expected)
        else:
            async with self._database.transaction() as session:
                yield session, _as_expected(await _lock(session, at), expected)

    @asynccontextmanager
    async def _locked_by_id(
        self, file_ids: Sequence[UUID], *scopes: Scope
    ) -> AsyncIterator[tuple[Session, Sequence[_Locked]]]:
        for _ in range(_LOCK_ATTEMPTS):
            async with self._database.transaction() as session:
                found = await _lock_by_id(session, file_ids, scopes)
                if found is not None:
                    yield session, found
                    return
        raise Conflict()

    async def _replace(
        self, session: Session, old: _Locked, draft: Draft, blob: Blob, creator: str
    ) -> FileRecord:
        values = _upload_values(draft, blob, creator)
        with _uniqueness_worded():
            await session.run("replace_file", old.id, *values, old.blob_id, self._grace)
        return await _reread(session, old.id)


async def _add(add: Add, draft: Draft, blob: Blob | None, creator: str) -> FileRecord:
    with _uniqueness_worded():
        row = await add(draft.id or random_id(), *_upload_values(draft, blob, creator))
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
def _uniqueness_worded() -> Iterator[None]:
    """Unique constraints, in the catalogue's words: a tombstone, or a name that is taken."""
    try:
        yield
    except Taken as exc:
        if exc.constraint == "blobs_pkey":
            raise Failure("the upload was given up by the sweeper") from exc
        raise Conflict() from exc


def _upload_values(draft: Draft, blob: Blob | None, creator: str) -> tuple[object, ...]:
    return (
        draft.scope.kind,
        draft.scope.owner,
        draft.name,
        *_blob_values(blob),
        draft.content_type,
        dict(draft.attributes),
        creator,
        _slice(),
    )


def _blob_values(blob: Blob | None) -> tuple[object, ...]:
    if blob is None:
        return (None,) * 6
    return (blob.id, blob.size, blob.digest.raw, blob.md5, blob.scope.kind, blob.scope.owner)


async def _lock(session: Session, at: FileName) -> _Locked | None:
    row = await session.row("lock_file", at.scope.kind, at.scope.owner, at.name)
    return None if row is None else _locked_of(row)


async def _lock_by_id(
    session: Session, file_ids: Sequence[UUID], scopes: Sequence[Scope]
) -> list[_Locked] | None:
    """Those of the files that there are; ``None`` if one has moved out of what is locked."""
    rows = await session.rows(
        "share_scopes_of_files", list(file_ids), [str(scope) for scope in scopes]
    )
    shared = {row["scope"] for row in rows}
    found = [_locked_of(row) for row in await session.rows("lock_files", list(file_ids))]
    return found if all(str(file.at.scope) in shared for file in found) else None


def _locked_of(row: Row) -> _Locked:
    return _Locked(
        row["id"], FileName(Scope(row["kind"], row["owner"]), row["name"]), row["blob_id"]
    )


def _as_expected(locked: _Locked | None, expected: UUID | None) -> _Locked:
    if locked is None:
        raise NotFound()
    if expected is not None and (locked.blob_id or NO_BLOB) != expected:
        raise PreconditionFailed()
    return locked


def _check_matching(record: FileRecord, matching: Mapping[str, Any]) -> None:
    if any(record.attributes.get(name) != value for name, value in matching.items()):
        raise PreconditionFailed()


async def _reread(session: Session, file_id: UUID) -> FileRecord:
    row = await session.row("find_file_by_id", file_id)
    assert row is not None, "the row is locked by this transaction"
    return record_of(row)


def _statement(listing: Listing) -> str:
    return ordered("list_files", listing.order.name, descending=listing.descending)


def _matching(listing: Listing) -> tuple[object, ...]:
    scope = listing.scope
    return (scope.kind, scope.owner, listing.name, dict(listing.attributes))


async def _count(session: Session, listing: Listing, matching: tuple[object, ...]) -> int:
    if listing.name or listing.attributes:
        return int(await session.value("count_matching_files", *matching))
    return int(await session.value("count_files", *matching[:2]))


def _slice() -> int:
    return random.randrange(_USAGE_SLICES)  # noqa: S311 - spreads load, guards nothing
