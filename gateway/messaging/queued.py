"""That something was put into the outbox: who delivers here hears of it at once, the others soon.

Rule: however many messages come, the other gateways are told a few times a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Final

from gateway.database.changes import announce_deliveries
from gateway.database.pool import Database
from gateway.model.errors import GatewayError, cause_of

_log: Final = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.2


class Queued:
    """Told by whoever queues; tells whoever delivers."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] = lambda: None
        self._untold = asyncio.Event()

    def add(self) -> None:
        """Something waits."""
        self._wake()
        self._untold.set()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within the block ``wake`` is called for whatever is added."""
        before, self._wake = self._wake, wake
        try:
            yield
        finally:
            self._wake = before

    async def tell_others(
        self, database: Database, *, pause_seconds: float = _PAUSE_SECONDS
    ) -> None:
        """Until cancelled, announce what was added, so often at most."""
        while True:
            await self._untold.wait()
            self._untold.clear()
            try:
                await announce_deliveries(database)
            except GatewayError as exc:  # they look by themselves, too
                _log.warning("deliveries are not announced", extra={"cause": cause_of(exc)})
            await asyncio.sleep(pause_seconds)
