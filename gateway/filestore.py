"""The engine: files are blobs plus rows, kept together under P1 to P3.

Knows the order of things: bytes first, then the hook's word, then the row, under the guard that
says whether the caller still may. Does not know HTTP, dialects, PostgreSQL or disks.

Rule: what the catalogue may have committed is never deleted here. Once a body is
complete its commit runs in a task of its own, which a client that leaves cannot cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from gateway.blobs.port import BlobReader, BlobStore, BlobWriter
from gateway.catalogue.port import BlobLedger, Files, Listing
from gateway.identity.port import AuthHook, Sealed
from gateway.model.access import Access
from gateway.model.change import ChangeListener, FileChanged
from gateway.model.claims import Claims
from gateway.model.damage import Fault
from gateway.model.errors import (
    BlobMissing,
    CatalogueUnavailable,
    CommitUnknown,
    Conflict,
    Failure,
    InQuarantine,
    NotFound,
    StorageFailed,
    is_of_blob,
)
from gateway.model.file import Blob, Draft, FileName, FileRecord, FrontPlace, Scope, ShownBytes
from gateway.model.guard import Guard, guarding
from gateway.model.paging import Page
from gateway.quotas.metered import Metered
from gateway.quotas.port import Boundless, Promises

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_PUT_ATTEMPTS: Final = 5


class Suspicions(Protocol):
    """Who hears of bytes that are not as they were stored."""

    def suspect(self, blob: Blob) -> None:
        """A read of the blob failed. Does not block."""

    async def convict(self, blob: Blob, fault: Fault) -> None:
        """All of the blob was read, and that is wrong with it. Raises nothing."""


class _Unheard:
    def suspect(self, blob: Blob) -> None:
        """Nobody looks."""

    async def convict(self, blob: Blob, fault: Fault) -> None:
        """Nobody looks."""


class Mode(Enum):
    """What a deposit does about a file of the same name."""

    CREATE = "create"
    REPLACE = "replace"
    PUT = "put"
    FILL = "fill"  # the file whose id the draft has


@dataclass(frozen=True, slots=True)
class Deposit:
    """One upload, received whole and about to become a file.

    ``expected`` is the id of the blob that must still be current (If-Match); ``NO_BLOB``: the
    file must still be without one. What is ``matching`` must be among the attributes of a file
    that is filled. ``guard`` asks the dialect's own rule again in the transaction of the commit: a
    body may take hours, and whoever sends it may have lost the right meanwhile.
    """

    access: Access
    draft: Draft
    mode: Mode
    claims: Claims = field(default_factory=Claims)
    expected: UUID | None = None
    matching: Mapping[str, Any] = field(default_factory=dict)
    guard: Guard | None = None

    def __post_init__(self) -> None:
        if self.draft.scope != self.access.scope:
            raise ValueError("a right in one scope, and a name in another")


class Filestore:
    """Deposit, find, list, amend and remove files."""

    def __init__(
        self,
        blobs: BlobStore,
        files: Files,
        ledger: BlobLedger,
        hook: AuthHook,
        listener: ChangeListener,
        room: Promises | None = None,
        suspicions: Suspicions | None = None,
    ) -> None:
        self._blobs = blobs
        self._files = files
        self._ledger = ledger
        self._hook = hook
        self._listener = listener
        self._room = room or Boundless()
        self._suspicions = suspicions or _Unheard()
        self._commits: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def stage(
        self, scope: Scope, *, algorithms: Collection[str] = (), expected_bytes: int | None = None
    ) -> AsyncIterator[BlobWriter]:
        """Begin an upload; what is not deposited by the end of the block leaves no trace.

        Room for it is reserved, of what is expected at once. Raises ``OverQuota``.
        """
        staging = self._blobs.stage(scope, algorithms=algorithms, expected_bytes=expected_bytes)
        async with staging as writer:
            metered = Metered(writer, self._room, scope)
            try:
                await metered.expect(expected_bytes or 0)
                yield metered
            finally:
                if metered.is_held:
                    await self._uncancelled(metered.release())

    async def deposit(self, deposit: Deposit, writer: BlobWriter) -> FileRecord:
        """Check, seal, ask the hook, commit under the guard: then all survives a power cut.

        Raises ``DigestMismatch``, ``Denied``, ``Conflict``, ``NotFound``, ``PreconditionFailed``,
        what the guard raises, or a ``Failure``; after any of them nothing is stored,
        ``CatalogueUnavailable`` excepted, after which it may be.
        """
        needed = deposit.claims.algorithms
        deposit.claims.check(await writer.measure() if needed else {})
        return await self._uncancelled(self._seal_and_commit(deposit, writer))

    async def find(self, scope: Scope, name: str) -> FileRecord:
        """The file of that name. Raises ``NotFound``."""
        return _found(await self._files.find(scope, name))

    async def find_in(self, scopes: Sequence[Scope], name: str) -> FileRecord:
        """The file of that name in the first of these scopes that has one. Raises ``NotFound``."""
        return _found(await self._files.find_in(scopes, name))

    async def find_by_id(self, file_id: UUID) -> FileRecord:
        """The file, wherever it is now. Raises ``NotFound``."""
        return _found(await self._files.find_by_id(file_id))

    async def open(self, record: FileRecord) -> BlobReader:
        """The file's bytes. Raises ``BlobMissing`` if they are gone or not whole.

        Raises ``InQuarantine`` if they are known not to be right, ``NotFound`` if it has none.
        """
        check_sound(record)
        with self._suspecting(record):
            return await self._blobs.open(record.content)

    async def locate(self, record: FileRecord) -> FrontPlace | None:
        """Where a front server finds the bytes, if it can at all. Raises as ``open``."""
        check_sound(record)
        front = self._blobs.front_served
        if front is None:
            return None
        with self._suspecting(record):
            return await front.locate(record.content)

    async def address_of(self, record: FileRecord, shown: ShownBytes) -> str | None:
        """Where a client finds the bytes by itself, if it can at all. Raises as ``open``."""
        check_sound(record)
        store = self._blobs.client_served
        if store is None:
            return None
        with self._suspecting(record):
            return await store.address_of(record.content, shown)

    def suspect(self, record: FileRecord) -> None:
        """A read of the file's bytes failed, or came to too few: they will be looked at."""
        self._suspicions.suspect(record.content)

    async def convict(self, record: FileRecord, fault: Fault) -> None:
        """All of the file's bytes were read, and that is wrong with them. Raises nothing."""
        await self._uncancelled(self._suspicions.convict(record.content, fault))

    async def list(self, listing: Listing) -> Page[FileRecord]:
        """One page of a scope's files."""
        return await self._files.list(listing)

    def walk(self, listing: Listing) -> AsyncGenerator[FileRecord, None]:
        """All files of a listing from its offset on; to be closed, for it holds a connection."""
        return self._files.walk(listing)

    async def select(self, statement: str, *values: object) -> Sequence[FileRecord]:
        """The files that a dialect's own statement yields, which bounds their number."""
        return await self._files.select(statement, *values)

    def stream(self, statement: str, *values: object) -> AsyncGenerator[FileRecord, None]:
        """The same for any number of files; to be closed, for it holds a connection."""
        return self._files.stream(statement, *values)

    async def create(self, access: Access, draft: Draft) -> FileRecord:
        """A file without bytes: an upload that is awaited, a directory.

        Raises ``Conflict``, ``NotFound``.
        """
        return await self._uncancelled(self._files.add(draft, None, creator=access.principal.id))

    async def amend(
        self,
        access: Access,
        attributes: Mapping[str, Any],
        *,
        expected: UUID | None = None,
        matching: Mapping[str, Any] | None = None,
        file_id: UUID | None = None,
    ) -> FileRecord:
        """Merge ``attributes`` into the file's own. Raises ``NotFound``, ``PreconditionFailed``.

        With ``file_id`` it is that file, whatever its name is by now, if it still is in the scope.
        What is ``matching`` must be among its attributes at that moment.
        """
        return await self._uncancelled(self._amend(access, attributes, expected, matching, file_id))

    async def transfer(
        self,
        access: Access,
        record: FileRecord,
        scope: Scope,
        name: str | None = None,
        *,
        attributes: Mapping[str, Any] | None = None,
        expected: UUID | None = None,
    ) -> FileRecord:
        """Give the file to another scope, or another name, or both; its bytes stay.

        ``attributes`` are merged into its own, all or nothing with the rest.
        Raises ``NotFound``, also if it is not where ``record`` says, ``PreconditionFailed``,
        ``Conflict`` if the name is taken there.
        """
        to = FileName(scope, record.name if name is None else name)
        return await self._uncancelled(self._transfer(access, record, to, attributes, expected))

    async def remove(
        self, access: Access, *, expected: UUID | None = None, file_id: UUID | None = None
    ) -> None:
        """Remove the row at once; the sweeper removes the bytes. Raises as ``amend``."""
        await self._uncancelled(self._remove(access, expected, file_id))

    async def remove_many(self, access: Access, file_ids: Sequence[UUID]) -> int:
        """Remove a page of the scope's files in one transaction; how many of them there were."""
        return await self._uncancelled(self._remove_many(access, file_ids))

    async def drain(self, timeout_seconds: float) -> None:
        """Wait for commits under way; call when no new request is accepted."""
        if self._commits:
            await asyncio.wait(self._commits, timeout=timeout_seconds)

    @contextlib.contextmanager
    def _suspecting(self, record: FileRecord) -> Iterator[None]:
        try:
            yield
        except (BlobMissing, StorageFailed) as exc:
            if is_of_blob(exc):
                self.suspect(record)
            raise

    async def _seal_and_commit(self, deposit: Deposit, writer: BlobWriter) -> FileRecord:
        draft, blob = deposit.draft, await writer.seal()
        try:
            await self._approve(deposit, blob)
            with guarding(deposit.guard):
                return await self._commit(deposit, blob)
        except CommitUnknown:
            return await self._resolve(blob)
        except BaseException:
            # COMMIT was not sent, or was refused: no row can name this blob.
            with contextlib.suppress(Failure):
                await self._blobs.remove(blob.scope, blob.id)
            raise
        finally:
            self._listener.on_change(FileChanged(draft.scope, draft.name))

    async def _approve(self, deposit: Deposit, blob: Blob) -> None:
        draft = deposit.draft
        access = replace(deposit.access, name=draft.name)
        await self._hook.approve(access, Sealed(blob, draft.content_type))

    async def _commit(self, deposit: Deposit, blob: Blob) -> FileRecord:
        draft, creator = deposit.draft, deposit.access.principal.id
        if deposit.mode is Mode.CREATE:
            return await self._files.add(draft, blob, creator=creator)
        expected = deposit.expected
        if deposit.mode is Mode.REPLACE:
            return await self._files.replace(draft, blob, creator=creator, expected=expected)
        if deposit.mode is Mode.FILL:
            assert draft.id is not None, "it says which file to fill"
            return await self._files.fill(
                draft.id,
                blob,
                creator=creator,
                expected=expected,
                content_type=draft.content_type,
                attributes=draft.attributes,
                matching=deposit.matching,
                within=draft.scope,
            )
        return await _until_no_conflict(
            lambda: self._files.put(draft, blob, creator=creator, expected=expected)
        )

    async def _resolve(self, blob: Blob) -> FileRecord:
        """COMMIT's answer was lost: the row decides, and the blob stays either way."""
        _log.warning("commit outcome unknown", extra={"blob_id": str(blob.id)})
        record = await self._ledger.committed(blob.id)
        if record is None:
            raise CatalogueUnavailable()
        return record

    async def _amend(
        self,
        access: Access,
        attributes: Mapping[str, Any],
        expected: UUID | None,
        matching: Mapping[str, Any] | None,
        file_id: UUID | None,
    ) -> FileRecord:
        at, actor = file_id or FileName(access.scope, access.name), access.principal.id
        try:
            return await self._files.amend(
                at,
                attributes,
                actor=actor,
                expected=expected,
                matching=matching,
                within=access.scope,
            )
        finally:
            self._listener.on_change(FileChanged(access.scope, access.name))

    async def _transfer(
        self,
        access: Access,
        record: FileRecord,
        to: FileName,
        attributes: Mapping[str, Any] | None,
        expected: UUID | None,
    ) -> FileRecord:
        try:
            return await self._files.transfer(
                record.id,
                to.scope,
                to.name,
                actor=access.principal.id,
                attributes=attributes,
                expected=expected,
                within=record.scope,
            )
        finally:
            self._listener.on_change(FileChanged(record.scope, record.name))
            self._listener.on_change(FileChanged(to.scope, to.name))

    async def _remove(self, access: Access, expected: UUID | None, file_id: UUID | None) -> None:
        at, actor = file_id or FileName(access.scope, access.name), access.principal.id
        try:
            await self._files.remove(at, actor=actor, expected=expected, within=access.scope)
        except CommitUnknown:
            if await self._is_there(at):
                raise
        finally:
            self._listener.on_change(FileChanged(access.scope, access.name))

    async def _remove_many(self, access: Access, file_ids: Sequence[UUID]) -> int:
        actor = access.principal.id
        removed = await self._files.remove_many(file_ids, actor=actor, within=access.scope)
        for at in removed:
            self._listener.on_change(FileChanged(at.scope, at.name))
        return len(removed)

    async def _is_there(self, at: FileName | UUID) -> bool:
        if isinstance(at, UUID):
            return await self._files.find_by_id(at) is not None
        return await self._files.find(at.scope, at.name) is not None

    async def _uncancelled(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return await asyncio.shield(task)


def check_sound(record: FileRecord) -> None:
    """Raise ``InQuarantine`` if the file's bytes are known not to be those that were uploaded."""
    if record.blob is not None and record.blob.quarantined:
        raise InQuarantine()


def _found(record: FileRecord | None) -> FileRecord:
    if record is None:
        raise NotFound()
    return record


async def _until_no_conflict(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Two first PUTs of one name race for its insert; the loser replaces the winner."""
    for _ in range(_PUT_ATTEMPTS):
        with contextlib.suppress(Conflict):
            return await attempt()
    raise Conflict()
