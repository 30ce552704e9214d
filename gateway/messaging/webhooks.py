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

from gateway.database.pool import Database
from gateway.messaging.records import Webhook, WebhookDraft
from gateway.messaging.rows import webhooks as rows
from gateway.messaging.signing import WebhookSecrets, new_secret
from gateway.messaging.targets import PUBLIC_ONLY, TargetRules
from gateway.model.errors import Malformed, NotFound

MOST_WEBHOOKS: Final = 20
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
        self, thing_id: UUID, drafts: Sequence[WebhookDraft]
    ) -> Mapping[UUID, str | None]:
        """All of them, or none; their ids in that order, with the secret of each that is signed.

        Raises ``Malformed`` for a target or number of them.
        """
        if len(drafts) > MOST_WEBHOOKS:
            raise _too_many()
        made = {uuid4(): new_secret() if draft.signed else None for draft in drafts}
        new = [self._sealed(*one, draft) for one, draft in zip(made.items(), drafts, strict=True)]
        if not await rows.add_webhooks(self._database, thing_id, new, most=MOST_WEBHOOKS):
            raise _too_many()
        return made

    async def of_thing(self, thing_id: UUID) -> list[Webhook]:
        """The thing's webhooks, oldest first."""
        return await rows.list_webhooks(self._database, thing_id, self._secrets.open_headers)

    async def find(self, webhook_id: UUID) -> Webhook | None:
        """The webhook of that id, or ``None``."""
        return await rows.find_webhook(self._database, webhook_id, self._secrets.open_headers)

    async def amend(self, webhook_id: UUID, draft: WebhookDraft) -> None:
        """Make it what the draft says, but for the secret. Raises ``NotFound``, ``Malformed``."""
        amended = self._sealed(webhook_id, None, draft)
        if not await rows.amend_webhook(self._database, amended):
            raise NotFound()

    async def rotate(self, webhook_id: UUID, *, overlap_seconds: float) -> str:
        """A new secret; the one until now, if any, signs beside it for so long.

        Raises ``NotFound``.
        """
        secret = new_secret()
        sealed = self._secrets.seal_secret(secret, webhook_id)
        if not await rows.rotate_secret(
            self._database, webhook_id, sealed, overlap_seconds=overlap_seconds
        ):
            raise NotFound()
        return secret

    async def remove(self, ids: Sequence[UUID]) -> None:
        """Remove them and what they have not been told; absence is success."""
        await rows.remove_webhooks(self._database, ids)

    def _sealed(self, webhook_id: UUID, secret: str | None, draft: WebhookDraft) -> rows.NewWebhook:
        self._policy.rules.check(draft.target)
        return rows.NewWebhook(
            webhook_id,
            draft,
            self._secrets.seal_secret(secret, webhook_id) if secret is not None else None,
            self._secrets.seal_headers(draft.headers, webhook_id),
            asked=self._policy.asks(draft.target.host),
        )


def _too_many() -> Malformed:
    return Malformed(f"a thing has at most {MOST_WEBHOOKS} webhooks")
