"""The settings, as values and as the adapters that they choose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.blobs.disk.store import open_disk_store
from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobStore
from gateway.messaging.delivery import DeliveryPolicy
from gateway.messaging.rows.outbox import RetryPolicy
from gateway.settings.core import Settings


@asynccontextmanager
async def open_blobs(settings: Settings) -> AsyncIterator[BlobStore]:
    """The store that this deployment keeps its bytes in, until the end of the block."""
    if settings.store == "memory":
        yield MemoryBlobStore(settings.memory_store_bytes)
        return
    async with open_disk_store(
        settings.data_dir,
        threads=settings.io_threads,
        min_free_bytes=settings.min_free_bytes,
        ways=settings.fast_ways,
    ) as store:
        yield store


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
