"""The settings, as the manner in which webhooks are told."""

from __future__ import annotations

from gateway.config import Settings
from gateway.messaging.delivery import Manner
from gateway.messaging.postgres_outbox import Patience


def manner_of(settings: Settings) -> Manner:
    """How this deployment delivers."""
    return Manner(
        timeout_seconds=settings.webhook_timeout_seconds,
        concurrency=settings.webhook_concurrency,
        private_targets=settings.webhook_private_targets,
        patience=Patience(
            attempts=settings.webhook_attempts,
            give_up_seconds=settings.webhook_give_up_seconds,
            first_pause_seconds=settings.webhook_retry_seconds,
            longest_pause_seconds=settings.webhook_longest_retry_seconds,
        ),
    )
