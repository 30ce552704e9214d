"""Webhooks: who is told what a thing says and does.

Whose thing it is is not decided here: callers ask the registry first.

Rule: no name is looked up here, whatever a request has in it: where a name leads is judged when
something is delivered. A secret is told once, to whoever makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries
from gateway.messaging.records import Webhook, WebhookDraft
from gateway.messaging.rows import webhooks as rows
from gateway.messaging.signing import WebhookSecrets, new_secret
from gateway.messaging.targets import PUBLIC_ONLY, TargetRules
from gateway.model.errors import Malformed, NotFound

MOST_WEBHOOKS: Final = 20
_KIND: Final = "webhooks"
LONGEST_OVERLAP_SECONDS: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """Whom webhooks may name, and whether a new host is asked first whether it wants them."""

    rules: TargetRules = PUBLIC_ONLY
    confirm: bool = False

    def asks(self, host: str) -> bool:
        """Whether the host has to confirm. One that the deployment names need not."""
        return self.confirm and not self.rules.names(host)


class Webhooks:
    """The webhooks of all things."""

    def __init__(self, database: Database, policy: WebhookPolicy, secrets: WebhookSecrets) -> None:
        self._database = database
        self._policy = policy
        self._secrets = secrets

    async def create(
        self, thing_id: UUID, drafts: Sequence[WebhookDraft], *, actor: str
    ) -> Mapping[UUID, str | None]:
        """All of them, or none; their ids in that order, with the secret of each that is signed.

        Raises ``Malformed`` for a target or number of them.
        """
        if len(drafts) > MOST_WEBHOOKS:
            raise _too_many()
        made = {uuid4(): new_secret() if draft.signed else None for draft in drafts}
        new = [self._sealed(*one, draft) for one, draft in zip(made.items(), drafts, strict=True)]
        async with self._database.transaction() as session:
            if not await rows.add_webhooks(session, thing_id, new, most=MOST_WEBHOOKS):
                raise _too_many()
            for webhook_id, draft in zip(made, drafts, strict=True):
                await _note(session, "created", webhook_id, actor, draft, thing_id)
        return made

    async def of_thing(self, thing_id: UUID) -> list[Webhook]:
        """The thing's webhooks, oldest first."""
        return await rows.list_webhooks(self._database, thing_id, self._secrets.open_headers)

    async def find(self, webhook_id: UUID) -> Webhook | None:
        """The webhook of that id, or ``None``."""
        return await rows.find_webhook(self._database, webhook_id, self._secrets.open_headers)

    async def amend(self, webhook_id: UUID, draft: WebhookDraft, *, actor: str) -> None:
        """Make it what the draft says, but for the secret. Raises ``NotFound``, ``Malformed``."""
        amended = self._sealed(webhook_id, None, draft)
        async with self._database.transaction() as session:
            if not await rows.amend_webhook(session, amended):
                raise NotFound()
            await _note(session, "amended", webhook_id, actor, draft)

    async def rotate(self, webhook_id: UUID, *, overlap_seconds: float, actor: str) -> str:
        """A new secret; the one until now, if any, signs beside it for so long.

        Raises ``NotFound``.
        """
        secret = new_secret()
        sealed = self._secrets.seal_secret(secret, webhook_id)
        async with self._database.transaction() as session:
            if not await rows.rotate_secret(
                session, webhook_id, sealed, overlap_seconds=overlap_seconds
            ):
                raise NotFound()
            await note(session, "secret-changed", _KIND, webhook_id, actor=actor)
        return secret

    async def remove(self, ids: Sequence[UUID], *, actor: str) -> None:
        """Remove them and what they have not been told; absence is success."""
        async with self._database.transaction() as session:
            await rows.remove_webhooks(session, ids)
            removed = ", ".join(str(webhook_id) for webhook_id in ids)
            await note(session, "removed", _KIND, removed, actor=actor)

    def _sealed(self, webhook_id: UUID, secret: str | None, draft: WebhookDraft) -> rows.NewWebhook:
        self._policy.rules.check(draft.target)
        return rows.NewWebhook(
            webhook_id,
            draft,
            self._secrets.seal_secret(secret, webhook_id) if secret is not None else None,
            self._secrets.seal_headers(draft.headers, webhook_id),
            asked=self._policy.asks(draft.target.host),
        )


async def _note(
    session: Queries,
    event: str,
    webhook_id: UUID,
    actor: str,
    draft: WebhookDraft,
    thing_id: UUID | None = None,
) -> None:
    """The host alone: an address may carry a secret."""
    detail = {"host": draft.target.host, **({"thing": str(thing_id)} if thing_id else {})}
    await note(session, event, _KIND, webhook_id, actor=actor, detail=detail)


def _too_many() -> Malformed:
    return Malformed(f"a thing has at most {MOST_WEBHOOKS} webhooks")
