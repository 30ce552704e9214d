"""The engine: files are blobs plus rows, kept together under P1 to P3.

Knows the order of things: bytes first, then the hook's word, then the row. Does not know
HTTP, dialects, PostgreSQL or disks.

Rule: what the catalogue may have committed is never deleted here. Once a body is
complete its commit runs in a task of its own, which a client that leaves cannot cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID

from gateway.blobs.port import BlobReader, BlobStore, BlobWriter
from gateway.catalogue.port import Catalogue, Listing, Page
from gateway.identity.port import AuthHook, Sealed
from gateway.model.access import Access
from gateway.model.change import ChangeListener, FileChanged
from gateway.model.digest import Claim, check_claims
from gateway.model.errors import (
    CatalogueUnavailable,
    CommitUnknown,
    Conflict,
    Failure,
    NotFound,
)
from gateway.model.file import Blob, Draft, FileRecord, Scope

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_PUT_ATTEMPTS: Final = 5


class Mode(Enum):
    """What a deposit does about a file of the same name."""

    CREATE = "create"
    REPLACE = "replace"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class Deposit:
    """One upload, received whole and about to become a file.

    ``expected`` is the id of the blob that must still be current (If-Match).
    """

    access: Access
    draft: Draft
    mode: Mode
    claims: tuple[Claim, ...] = ()
    expected: UUID | None = None


class Filestore:
    """Deposit, find, list, amend and remove files."""

    def __init__(
        self,
        blobs: BlobStore,
        catalogue: Catalogue,
        hook: AuthHook,
        audience: ChangeListener,
    ) -> None:
        self._blobs = blobs
        self._catalogue = catalogue
        self._hook = hook
        self._audience = audience
        self._commits: set[asyncio.Task[Any]] = set()

    def stage(
        self, scope: Scope, *, algorithms: Collection[str] = (), expected_bytes: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin an upload; what is not deposited by the end of the block leaves no trace."""
        return self._blobs.stage(scope, algorithms=algorithms, expected_bytes=expected_bytes)

    async def deposit(self, deposit: Deposit, writer: BlobWriter) -> FileRecord:
        """Check, seal, ask the hook, commit. On return bytes and row survive a power cut.

        Raises ``DigestMismatch``, ``Denied``, ``Conflict``, ``NotFound``,
        ``PreconditionFailed`` or a ``Failure``; after any of them nothing is stored,
        ``CatalogueUnavailable`` excepted, after which it may be.
        """
        if deposit.claims:
            check_claims(deposit.claims, await writer.measure())
        return await self._uncancelled(self._seal_and_commit(deposit, writer))

    async def find(self, scope: Scope, name: str) -> FileRecord:
        """The file of that name. Raises ``NotFound``."""
        record = await self._catalogue.find(scope, name)
        if record is None:
            raise NotFound()
        return record

    async def open(self, record: FileRecord) -> BlobReader:
        """The file's bytes. Raises ``BlobMissing`` if they are gone or not whole."""
        return await self._blobs.open(record.blob)

    def locate(self, record: FileRecord) -> str | None:
        """Where a front server finds the bytes, below the permanent blobs, if it can at all."""
        front = self._blobs.front_served
        return None if front is None else front.locate(record.blob)

    async def list(self, listing: Listing) -> Page:
        """One page of a scope's files."""
        return await self._catalogue.list(listing)

    async def amend(
        self, access: Access, attributes: Mapping[str, Any], *, expected: UUID | None = None
    ) -> FileRecord:
        """Merge ``attributes`` into the file's own. Raises ``NotFound``, ``PreconditionFailed``."""
        return await self._uncancelled(self._amend(access, attributes, expected))

    async def remove(self, access: Access, *, expected: UUID | None = None) -> None:
        """Remove the row at once; the sweeper removes the bytes. Raises as ``amend``."""
        await self._uncancelled(self._remove(access, expected))

    async def drain(self, timeout_seconds: float) -> None:
        """Wait for commits under way; call when no new request is accepted."""
        if self._commits:
            await asyncio.wait(self._commits, timeout=timeout_seconds)

    async def _seal_and_commit(self, deposit: Deposit, writer: BlobWriter) -> FileRecord:
        draft, blob = deposit.draft, await writer.seal()
        try:
            await self._approve(deposit, blob)
            return await self._commit(deposit, blob)
        except CommitUnknown:
            return await self._resolve(blob)
        except BaseException:
            # COMMIT was not sent, or was refused: no row can name this blob.
            with contextlib.suppress(Failure):
                await self._blobs.remove(blob.scope, blob.id)
            raise
        finally:
            self._audience.on_change(FileChanged(draft.scope, draft.name))

    async def _approve(self, deposit: Deposit, blob: Blob) -> None:
        access = replace(deposit.access, name=deposit.draft.name)
        await self._hook.approve(access, Sealed(blob, deposit.draft.content_type))

    async def _commit(self, deposit: Deposit, blob: Blob) -> FileRecord:
        draft, creator = deposit.draft, deposit.access.principal.id
        if deposit.mode is Mode.CREATE:
            return await self._catalogue.add(draft, blob, creator=creator)
        expected = deposit.expected
        if deposit.mode is Mode.REPLACE:
            return await self._catalogue.replace(draft, blob, creator=creator, expected=expected)
        return await _until_no_conflict(
            lambda: self._catalogue.put(draft, blob, creator=creator, expected=expected)
        )

    async def _resolve(self, blob: Blob) -> FileRecord:
        """COMMIT's answer was lost: the row decides, and the blob stays either way."""
        _log.warning("commit outcome unknown", extra={"blob_id": str(blob.id)})
        record = await self._catalogue.committed(blob.id)
        if record is None:
            raise CatalogueUnavailable()
        return record

    async def _amend(
        self, access: Access, attributes: Mapping[str, Any], expected: UUID | None
    ) -> FileRecord:
        try:
            return await self._catalogue.amend(
                access.scope, access.name, attributes, expected=expected
            )
        finally:
            self._audience.on_change(FileChanged(access.scope, access.name))

    async def _remove(self, access: Access, expected: UUID | None) -> None:
        creator = access.principal.id
        try:
            await self._catalogue.remove(
                access.scope, access.name, creator=creator, expected=expected
            )
        except CommitUnknown:
            if await self._catalogue.find(access.scope, access.name) is not None:
                raise
        finally:
            self._audience.on_change(FileChanged(access.scope, access.name))

    async def _uncancelled(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return await asyncio.shield(task)


async def _until_no_conflict(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Two first PUTs of one name race for its insert; the loser replaces the winner."""
    for _ in range(_PUT_ATTEMPTS):
        with contextlib.suppress(Conflict):
            return await attempt()
    raise Conflict()
