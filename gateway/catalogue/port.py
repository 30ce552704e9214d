"""The ports to rows about files, and to the ledger of their blobs: what every catalogue promises.

Every change is one transaction, durable when the call returns. An exception other than
``CommitUnknown`` means that nothing changed. A due guard (``model/guard.py``) is asked in that
transaction. Every change is in the audit, and those who keep what it makes stale are told.

A file is found by its name in a scope, or by its id, which it keeps for life: when its bytes
are replaced, when its name changes, when it changes hands.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.model.file import Blob, Draft, FileName, FileRecord, Scope
from gateway.model.paging import Page

# As an ``expected`` blob: the file must have none yet. No blob ever has this id.
NO_BLOB: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that files can be listed in, by the name under which it was registered.

    What it sorts by is said beside the listing or in a dialect's own SQL (``-- order:`` in
    ``sql/``), together with an index that yields it. A dialect's order has its name in front.
    """

    name: str


BY_NAME: Final = Order("name")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which files, in which order, which page.

    ``name`` is a case-insensitive substring; ``attributes`` must all be contained in
    the file's own (as PostgreSQL's ``@>``).
    """

    scope: Scope
    offset: int = 0
    limit: int = 10
    order: Order = BY_NAME
    descending: bool = False
    name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbage:
    """A condemned blob whose bytes may now be removed."""

    blob_id: UUID
    scope: Scope


@dataclass(frozen=True, slots=True)
class Miscount:
    """A scope whose kept totals are wrong: files, bytes, and bytes that are condemned.

    ``of_account``: what a user or an org has in all of its scopes, condemned bytes with the others.
    """

    scope: Scope
    kept: tuple[int, int, int]
    counted: tuple[int, int, int]
    of_account: bool = False


class FileLookups(Protocol):
    """Finding files."""

    async def find(self, scope: Scope, name: str) -> FileRecord | None:
        """The file of that name, or ``None``."""

    async def find_in(self, scopes: Sequence[Scope], name: str) -> FileRecord | None:
        """The file of that name in the first of these scopes that has one, or ``None``."""

    async def find_by_id(self, file_id: UUID) -> FileRecord | None:
        """The file, wherever it is now, or ``None``."""

    async def list(self, listing: Listing) -> Page[FileRecord]:
        """One page."""

    def walk(self, listing: Listing) -> AsyncGenerator[FileRecord, None]:
        """All files of a listing from its offset on, whatever its limit; as ``stream``."""

    async def select(self, statement: str, *values: object) -> Sequence[FileRecord]:
        """What a dialect's own statement yields, which has the columns of ``file_rows``.

        ``statement`` is its registered name, ``<dialect>/<name>``. All of it is in memory:
        the statement bounds its number of rows.
        """

    def stream(self, statement: str, *values: object) -> AsyncGenerator[FileRecord, None]:
        """The same for any number of rows, as of one moment, in memory that does not grow.

        It holds a connection until it is exhausted or closed (``contextlib.aclosing``). Raises
        ``CatalogueUnavailable`` if too many are under way.
        """


class FileChanges(Protocol):
    """Changing files. ``at`` is a file's name or its id.

    ``expected`` is the id of the blob that the file must have at that moment, ``NO_BLOB`` if
    it must have none, ``None`` for whichever it has; ``PreconditionFailed`` if it is another.
    What names no file is ``NotFound``. ``within`` is the scope in which the caller has the right:
    a file that was given away since is not found there.
    """

    async def add(self, draft: Draft, blob: Blob | None, *, creator: str) -> FileRecord:
        """A new file, with its bytes or without any.

        Raises ``Conflict`` if the name or the id is taken, ``NotFound`` if the scope is gone.
        """

    async def replace(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """New bytes under an existing name; the old blob is condemned.

        ``draft.attributes`` are merged into the old ones.
        """

    async def put(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """``replace`` if there is such a file, else ``add``.

        Raises ``Conflict`` if the name was taken at the same moment: try again.
        """

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
        """The first bytes of a file that has none, or new ones; the old blob is condemned.

        ``attributes`` are merged into the old ones; ``content_type`` of ``None`` is kept.
        ``PreconditionFailed`` unless what is ``matching`` is among its attributes.
        """

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
        """Merge ``attributes`` into the file's own; ``matching`` as for ``fill``."""

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
        """Give the file to another scope, or another name, or both; its bytes stay where they lie.

        ``attributes`` are merged into its own, as by ``amend``, in the same transaction.
        Its date of modification is now that of its coming, so that it is later than that of
        anything that had the name before. Raises ``Conflict`` if the name is taken there,
        ``NotFound`` if the scope is gone.
        """

    async def remove(
        self,
        at: FileName | UUID,
        *,
        actor: str,
        expected: UUID | None = None,
        within: Scope | None = None,
    ) -> None:
        """Remove the row and condemn its blob."""

    async def remove_many(
        self, file_ids: Sequence[UUID], *, actor: str, within: Scope | None = None
    ) -> Sequence[FileName]:
        """Remove these files in one transaction; those that were there.

        The caller takes them a page at a time.
        """


class Files(FileLookups, FileChanges, Protocol):
    """Rows about files."""


class BlobLedger(Protocol):
    """Which blobs are live, which may go, and which never became part of a file."""

    async def committed(self, blob_id: UUID) -> FileRecord | None:
        """The file that points at the blob, asked on a fresh connection."""

    async def condemn_orphan(self, blob_id: UUID, scope: Scope) -> bool:
        """Claim a blob without a row for removal, so that no late commit can use it.

        Whether it is an orphan; afterwards a commit that names it fails. A claim may be
        repeated, so that a sweep finishes what one that died had begun.
        """

    async def due_garbage(self, limit: int) -> Sequence[Garbage]:
        """Condemned blobs whose grace is over."""

    async def purge(self, blob_ids: Sequence[UUID]) -> None:
        """The bytes of these condemned blobs are gone."""

    async def blobs_after(self, after: UUID, limit: int) -> Sequence[Blob]:
        """Live blobs in order of id, for the checker."""

    def blobs_by_place(self) -> AsyncGenerator[Blob, None]:
        """Live blobs in the order of the characters of ``<kind>/<owner>/<id>``, as of one moment.

        To be closed: it holds a connection.
        """

    async def which_exist(self, blob_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these ids are of a file, or were; what was claimed as an orphan is not."""

    def miscounts(self) -> AsyncGenerator[Miscount, None]:
        """Scopes whose kept totals are not those of their files, for the checker."""

    async def recount(self, miscount: Miscount) -> None:
        """Count what was miscounted again; changes to its files wait for it."""

    async def expire(self) -> None:
        """Drop what only mattered for a moment."""

    async def probe(self) -> None:
        """Raise ``CatalogueUnavailable`` unless the database answers and can be written."""
