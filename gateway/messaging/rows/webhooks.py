"""Rows of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.messaging.records import Disabled, Event, Format, Webhook, WebhookDraft

_COUNTED: Final = 1000
Headers = Callable[[bytes | None, UUID], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A draft with its id, and what of it is sealed. ``asked``: the host has to confirm."""

    id: UUID
    draft: WebhookDraft
    secret: bytes | None
    headers: bytes | None
    asked: bool


async def add_webhooks(
    queries: Queries, thing_id: UUID, new: Sequence[NewWebhook], *, most: int
) -> bool:
    """New rows, all or none; whether the thing is there and has room for them."""
    drafts = [webhook.draft for webhook in new]
    added = await queries.run(
        "add_webhooks",
        thing_id,
        most,
        [webhook.id for webhook in new],
        [draft.name for draft in drafts],
        [draft.target.url for draft in drafts],
        [draft.target.host for draft in drafts],
        [draft.format for draft in drafts],
        [Event.MESSAGES in draft.events for draft in drafts],
        [Event.FILES in draft.events for draft in drafts],
        list(range(len(drafts))),
        [webhook.secret for webhook in new],
        [webhook.headers for webhook in new],
        [webhook.asked for webhook in new],
    )
    return added == len(drafts)


async def list_webhooks(queries: Queries, thing_id: UUID, headers: Headers) -> list[Webhook]:
    """The thing's webhooks, oldest first. ``headers`` opens what is sealed of one."""
    rows = await queries.rows("webhooks_of_thing", thing_id, _COUNTED)
    return [_webhook(row, headers) for row in rows]


async def find_webhook(queries: Queries, webhook_id: UUID, headers: Headers) -> Webhook | None:
    """The webhook of that id, or ``None``."""
    row = await queries.row("webhook_by_id", webhook_id, _COUNTED)
    return _webhook(row, headers) if row else None


async def amend_webhook(queries: Queries, amended: NewWebhook) -> bool:
    """Make it what the draft says, but for its secret; whether there is such a webhook."""
    draft = amended.draft
    changed = await queries.run(
        "amend_webhook",
        amended.id,
        draft.name,
        draft.target.url,
        draft.target.host,
        draft.format,
        Event.MESSAGES in draft.events,
        Event.FILES in draft.events,
        amended.headers,
        amended.asked,
    )
    return changed == 1


async def rotate_secret(
    queries: Queries, webhook_id: UUID, secret: bytes, *, overlap_seconds: float
) -> bool:
    """Another secret; the one until now signs, too, for so long. Whether there is a webhook."""
    changed = await queries.run("rotate_webhook_secret", webhook_id, secret, overlap_seconds)
    return changed == 1


async def remove_webhooks(queries: Queries, ids: Sequence[UUID]) -> None:
    """Remove the rows and what they have not been told; absence is success."""
    await queries.run("remove_webhooks", list(ids))


def _webhook(row: Row, headers: Headers) -> Webhook:
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
        headers=headers(row["headers"], row["id"]),
        signed=row["signed"],
        unconfirmed=row["unconfirmed"],
        disabled=Disabled(row["disabled"]) if row["disabled"] else None,
    )
