"""The settings, as the manner in which webhooks are told."""

from __future__ import annotations

from gateway.messaging.delivery import DeliveryPolicy
from gateway.messaging.rows.outbox import RetryPolicy
from gateway.settings.core import Settings


def delivery_policy(settings: Settings) -> DeliveryPolicy:
    """How this deployment delivers."""
    return DeliveryPolicy(
        timeout_seconds=settings.webhook_timeout_seconds,
        concurrency=settings.webhook_concurrency,
        private_targets=settings.webhook_private_targets,
        patience=RetryPolicy(
            attempts=settings.webhook_attempts,
            give_up_seconds=settings.webhook_give_up_seconds,
            first_pause_seconds=settings.webhook_retry_seconds,
            longest_pause_seconds=settings.webhook_longest_retry_seconds,
        ),
    )
