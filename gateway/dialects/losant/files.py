"""Private files and directories: made, found, uploaded anew, moved, removed.

Knows the catalogue's rows and the statements of ``sql/dialects/losant/queries/files.sql``. Does not
know HTTP.

Theory of operation. A private file is a file of the engine; what its listings are sorted and
filtered by is in ``losant_files``, which triggers keep. The same triggers see to it, in the
transaction that makes a file, that its directory is there, that nothing else has its name, and that
the directory is not being moved or removed.

To move or remove a directory is to put a row into ``losant_jobs``, under the lock that all who put
something into a directory share; ``trees`` does the rest. While the row is there nothing is put
below the directory, nor below the place where it is going.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.catalogue.postgres_rows import record_of
from gateway.database.pool import Database, Queries, Session, Taken, Unrelated
from gateway.dialects.losant.ids import new_id
from gateway.dialects.losant.listing import FileListing
from gateway.dialects.losant.paths import ROOT, Place
from gateway.dialects.losant.records import (
    COMPLETED,
    DELETING,
    DIRECTORY,
    FILE,
    MOVING,
    PENDING,
    SCOPE_KIND,
    AwaitedUpload,
    Declared,
    ScopedCaller,
    awaited_upload,
    is_directory,
    place_of,
)
from gateway.filestore import Filestore
from gateway.model.access import Access
from gateway.model.change import ChangeListener, FileChanged
from gateway.model.errors import Conflict, Malformed, NotFound, PreconditionFailed
from gateway.model.file import Draft, FileRecord
from gateway.model.media import guess_content_type
from gateway.model.paging import Page

_ATTEMPTS: Final = 5
_USAGE_SLICES: Final = 16
_NO_FILE: Final = "File was not found"
_BUSY: Final = "the directory is being moved or removed"


class PrivateFiles:
    """The private files of all applications.

    A file waits ``pending_seconds`` for its bytes. ``on_work`` is told that a job was put in.
    """

    def __init__(
        self,
        database: Database,
        files: Filestore,
        listener: ChangeListener,
        *,
        pending_seconds: float,
        on_work: Callable[[], None],
    ) -> None:
        self._database = database
        self._files = files
        self._listener = listener
        self._pending_seconds = pending_seconds
        self._on_work = on_work

    async def list(self, listing: FileListing) -> Page[FileRecord]:
        """One page."""
        total = int(await self._database.value(listing.count, *listing.matching))
        reading = listing.reading(total)
        page = (reading.limit, reading.offset)
        items = await self._files.select(reading.statement, *listing.matching, *page)
        return Page(total, items[::-1] if reading.backwards else items)

    async def has_directory(self, listing: FileListing) -> bool:
        """Whether there is the directory that is listed."""
        if listing.directory in (None, ROOT):
            return True
        place = (listing.application, listing.directory)
        return bool(await self._database.value("losant/type_at", *place) == DIRECTORY)

    async def find(self, access: Access) -> FileRecord:
        """The file or directory. Raises ``NotFound``."""
        with file_worded():
            return await self._files.find(access.scope, access.name)

    async def add_directory(self, access: Access, caller: ScopedCaller, place: Place) -> FileRecord:
        """A new directory. Raises ``NotFound``, ``Malformed``, ``Conflict``."""
        return await self._create(access, place, "", _attributes(caller, DIRECTORY, place))

    async def add_file(
        self, access: Access, caller: ScopedCaller, place: Place, declared: Declared
    ) -> AwaitedUpload:
        """A new file, which waits for its bytes. Raises as ``add_directory``."""
        content_type = declared.content_type or guess_content_type(place.name)
        attributes = _attributes(caller, FILE, place) | {
            "status": PENDING,
            "generation": 1,
            "size": declared.size,
            "dimensions": declared.dimensions,
            "upload": declared.attribute,
            "expires": time.time() + self._pending_seconds,
        }
        return _awaited(await self._create(access, place, content_type, attributes))

    async def await_upload(self, access: Access, declared: Declared) -> AwaitedUpload:
        """New bytes are awaited; those of before stay until they are there.

        What was awaited before is no more. Raises ``NotFound``, ``Malformed`` for a directory.
        """
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(PreconditionFailed):
                return await self._await_upload(access, declared)
        raise Conflict("the file is changing")

    async def find_awaited(self, key: str) -> AwaitedUpload:
        """The upload with that key. Raises ``NotFound`` if none is awaited under it (any more)."""
        application, _, rest = key.partition("/")
        file_id, _, _ = rest.partition("/")
        try:
            record = await self._files.find_by_id(UUID(hex=file_id))
        except ValueError as exc:
            raise NotFound(_NO_FILE) from exc
        awaited = awaited_upload(record) if record.scope.kind == SCOPE_KIND else None
        if awaited is None or awaited.key != key or record.scope.owner != application:
            raise NotFound(_NO_FILE)
        return awaited

    async def remove(self, access: Access) -> None:
        """Remove a file, or begin to remove a directory. Raises ``NotFound``, ``Conflict``."""
        record = await self.find(access)
        if is_directory(record):
            await self._begin_removal(access, record)
        else:
            with file_worded():
                await self._files.remove(access)  # by its id: one that moved meanwhile has another

    async def move(self, access: Access, place: Callable[[FileRecord], Place]) -> FileRecord:
        """Move to where ``place`` says; what is there then has another id.

        A directory's contents follow by and by. Raises ``NotFound``, ``Malformed`` for a
        directory that would be in itself, ``Conflict`` if the name is taken.
        """
        record = await self.find(access)
        to = place(record)
        with _placement_worded():
            async with self._database.transaction() as session:
                moved = await self._move(session, access, record, to)
        self._tell(record)
        self._on_work()
        return moved

    async def _create(
        self, access: Access, place: Place, content_type: str, attributes: dict[str, Any]
    ) -> FileRecord:
        draft = Draft(access.scope, new_id(), content_type, attributes)
        try:
            with _placement_worded():
                return await self._files.create(access, draft)
        except NotFound:
            await check_directory_there(self._database, access.scope.owner, place.parent)
            raise

    async def _await_upload(self, access: Access, declared: Declared) -> AwaitedUpload:
        record = await self.find(access)
        if is_directory(record):
            raise Malformed("a directory has no content")
        generation = record.attributes["generation"]
        changes = {
            "status": PENDING,
            "generation": generation + 1,
            "upload": declared.attribute,
            "expires": time.time() + self._pending_seconds,
        }
        with file_worded():
            amended = await self._files.amend(access, changes, matching={"generation": generation})
        return _awaited(amended)

    async def _begin_removal(self, access: Access, record: FileRecord) -> None:
        application, path = access.scope.owner, place_of(record).inside
        async with self._database.transaction() as session:
            await self._hold(session, record, directory=True)
            await _check_idle(session, application, path)
            await session.run("amend_file", record.id, {"status": DELETING}, access.principal.id)
            actor = access.principal.id
            await session.value(
                "losant/add_job", application, "delete", path, None, record.id, None, actor
            )
        self._tell(record)
        self._on_work()

    async def _move(
        self, session: Session, access: Access, record: FileRecord, to: Place
    ) -> FileRecord:
        application, directory = access.scope.owner, is_directory(record)
        await self._hold(session, record, directory=directory)
        await check_directory_there(session, application, to.parent)
        if await session.value("losant/is_busy", application, to.inside):
            raise Conflict(_BUSY)
        if directory:
            return await _move_directory(session, access, record, to)
        actor, wanted = access.principal.id, {"parent": to.parent, "name": to.name}
        await session.rows("losant/move_files", [record.id], [new_id()], wanted, actor)
        return await _present(session, record)

    async def _hold(self, session: Session, record: FileRecord, *, directory: bool) -> None:
        """Take the locks, in the order that all do. Raises ``NotFound`` if the file has moved."""
        application = record.scope.owner
        await session.rows("losant/share_scope", str(record.scope))
        await session.rows("losant/hold_tree" if directory else "losant/share_tree", application)
        await session.rows("lock_files", [record.id])
        present = await _present(session, record)
        if present.name != record.name or place_of(present) != place_of(record):
            raise NotFound(_NO_FILE)

    def _tell(self, record: FileRecord) -> None:
        self._listener.on_change(FileChanged(record.scope, record.name))


async def check_directory_there(queries: Queries, application: str, path: str) -> None:
    """Raise ``NotFound`` if nothing is at that path, ``Malformed`` if it is a file."""
    if path == ROOT:
        return
    kind = await queries.value("losant/type_at", application, path)
    if kind is None:
        raise NotFound("Parent directory was not found")
    if kind != DIRECTORY:
        raise Malformed("the parent directory is a file")


async def _move_directory(
    session: Session, access: Access, record: FileRecord, to: Place
) -> FileRecord:
    application, actor = access.scope.owner, access.principal.id
    source = place_of(record).inside
    if to.inside.startswith(source):
        raise Malformed("a directory cannot be moved to where it is, or into itself")
    await _check_idle(session, application, source)
    target, name = uuid4(), new_id()
    attributes = dict(record.attributes) | {
        "parent": to.parent,
        "name": to.name,
        "status": MOVING,
    }
    await session.row(
        "add_file",
        *(target, record.scope.kind, application, name),
        *(None,) * 6,
        *(record.content_type, attributes, record.creator, random.randrange(_USAGE_SLICES)),  # noqa: S311 - spreads load
    )
    await session.run("amend_file", record.id, {"status": MOVING, "into": name}, actor)
    job = await session.value(
        "losant/add_job", application, "move", source, to.inside, record.id, target, actor
    )
    await session.run("losant/add_steps", job, [source], [to.inside])
    row = await session.row("find_file_by_id", target)
    assert row is not None, "it was added by this transaction"
    return record_of(row)


async def _check_idle(session: Session, application: str, path: str) -> None:
    """Raise ``Conflict`` if the directory, one that it is in, or one in it is being changed."""
    for statement in ("losant/is_busy", "losant/has_work_below"):
        if await session.value(statement, application, path):
            raise Conflict(_BUSY)


async def _present(session: Session, record: FileRecord) -> FileRecord:
    row = await session.row("find_file_by_id", record.id)
    if row is None:
        raise NotFound(_NO_FILE)
    return record_of(row)


def _attributes(caller: ScopedCaller, kind: str, place: Place) -> dict[str, Any]:
    return {
        "type": kind,
        "parent": place.parent,
        "name": place.name,
        "status": COMPLETED,
        "author": caller.author,
        "author_type": caller.author_type,
        "generation": 0,
        "upload": None,
        "expires": None,
        "into": None,
    }


def _awaited(record: FileRecord) -> AwaitedUpload:
    awaited = awaited_upload(record)
    assert awaited is not None, "that is what it was just made"
    return awaited


@contextlib.contextmanager
def file_worded() -> Iterator[None]:
    """What is not there, in the API's words."""
    try:
        yield
    except NotFound as exc:
        raise NotFound(_NO_FILE) from exc


@contextlib.contextmanager
def _placement_worded() -> Iterator[None]:
    """What the triggers refuse, in the API's words."""
    try:
        yield
    except Unrelated as exc:
        parent = exc.constraint == "losant_parent"
        raise NotFound(f"{'Parent directory' if parent else 'Application'} was not found") from exc
    except Conflict as exc:
        taken = exc if isinstance(exc, Taken) else exc.__cause__
        if isinstance(taken, Taken):
            busy = taken.constraint == "losant_tree_busy"
            raise Conflict(
                _BUSY if busy else "a file or directory of that name is already there"
            ) from exc
        raise
