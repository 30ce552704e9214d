"""Reservations: rows that uploads under way have, with a lease that this process renews.

Rule: what a process has promised lapses some seconds after it died, and never while it lives and
the database answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from gateway.database.pool import Database
from gateway.model.errors import Failure
from gateway.model.file import Scope
from gateway.process.background import running
from gateway.quotas.rows import quotas as rows

LEASE_SECONDS: Final = 60.0
_RENEWALS: Final = 4

_log: Final = logging.getLogger(__name__)


class Reservations:
    """What this process's uploads were promised."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._held: set[UUID] = set()

    async def reserve(self, blob_id: UUID, scope: Scope, wanted: int, least: int) -> int | None:
        """So many more bytes, or ``None`` if nothing limits them. Raises ``OverQuota``."""
        self._held.add(blob_id)  # before: who is cancelled meanwhile releases what it may have
        return await rows.reserve(
            self._database, blob_id, scope, wanted, least, self._lease_seconds
        )

    async def release(self, blob_id: UUID) -> None:
        """Nothing is needed any more."""
        self._held.discard(blob_id)
        with contextlib.suppress(Failure):  # it lapses by itself
            await rows.release(self._database, blob_id)

    async def renew_for_ever(self) -> None:
        """Renew what is held, several times in a lease, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_seconds / _RENEWALS)
            if self._held:
                try:
                    await rows.renew(self._database, self._held, self._lease_seconds)
                except Failure:
                    _log.warning("reservations cannot be renewed now")


@contextlib.asynccontextmanager
async def open_reservations(
    database: Database, *, lease_seconds: float = LEASE_SECONDS
) -> AsyncIterator[Reservations]:
    """Reservations that are renewed until the end of the block."""
    reservations = Reservations(database, lease_seconds=lease_seconds)
    async with running(reservations.renew_for_ever()):
        yield reservations
