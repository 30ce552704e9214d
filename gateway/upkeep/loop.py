"""The service's own sweeps, now and then, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from gateway.blobs.port import BlobStore
from gateway.catalogue.port import BlobLedger
from gateway.database.leases import take_turn
from gateway.database.pool import Database
from gateway.identity.keys import Keys
from gateway.identity.registry import Registry
from gateway.messaging.service import Messaging
from gateway.model.errors import GatewayError, cause_of
from gateway.process.background import running
from gateway.upkeep.sweep import GracePeriods, SweepReport, sweep

SweepWatch = Callable[[SweepReport], None]
_log: Final = logging.getLogger(__name__)
_USES_SECONDS: Final = 60.0
_SWEEP: Final = "sweep"


@contextlib.asynccontextmanager
async def noting_uses(keys: Keys, *, seconds: float = _USES_SECONDS) -> AsyncIterator[None]:
    """Write down every so often when keys were used, and once more at the end of the block."""
    try:
        async with running(_note_for_ever(keys, seconds)):
            yield
    finally:
        await _note(keys)


async def _note_for_ever(keys: Keys, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _note(keys)


async def _note(keys: Keys) -> None:
    try:
        await keys.write_uses()
    except GatewayError as exc:
        _log.warning("when keys were used could not be written", extra={"cause": cause_of(exc)})


@contextlib.asynccontextmanager
async def sweeping(
    blobs: BlobStore,
    ledger: BlobLedger,
    messaging: Messaging,
    registry: Registry,
    grace: GracePeriods,
    *,
    interval_seconds: float,
    watch: SweepWatch,
    elsewhere: Callable[[float], None] = lambda _: None,
) -> AsyncIterator[None]:
    """Sweep every ``interval_seconds``, if that is not 0, until the block ends.

    One of the gateways on a database does it for all. ``watch`` is told of each sweep that came
    to its end here, ``elsewhere`` when another's did, in seconds since 1970.
    """
    if interval_seconds == 0:
        yield
        return

    async def work() -> None:
        report = await sweep(blobs, ledger, grace)
        await messaging.tidy()
        await registry.tidy()
        watch(report)
        removed = {name: getattr(report, name) for name in ("incoming", "orphans", "garbage")}
        _log.info("swept", extra=removed)

    async with running(_sweep_for_ever(messaging.database, work, interval_seconds, elsewhere)):
        yield


async def _sweep_for_ever(
    database: Database,
    work: Callable[[], Awaitable[None]],
    interval_seconds: float,
    elsewhere: Callable[[float], None],
) -> None:
    while True:
        try:
            turn = await take_turn(database, _SWEEP, work, every_seconds=interval_seconds)
            if not turn.done and turn.before is not None:
                elsewhere(turn.before)
        except GatewayError as exc:
            _log.warning("the sweep failed", extra={"cause": cause_of(exc)})
        await asyncio.sleep(interval_seconds)
