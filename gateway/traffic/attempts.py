"""Attempts to be let in: how many may fail, counted before anything is worked for them.

Each address may fail so often at all, and each address at one account much more seldom; so guessing
is slow, and whoever guesses locks out nobody but themselves. An account as a whole has a bound,
too, for guesses from many addresses; who has logged in to it from their address before is not
held up by that one.

Knows no HTTP and no passwords. Every process counts for itself.

Rule: an attempt is counted before it is tried, and given back if it did not fail.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.model.errors import NotFound, TooMany, Unauthenticated

_ENTRIES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    burst: int
    per_second: float


class Buckets:
    """A bucket of tokens for each key; those that were not asked for longest are forgotten."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> None:
        """One token. Raises ``TooMany``, which says when there will be one."""
        left, now = self._now_left(key), self._clock()
        if left < 1:
            raise TooMany(math.ceil((1 - left) / self._rate.per_second))
        self._keep(key, left - 1, now)

    def give_back(self, key: Hashable) -> None:
        """The token was not needed."""
        self._keep(key, self._now_left(key) + 1, self._clock())

    def _now_left(self, key: Hashable) -> float:
        left, at = self._left.get(key, (float(self._rate.burst), 0.0))
        return min(self._rate.burst, left + (self._clock() - at) * self._rate.per_second)

    def _keep(self, key: Hashable, left: float, now: float) -> None:
        self._left[key] = (min(left, self._rate.burst), now)
        self._left.move_to_end(key)
        while len(self._left) > _ENTRIES:
            self._left.popitem(last=False)


class Attempts:
    """Log-ins, registrations and questions whose a key is. ``address`` may be unknown: ``None``."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log_ins = Buckets(Rate(300, 5.0), clock=clock)
        self._log_ins_of_one = Buckets(Rate(10, 0.1), clock=clock)
        self._accounts = Buckets(Rate(100, 0.5), clock=clock)
        self._registrations = Buckets(Rate(100, 0.5), clock=clock)
        self._questions = Buckets(Rate(500, 20.0), clock=clock)
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    @contextmanager
    def log_in(self, address: str | None, account: str) -> Iterator[None]:
        """Within the block somebody logs in. Raises ``TooMany`` if too many have failed."""
        name = hashlib.blake2b(account.lower().encode(errors="replace"), digest_size=16).digest()
        pair = (address, name)
        with ExitStack() as stack:
            stack.enter_context(_counted(self._log_ins_of_one, pair))
            if address is not None:
                stack.enter_context(_counted(self._log_ins, address))
            if pair not in self._known:
                stack.enter_context(_counted(self._accounts, name))
            yield
        self._known[pair] = None
        self._known.move_to_end(pair)
        while len(self._known) > _ENTRIES:
            self._known.popitem(last=False)

    @contextmanager
    def question(self, address: str | None) -> Iterator[None]:
        """Within the block it is said whose a key is. Raises ``TooMany``."""
        if address is None:
            yield
            return
        with _counted(self._questions, address):
            yield

    def registration(self, address: str | None) -> None:
        """Somebody registers. Raises ``TooMany`` after too many of the same address."""
        if address is not None:
            self._registrations.take(address)


@contextmanager
def _counted(buckets: Buckets, key: Hashable) -> Iterator[None]:
    """A token, which is lost only if the block finds that the credential proves nothing."""
    buckets.take(key)
    try:
        yield
    except (Unauthenticated, NotFound):
        raise
    except BaseException:
        buckets.give_back(key)
        raise
    buckets.give_back(key)
