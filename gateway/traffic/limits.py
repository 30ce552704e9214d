"""A bounded number of places for work that costs memory or descriptors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gateway.model.errors import TooMany


class ConcurrencyLimit:
    """So many at once and no queue: who finds no place is asked to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit

    def share(self, budget: int, *, least: int, most: int) -> int:
        """What one holder may have of ``budget``, which all holders share."""
        return min(most, max(least, budget // max(self._limit - self._free, 1)))

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place. Raises ``TooMany`` if there is none."""
        if self._free <= 0:
            raise TooMany()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
