"""New files are committed together: one statement, one round trip and one sync for many.

Theory of operation. A commit costs PostgreSQL, and whoever waits for it, much the same for one row
as for twenty. So whoever has a new file puts it into its holder's queue (``process/holder.py``),
and what is in there when a commit can begin goes with it, in the order in which it came. At most
two of one holder are under way; nobody waits for company. Holders do not share a commit, so that
the turns among them (``traffic/turns.py``) stay what they are, and nobody's refusal is another's
work.

A statement that is refused changed nothing. So whatever it is refused for, a right that is not
proved any more among it, each of its files is then committed alone, and meets its own refusal or
none.

Rule: what is said of one file is what would have been said of it alone. If nobody knows whether the
commit came about, it is ``CommitUnknown`` for each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.database.pool import Database, Row
from gateway.model.errors import CommitUnknown
from gateway.model.guard import Guard, guarding, present_guard, unguarded
from gateway.process.holder import HOLDER

MOST_TOGETHER: Final = 32
_AT_ONCE: Final = 2

Values = tuple[object, ...]
"""What ``add_file`` is given."""


@dataclass(eq=False, slots=True)
class _New:
    """A file that is to be committed; ``outcome`` is its row, or ``None``: try it alone."""

    values: Values
    guard: Guard | None
    outcome: asyncio.Future[Row | None]
    is_sent: bool = False

    def tell(self, row: Row | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(row)

    def fail(self, exc: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(exc)


@dataclass(slots=True)
class _Queue:
    """One holder's; ``workers`` commit what is in it."""

    waiting: deque[_New] = field(default_factory=deque)
    workers: int = 0


class TogetherCommits:
    """Adds files, each for whoever asks, as many as there are at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queues: dict[str | None, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, *values: object) -> Row:
        """The row of the new file, committed under the task's guard. Raises as ``change``."""
        loop, holder = asyncio.get_running_loop(), HOLDER.get()
        new = _New(values, present_guard(), loop.create_future())
        self._put(None if holder is None else holder.name, new)
        try:
            row = await new.outcome
        except asyncio.CancelledError as exc:
            if new.is_sent:
                raise CommitUnknown() from exc
            raise
        return row if row is not None else await self._alone(values)

    async def _alone(self, values: Values) -> Row:
        row = await self._database.change("add_file", *values)
        assert row is not None, "insert returning yields a row or raises"
        return row

    def _put(self, holder: str | None, new: _New) -> None:
        queue = self._queues.setdefault(holder, _Queue())
        queue.waiting.append(new)
        if queue.workers < _AT_ONCE:
            queue.workers += 1
            with unguarded():  # a worker is of no file
                task = asyncio.create_task(self._work(holder, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, holder: str | None, queue: _Queue) -> None:
        try:
            while batch := _taken(queue.waiting):
                await self._commit(batch)
        finally:
            queue.workers -= 1
            if not queue.workers:
                del self._queues[holder]

    async def _commit(self, batch: Sequence[_New]) -> None:
        for new in batch:
            new.is_sent = True
        try:
            with guarding(_of_all(batch)):
                rows = await self._rows(batch)
        except CommitUnknown as exc:
            for new in batch:
                new.fail(_unknown(exc))
        except Exception as exc:  # noqa: BLE001 - each is told; the next batch is another's
            for new in batch:
                new.fail(exc) if len(batch) == 1 else new.tell(None)
        except BaseException:
            for new in batch:
                new.outcome.cancel()
            raise
        else:
            for new in batch:
                new.tell(rows[new.values[0]])

    async def _rows(self, batch: Sequence[_New]) -> dict[object, Row]:
        if len(batch) == 1:
            row = await self._alone(batch[0].values)
            return {row["id"]: row}
        columns = map(list, zip(*(new.values for new in batch), strict=True))
        rows = await self._database.change_all("add_files", *columns)
        return {row["id"]: row for row in rows}


def _taken(waiting: deque[_New]) -> list[_New]:
    """Those that have waited longest; who was cancelled meanwhile is left out."""
    batch = list[_New]()
    while waiting and len(batch) < MOST_TOGETHER:
        new = waiting.popleft()
        if not new.outcome.done():
            batch.append(new)
    return batch


def _of_all(batch: Sequence[_New]) -> Guard | None:
    """The rights of all as one, which is due if one of them is; each is proved once."""
    guards = [new.guard for new in batch if new.guard is not None]
    if len(guards) < 2:
        return guards[0] if guards else None

    async def prove() -> None:
        proved = set[Hashable]()
        for guard in guards:
            if guard.is_due and guard.alike not in proved:
                await guard.prove()
                proved |= set() if guard.alike is None else {guard.alike}

    whose = {one for guard in guards for one in guard.whose}
    return Guard(tuple(sorted(whose)), prove, lambda: any(guard.is_due for guard in guards))


def _unknown(exc: CommitUnknown) -> CommitUnknown:
    """One for each, as tracebacks are an exception's own."""
    one = CommitUnknown()
    one.__cause__ = exc
    return one
