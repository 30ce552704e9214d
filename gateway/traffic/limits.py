"""A bounded number of places for work that costs memory or descriptors.

Whoever holds few places finds one: a quarter of all is kept for holders that have less than an
eighth. So one holder alone may use three quarters, and none can keep the others out.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Final

from gateway.model.errors import TooMany

_RESERVE: Final = 4
_SHARE: Final = 8


class ConcurrencyLimit:
    """So many at once and no queue: who finds no place is asked to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = limit
        self._reserve = limit // _RESERVE
        self._share = max(1, limit // _SHARE)
        self._held: Counter[Hashable] = Counter()

    def share(self, budget: int, *, least: int, most: int) -> int:
        """What one holder may have of ``budget``, which all holders share."""
        return min(most, max(least, budget // max(self._limit - self._free, 1)))

    @property
    def is_full(self) -> bool:
        """Whether there is no place for anybody."""
        return self._free <= 0

    @contextlib.contextmanager
    def taken(self, holder: Hashable = None) -> Iterator[None]:
        """Hold a place. Raises ``TooMany`` if there is none for this holder."""
        self.take(holder)
        try:
            yield
        finally:
            self.give_back(holder)

    def take(self, holder: Hashable, *, shared: bool = True) -> None:
        """A place, to be given back. Raises ``TooMany`` if there is none for this holder.

        Who is not ``shared`` stands for many, and may have all that there are.
        """
        few = not shared or self._held[holder] < self._share
        if self._free <= (0 if few else self._reserve):
            self._forget(holder)
            raise TooMany()
        self._free -= 1
        self._held[holder] += 1

    def give_back(self, holder: Hashable) -> None:
        """The place is free again."""
        self._free += 1
        self._held[holder] -= 1
        self._forget(holder)

    def pass_on(self, giver: Hashable, taker: Hashable) -> None:
        """A place that was the giver's is the taker's.

        Raises ``TooMany`` if the taker would not have found one; it stays the giver's then.
        """
        self.give_back(giver)
        try:
            self.take(taker)
        except TooMany:
            self.take(giver, shared=False)
            raise

    def _forget(self, holder: Hashable) -> None:
        if not self._held[holder]:
            del self._held[holder]
