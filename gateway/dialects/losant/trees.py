"""In the background: moving and removing whole directories, ending uploads that nobody completed.

Theory of operation. A job is a row of ``losant_jobs``; it is worked off in transactions of a page
of rows each, by whichever gateway has taken it. Who takes one has it for a lease, renewed with each
page; if its gateway dies, another takes it then.

- A move has a step for each directory whose contents have yet to follow. A page takes over some of
  them, with new ids, and makes steps of the directories among them, in one transaction in which the
  job's row is locked. So each is moved once, whoever does it, and however often somebody dies.
- A removal goes down to a directory without directories in it, removes its files a page at a time,
  then itself, and so upwards. It keeps no notes: what is there yet is what is to be done, and to
  remove something twice is no harm. The directory that was asked about goes last.

Nothing can be put into the directories of a job (see ``files``), so an empty one is empty for good.

Rule: no transaction takes more rows than a page.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.database.pool import Database, Row, Session
from gateway.dialects.losant.ids import new_id
from gateway.dialects.losant.records import COMPLETED, DIALECT, DIRECTORY, scope_of
from gateway.dialects.losant.tokens import ApiTokens
from gateway.filestore import Filestore
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.change import ChangeListener, FileChanged
from gateway.model.errors import GatewayError, cause_of
from gateway.model.file import FileName, Scope
from gateway.process.background import running

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 200
_COUNTS: Final = 2000
_SHORTEST_LEASE_SECONDS: Final = 2.0
_USAGE_SLICES: Final = 16


@dataclass(frozen=True, slots=True)
class Job:
    """A directory that is being moved or removed; paths begin and end with a slash."""

    id: int
    application: str
    kind: str
    from_path: str
    from_id: UUID
    to_id: UUID | None
    actor: str

    @property
    def scope(self) -> Scope:
        """Where the files are."""
        return scope_of(self.application)


class TreeWork:
    """What goes on behind the requests; looked for every ``seconds``, and on ``wake``; not at 0."""

    def __init__(
        self,
        database: Database,
        files: Filestore,
        tokens: ApiTokens,
        listener: ChangeListener,
        *,
        seconds: float,
        grace_seconds: float,
    ) -> None:
        self._database = database
        self._files = files
        self._tokens = tokens
        self._listener = listener
        self._seconds = seconds
        self._lease_seconds = max(_SHORTEST_LEASE_SECONDS, 2 * seconds)
        self._grace_seconds = grace_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do it for as long as the block runs, unless others do."""
        if self._seconds == 0:
            yield
            return
        async with running(self._work_for_ever()):
            yield

    async def work(self) -> None:
        """Do all that there is to do now."""
        while (row := await self._database.row("losant/take_job", self._lease_seconds)) is not None:
            await self._work_off(_job(row))
        while await self._give_up_uploads():
            pass
        while await self._database.value("losant/settle_counts", _COUNTS) == _COUNTS:
            pass
        await self._tokens.tidy()

    async def _work_for_ever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.work()
            except GatewayError as exc:
                _log.warning("directories wait to be moved", extra={"cause": cause_of(exc)})
            except Exception:  # noqa: BLE001 - what one comes to ends the work on no other
                _log.exception("moving and removing directories failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._seconds)

    async def _work_off(self, job: Job) -> None:
        if job.kind == "move":
            while await self._move_page(job):
                pass
        else:
            await self._remove_tree(job)

    async def _move_page(self, job: Job) -> bool:
        """Take over a page of what has to follow; whether there may be more."""
        async with self._database.transaction() as session:
            await session.rows("losant/share_scope", str(job.scope))
            if await session.row("losant/keep_job", job.id, self._lease_seconds) is None:
                return False
            step = await session.row("losant/next_step", job.id)
            gone = await (
                self._finish_move(session, job) if step is None else _follow(session, job, step)
            )
        self._tell(gone)
        return step is not None

    async def _finish_move(self, session: Session, job: Job) -> Sequence[FileName]:
        """All is where it should be: the directory that it was in goes."""
        rows = await session.rows("lock_files", [job.from_id, job.to_id])
        ids = [row["id"] for row in rows]
        if job.to_id in ids:
            await session.run("amend_file", job.to_id, {"status": COMPLETED}, job.actor)
        if job.from_id in ids:
            await session.run(
                "remove_files", [job.from_id], self._grace_seconds, job.actor, _slice()
            )
        await session.run("losant/finish_job", job.id)
        return [_name(row) for row in rows]

    async def _remove_tree(self, job: Job) -> None:
        access = Access(_worker(job.actor), Action.DELETE, DIALECT, job.scope)
        paths = [job.from_path]
        while paths:
            if await self._database.row("losant/keep_job", job.id, self._lease_seconds) is None:
                return
            inner = await self._database.value("losant/a_directory_in", job.application, paths[-1])
            if inner is not None:
                paths.append(f"{paths[-1]}{inner}/")
            elif await self._remove_page(job, access, paths[-1]):
                paths.pop()
        await self._database.run("losant/finish_job", job.id)

    async def _remove_page(self, job: Job, access: Access, path: str) -> bool:
        """Remove a page of a directory without directories, and itself if that was all of it."""
        rows = await self._database.rows("losant/children", job.application, path, _PAGE)
        ids, last = [row["id"] for row in rows], len(rows) < _PAGE
        if last and path != job.from_path:
            ids.append(await self._database.value("losant/id_at", job.application, path))
        elif last:
            ids.append(job.from_id)
        await self._files.remove_many(access, [file_id for file_id in ids if file_id])
        return last

    async def _give_up_uploads(self) -> bool:
        """End a page of uploads that nobody completed in time; whether there may be more."""
        rows = await self._database.rows("losant/expired", _PAGE)
        ids = [row["id"] for row in rows]
        if not ids:
            return False
        async with self._database.transaction() as session:
            await session.rows("share_scopes_of_files", ids, [])
            await session.rows("lock_files", ids)
            expired = await session.rows("losant/still_expired", ids)
            without = [row["id"] for row in expired if row["blob_id"] is None]
            others = [row["id"] for row in expired if row["blob_id"] is not None]
            await session.run("remove_files", without, self._grace_seconds, "expiry", _slice())
            await session.rows("losant/give_up_uploads", others)
        self._tell([_name(row) for row in expired])
        return len(ids) == _PAGE

    def _tell(self, gone: Sequence[FileName]) -> None:
        for at in gone:
            self._listener.on_change(FileChanged(at.scope, at.name))


async def _follow(session: Session, job: Job, step: Row) -> Sequence[FileName]:
    """A page of what is in the step's directory moves on; the step ends with the last of it."""
    rows = await session.rows("losant/children", job.application, step["from_path"], _PAGE)
    if not rows:
        await session.run("losant/finish_step", step["id"])
        return []
    await session.rows("lock_files", [row["id"] for row in rows])
    ids = [row["id"] for row in rows]
    there = await session.rows("losant/still_in", ids, step["from_path"])
    found = [row["id"] for row in there]
    await session.rows(
        "losant/move_files",
        found,
        [new_id() for _ in found],
        {"parent": step["to_path"]},
        job.actor,
    )
    inner = [row["own_name"] for row in there if row["type"] == DIRECTORY]
    from_paths = [f"{step['from_path']}{name}/" for name in inner]
    to_paths = [f"{step['to_path']}{name}/" for name in inner]
    await session.run("losant/add_steps", job.id, from_paths, to_paths)
    return [FileName(job.scope, row["name"]) for row in there]


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        application=row["application"],
        kind=row["kind"],
        from_path=row["from_path"],
        from_id=row["from_id"],
        to_id=row["to_id"],
        actor=row["actor"],
    )


def _name(row: Row) -> FileName:
    return FileName(Scope(row["kind"], row["owner"]), row["name"])


def _worker(actor: str) -> Principal:
    """Who asked for the work; what they may was decided then."""
    return Principal(PrincipalKind.USER, actor, "user")


def _slice() -> int:
    return random.randrange(_USAGE_SLICES)  # noqa: S311 - spreads load, guards nothing
