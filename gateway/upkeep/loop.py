"""The service's own sweeps, now and then, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

from gateway.blobs.port import BlobStore
from gateway.catalogue.port import BlobLedger
from gateway.messaging.service import Messaging
from gateway.model.errors import GatewayError
from gateway.process.background import running
from gateway.upkeep.sweep import GracePeriods, sweep

_log: Final = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def sweeping(
    blobs: BlobStore,
    ledger: BlobLedger,
    messaging: Messaging,
    grace: GracePeriods,
    *,
    interval_seconds: float,
) -> AsyncIterator[None]:
    """Sweep every ``interval_seconds``, if that is not 0, until the block ends."""
    if interval_seconds == 0:
        yield
        return
    async with running(_sweep_for_ever(blobs, ledger, messaging, grace, interval_seconds)):
        yield


async def _sweep_for_ever(
    blobs: BlobStore,
    ledger: BlobLedger,
    messaging: Messaging,
    grace: GracePeriods,
    interval_seconds: float,
) -> None:
    while True:
        try:
            report = await sweep(blobs, ledger, grace)
            await messaging.tidy()
            _log.info(
                "swept",
                extra={
                    "incoming": report.incoming,
                    "orphans": report.orphans,
                    "garbage": report.garbage,
                },
            )
        except GatewayError:
            _log.warning("the sweep failed", exc_info=True)
        await asyncio.sleep(interval_seconds)
