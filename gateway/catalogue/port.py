"""The port to rows about files: what every catalogue promises.

Every change is one transaction, durable when the call returns. An exception other than
``CommitUnknown`` means that nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.model.file import Blob, Draft, FileRecord, Scope


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
    """Which files, in which order, which page. ``limit`` of ``None`` means all.

    ``name`` is a case-insensitive substring; ``attributes`` must all be contained in
    the file's own (as PostgreSQL's ``@>``).
    """

    scope: Scope
    offset: int = 0
    limit: int | None = 10
    order: Order = BY_NAME
    descending: bool = False
    name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, and how many files match in all."""

    total: int
    files: Sequence[FileRecord]


@dataclass(frozen=True, slots=True)
class Garbage:
    """A condemned blob whose bytes may now be removed."""

    blob_id: UUID
    scope: Scope


class Catalogue(Protocol):
    """Rows about files."""

    async def find(self, scope: Scope, name: str) -> FileRecord | None:
        """The file of that name, or ``None``."""

    async def list(self, listing: Listing) -> Page:
        """One page."""

    async def add(self, draft: Draft, blob: Blob, *, creator: str) -> FileRecord:
        """A new file.

        Raises ``Conflict`` if the name is taken, ``NotFound`` if the scope is gone.
        """

    async def replace(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """New bytes under an existing name; the old blob is condemned.

        ``draft.attributes`` are merged into the old ones. Raises ``NotFound`` if there
        is no such file, ``PreconditionFailed`` if ``expected`` is not its blob's id.
        """

    async def put(
        self, draft: Draft, blob: Blob, *, creator: str, expected: UUID | None = None
    ) -> FileRecord:
        """``replace`` if there is such a file, else ``add``.

        Raises ``Conflict`` if the name was taken at the same moment: try again.
        """

    async def amend(
        self,
        scope: Scope,
        name: str,
        attributes: Mapping[str, Any],
        *,
        expected: UUID | None = None,
    ) -> FileRecord:
        """Merge ``attributes`` into the file's own. Raises as ``replace``."""

    async def remove(
        self, scope: Scope, name: str, *, creator: str, expected: UUID | None = None
    ) -> None:
        """Remove the row and condemn its blob. Raises as ``replace``."""

    async def committed(self, blob_id: UUID) -> FileRecord | None:
        """The file that points at the blob, asked on a fresh connection."""

    async def condemn_orphan(self, blob_id: UUID, scope: Scope) -> bool:
        """Claim a blob without a row for removal, so that no late commit can use it.

        Whether it is an orphan; afterwards a commit that names it fails. A claim may be
        repeated, so that a sweep finishes what one that died had begun.
        """

    async def due_garbage(self, limit: int) -> Sequence[Garbage]:
        """Condemned blobs whose grace is over."""

    async def forget(self, blob_ids: Sequence[UUID]) -> None:
        """The bytes of these condemned blobs are gone."""

    async def blobs_after(self, after: UUID, limit: int) -> Sequence[Blob]:
        """Live blobs in order of id, for the checker."""

    async def known(self, blob_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these ids are of a file, or were; what was claimed as an orphan is not."""

    async def tidy(self) -> None:
        """Drop what only mattered for a moment."""

    async def probe(self) -> None:
        """Raise ``CatalogueUnavailable`` unless the database answers and can be written."""
