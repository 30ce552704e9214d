"""What is not counted but looked at, now and then: room on the disk, webhooks' queue, connections.

Rule: a look costs the same whatever is there, and one that fails leaves what was seen last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from gateway.blobs.port import BlobStore
from gateway.database.pool import Database
from gateway.messaging.rows.outbox import count_deliveries
from gateway.model.errors import GatewayError
from gateway.process.background import running
from gateway.web import metrics

PAUSE_SECONDS: Final = 10.0


@contextlib.asynccontextmanager
async def sampling(
    blobs: BlobStore, database: Database, *, pause_seconds: float = PAUSE_SECONDS
) -> AsyncIterator[None]:
    """Look every ``pause_seconds`` until the block ends."""
    async with running(_sample_for_ever(blobs, database, pause_seconds)):
        yield


async def _sample_for_ever(blobs: BlobStore, database: Database, pause_seconds: float) -> None:
    while True:
        with contextlib.suppress(GatewayError):
            if blobs.inventory is not None:
                metrics.free_bytes.set(await blobs.inventory.free_bytes())
        with contextlib.suppress(GatewayError):
            waiting, dead = await count_deliveries(database)
            metrics.deliveries.labels("waiting").set(waiting)
            metrics.deliveries.labels("dead").set(dead)
        in_use, idle = database.connections
        metrics.database_connections.labels("in_use").set(in_use)
        metrics.database_connections.labels("idle").set(idle)
        await asyncio.sleep(pause_seconds)
