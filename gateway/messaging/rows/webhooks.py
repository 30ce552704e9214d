"""Rows of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.messaging.records import Event, Format, Webhook, WebhookDraft

_COUNTED: Final = 1000


async def add_webhooks(
    queries: Queries,
    thing_id: UUID,
    ids: Sequence[UUID],
    drafts: Sequence[WebhookDraft],
    *,
    most: int,
) -> bool:
    """New rows, all or none; whether the thing is there and has room for them."""
    added = await queries.run(
        "add_webhooks",
        thing_id,
        most,
        ids,
        [draft.name for draft in drafts],
        [draft.target.url for draft in drafts],
        [draft.target.host for draft in drafts],
        [draft.format for draft in drafts],
        [Event.MESSAGES in draft.events for draft in drafts],
        [Event.FILES in draft.events for draft in drafts],
        list(range(len(drafts))),
    )
    return added == len(drafts)


async def list_webhooks(queries: Queries, thing_id: UUID) -> list[Webhook]:
    """The thing's webhooks, oldest first."""
    rows = await queries.rows("webhooks_of_thing", thing_id, _COUNTED)
    return [_webhook(row) for row in rows]


async def find_webhook(queries: Queries, webhook_id: UUID) -> Webhook | None:
    """The webhook of that id, or ``None``."""
    row = await queries.row("webhook_by_id", webhook_id, _COUNTED)
    return _webhook(row) if row else None


async def amend_webhook(queries: Queries, webhook_id: UUID, draft: WebhookDraft) -> bool:
    """Make it what the draft says; whether there is such a webhook."""
    changed = await queries.run(
        "amend_webhook",
        webhook_id,
        draft.name,
        draft.target.url,
        draft.target.host,
        draft.format,
        Event.MESSAGES in draft.events,
        Event.FILES in draft.events,
    )
    return changed == 1


async def remove_webhooks(queries: Queries, ids: Sequence[UUID]) -> None:
    """Remove the rows and what they have not been told; absence is success."""
    await queries.run("remove_webhooks", list(ids))


def _webhook(row: Row) -> Webhook:
    events = {Event.MESSAGES: row["messages"], Event.FILES: row["files"]}
    return Webhook(
        id=row["id"],
        thing_id=row["thing_id"],
        name=row["name"],
        url=row["url"],
        format=Format(row["format"]),
        events=frozenset(event for event, wanted in events.items() if wanted),
        failures=row["failures"],
        waiting=row["waiting"],
        dead=row["dead"],
    )
