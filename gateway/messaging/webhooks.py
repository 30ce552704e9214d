"""Webhooks: who is told what a thing says and does.

Whose thing it is is not decided here: callers ask the registry first.

Rule: webhooks are counted before a name is looked up, and no name is looked up twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from gateway.database.pool import Database
from gateway.messaging.records import Webhook, WebhookDraft
from gateway.messaging.rows import webhooks as rows
from gateway.messaging.targets import Target, is_public
from gateway.model.errors import Malformed, NotFound

MOST_WEBHOOKS: Final = 20
_RESOLVING_SECONDS: Final = 2.0


class Webhooks:
    """The webhooks of all things.

    Unless ``private_targets``, none is made for an address that is not public. A name may
    change what it stands for, so the address is judged again at each delivery.
    """

    def __init__(self, database: Database, *, private_targets: bool) -> None:
        self._database = database
        self._private_targets = private_targets

    async def create(self, thing_id: UUID, drafts: Sequence[WebhookDraft]) -> list[UUID]:
        """All of them, or none; their ids. Raises ``Malformed`` for a target or number of them."""
        present = await rows.list_webhooks(self._database, thing_id)
        if len(present) + len(drafts) > MOST_WEBHOOKS:
            raise _too_many()
        for target in {(d.target.host, d.target.port): d.target for d in drafts}.values():
            await self._check(target)
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
        await self._check(draft.target)
        if not await rows.amend_webhook(self._database, webhook_id, draft):
            raise NotFound()

    async def remove(self, ids: Sequence[UUID]) -> None:
        """Remove them and what they have not been told; absence is success."""
        await rows.remove_webhooks(self._database, ids)

    async def _check(self, target: Target) -> None:
        if self._private_targets:
            return
        for address in await _addresses(target):
            if not is_public(address):
                raise Malformed("the url's address is not a public one")


def _too_many() -> Malformed:
    return Malformed(f"a thing has at most {MOST_WEBHOOKS} webhooks")


async def _addresses(target: Target) -> list[str]:
    """What the host stands for now; nothing if that cannot be found out."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVING_SECONDS):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [str(address[4][0]) for address in found]
