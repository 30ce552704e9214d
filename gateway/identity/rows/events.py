"""Rows of the audit."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Final

from gateway.database.pool import Database, Queries, Row
from gateway.identity.records.events import AuditEvent, EventPage, EventPlace, EventQuery

LOOKED_AT: Final = 20_000
"""How many rows one page looks at, however few of them pass."""


async def list_events(queries: Queries, wanted: EventQuery) -> EventPage:
    """A page, newest first."""
    before = wanted.before
    rows = await queries.rows(
        "list_events",
        wanted.since,
        before.at if before else None,
        before.id if before else None,
        wanted.event,
        wanted.kind,
        wanted.owner,
        wanted.actor,
        wanted.address,
        LOOKED_AT,
        wanted.limit,
    )
    events = [_event(row) for row in rows if row["id"] is not None]
    following = None
    if len(events) == wanted.limit:
        following = EventPlace(events[-1].at, events[-1].id)
    elif rows and rows[0]["looked"] == LOOKED_AT:
        following = EventPlace(rows[0]["final_at"], rows[0]["final_id"])
    return EventPage(events, following)


async def stream_events(
    database: Database, since: datetime | None, until: datetime | None
) -> AsyncGenerator[AuditEvent, None]:
    """All of a time, oldest first; close it."""
    async with aclosing(database.stream("events_since", since, until)) as rows:
        async for row in rows:
            yield _event(row)


async def forget_events(queries: Queries, days: int, most: int) -> int:
    """Remove up to ``most`` that are older; how many it were."""
    return await queries.run("forget_events", days, most)


def _event(row: Row) -> AuditEvent:
    return AuditEvent(
        id=row["id"],
        at=row["at"],
        event=row["event"],
        kind=row["kind"],
        owner=row["owner"],
        name=row["name"],
        blob_id=row["blob_id"],
        actor=row["actor"],
        address=row["address"],
        detail=row["detail"] or {},
    )
