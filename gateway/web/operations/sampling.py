"""What is not counted but looked at, now and then.

Room on the disk, the quarantine, webhooks' queue, connections to the database, what the process
itself uses.

Rule: a look costs the same whatever is there, and one that fails leaves what was seen last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from gateway.blobs.port import BlobStore
from gateway.catalogue.damage import Quarantine
from gateway.database.pool import Database
from gateway.messaging.rows.outbox import outbox_state
from gateway.model.errors import GatewayError
from gateway.process.background import running
from gateway.process.looplag import waited_for_processor
from gateway.process.usage import resident_bytes
from gateway.web import metrics

PAUSE_SECONDS: Final = 10.0


@contextlib.asynccontextmanager
async def sampling(
    blobs: BlobStore,
    database: Database,
    quarantine: Quarantine,
    *,
    pause_seconds: float = PAUSE_SECONDS,
) -> AsyncIterator[None]:
    """Look every ``pause_seconds`` until the block ends."""
    async with running(_sample_for_ever(blobs, database, quarantine, pause_seconds)):
        yield


async def _sample_for_ever(
    blobs: BlobStore, database: Database, quarantine: Quarantine, pause_seconds: float
) -> None:
    metrics.database_most.set(database.most_connections)
    used = waited = 0.0
    seen = 0
    while True:
        with contextlib.suppress(GatewayError):
            if blobs.inventory is not None:
                metrics.free_bytes.set(await blobs.inventory.free_bytes())
        await _look_at_database(database)
        metrics.failovers.inc(database.failovers - seen)
        seen = database.failovers
        with contextlib.suppress(GatewayError):
            metrics.quarantine.set(await quarantine.count())
        metrics.resident_bytes.set(resident_bytes())
        metrics.processor_time((now := time.process_time()) - used)
        used = now
        metrics.processor_awaited((now := waited_for_processor()) - waited)
        waited = now
        await asyncio.sleep(pause_seconds)


async def _look_at_database(database: Database) -> None:
    try:
        outbox = await outbox_state(database)
    except GatewayError:
        metrics.database_up.set(0)
    else:
        metrics.database_up.set(1)
        metrics.deliveries.labels("waiting").set(outbox.waiting)
        metrics.deliveries.labels("dead").set(outbox.dead)
        metrics.disabled_webhooks.set(outbox.disabled)
        metrics.oldest_delivery.set(outbox.oldest_seconds)
    in_use, idle = database.connections
    metrics.database_connections.labels("in_use").set(in_use)
    metrics.database_connections.labels("idle").set(idle)
