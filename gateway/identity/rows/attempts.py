"""Failed attempts to be let in, as all gateways count them: rows that last for seconds.

Each is a bucket that fills by itself: the moment at which it is full again is all there is to know.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.database.pool import Database
from gateway.traffic.attempts import Token


class SharedAttempts:
    """The ``Ledger`` of all gateways on one database. All raises ``CatalogueUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, tokens: Sequence[Token], *, forced: bool = False) -> Sequence[float]:
        """How many seconds there is none of each; if that is 0 of all, they are taken."""
        return await self._count(tokens, 1.0, forced=forced)

    async def give_back(self, tokens: Sequence[Token]) -> None:
        """They were not needed."""
        await self._count(tokens, -1.0, forced=True)

    async def _count(
        self, tokens: Sequence[Token], number: float, *, forced: bool
    ) -> Sequence[float]:
        rates = [token.rate for token in tokens]
        waits: Sequence[float] = await self._database.value(
            "count_attempts",
            [token.key for token in tokens],
            [number / rate.per_second for rate in rates],
            [rate.burst / rate.per_second for rate in rates],
            forced,
        )
        return waits
