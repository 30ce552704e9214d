"""Webhooks: who is told what a thing says and does.

Whose thing it is is not decided here: callers ask the registry first.

Rule: no name is looked up here, whatever a request has in it: where a name leads is judged when
something is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from gateway.database.pool import Database
from gateway.messaging.records import Webhook, WebhookDraft
from gateway.messaging.rows import webhooks as rows
from gateway.messaging.targets import TargetRules
from gateway.model.errors import Malformed, NotFound

MOST_WEBHOOKS: Final = 20


class Webhooks:
    """The webhooks of all things, for targets that the ``rules`` allow."""

    def __init__(self, database: Database, rules: TargetRules) -> None:
        self._database = database
        self._rules = rules

    async def create(self, thing_id: UUID, drafts: Sequence[WebhookDraft]) -> list[UUID]:
        """All of them, or none; their ids. Raises ``Malformed`` for a target or number of them."""
        if len(drafts) > MOST_WEBHOOKS:
            raise _too_many()
        for draft in drafts:
            self._rules.check(draft.target)
        ids = [uuid4() for _ in drafts]
        if not await rows.add_webhooks(self._database, thing_id, ids, drafts, most=MOST_WEBHOOKS):
            raise _too_many()
        return ids

    async def of_thing(self, thing_id: UUID) -> list[Webhook]:
        """The thing's webhooks, oldest first."""
        return await rows.list_webhooks(self._database, thing_id)

    async def find(self, webhook_id: UUID) -> Webhook | None:
        """The webhook of that id, or ``None``."""
        return await rows.find_webhook(self._database, webhook_id)

    async def amend(self, webhook_id: UUID, draft: WebhookDraft) -> None:
        """Make it what the draft says. Raises ``NotFound`` and ``Malformed``."""
        self._rules.check(draft.target)
        if not await rows.amend_webhook(self._database, webhook_id, draft):
            raise NotFound()

    async def remove(self, ids: Sequence[UUID]) -> None:
        """Remove them and what they have not been told; absence is success."""
        await rows.remove_webhooks(self._database, ids)


def _too_many() -> Malformed:
    return Malformed(f"a thing has at most {MOST_WEBHOOKS} webhooks")
