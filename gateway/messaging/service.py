"""Messaging, put together on one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.database.pool import Database
from gateway.messaging.messages import Messages
from gateway.messaging.queued import Queued
from gateway.messaging.rows import outbox as postgres_outbox
from gateway.messaging.signing import Seal, WebhookSecrets
from gateway.messaging.webhooks import WebhookPolicy, Webhooks

_DAY: Final = 86_400.0
_DEFAULT: Final = WebhookPolicy()


@dataclass(frozen=True, slots=True)
class Messaging:
    """What handlers, the deliverer and the sweeper work with."""

    messages: Messages
    webhooks: Webhooks
    database: Database
    secrets: WebhookSecrets
    dead_letter_days: int
    queued: Queued

    async def tidy(self) -> None:
        """Remove what is too old or belongs to nobody; make room for what comes."""
        await self.messages.tidy()
        await postgres_outbox.remove_dead(self.database, self.dead_letter_days * _DAY)
        await postgres_outbox.remove_sent(self.database)


def messaging_on(
    database: Database,
    seal: Seal,
    *,
    retention_days: int = 0,
    dead_letter_days: int = 30,
    policy: WebhookPolicy = _DEFAULT,
) -> Messaging:
    """Messaging on ``database``. Messages are kept for so many days, or for ever with 0.

    ``seal`` is for what is secret of webhooks.
    """
    secrets, queued = WebhookSecrets(seal), Queued()
    return Messaging(
        Messages(database, queued, retention_days=retention_days),
        Webhooks(database, policy, secrets),
        database,
        secrets,
        dead_letter_days,
        queued,
    )
