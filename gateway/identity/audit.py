"""The audit, as those who administer the gateway see it, and log-ins, which are in it too.

Log-ins change nothing that could carry their row, and strangers make them fail as often as they
like. So their rows are counted: some at once and a few an hour for each address, and for all
together. What is beyond that is not written, but its number is with the next row.

Rule: nobody who is not an administrator sees it, and nobody changes it but by its retention.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Final

from gateway.database.events import note
from gateway.database.pool import Database
from gateway.identity.records.events import AuditEvent, EventPage, EventQuery
from gateway.identity.rights import check_admin
from gateway.identity.rows import events as rows
from gateway.model.access import Principal
from gateway.model.errors import TooMany
from gateway.process.origin import sender_address
from gateway.traffic.attempts import Buckets, Rate

_BATCH: Final = 5_000
_OF_ALL: Final = Rate(1_000, 0.1)
_OF_ONE: Final = Rate(60, 1 / 60)


class Audit:
    """What happened. Kept for ``days``, or for ever with 0."""

    def __init__(
        self, database: Database, *, days: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._days = days
        self._all = Buckets(_OF_ALL, clock=clock)
        self._one = Buckets(_OF_ONE, clock=clock)
        self._unwritten = 0

    async def list(self, caller: Principal, wanted: EventQuery) -> EventPage:
        """A page, newest first. Raises ``Forbidden``."""
        check_admin(caller)
        return await rows.list_events(self._database, wanted)

    def walk(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[AuditEvent, None]:
        """All of a time, oldest first, for a command; close it."""
        return rows.stream_events(self._database, since, until)

    async def note_attempt(
        self, event: str, kind: str, owner: object, *, actor: str, **detail: object
    ) -> None:
        """What somebody tried who may be anybody: a row, unless there were too many of late."""
        try:
            self._one.take((sender_address(), actor))
            self._all.take(None)
        except TooMany:
            self._unwritten += 1
            return
        if self._unwritten:
            detail, self._unwritten = {**detail, "unwritten": self._unwritten}, 0
        await note(self._database, event, kind, owner, actor=actor, detail=detail)

    async def tidy(self) -> None:
        """Remove what is too old."""
        while self._days and await rows.forget_events(self._database, self._days, _BATCH) == _BATCH:
            pass
