"""Attempts to be let in: how many may fail, counted before anything is worked for them.

Each address may fail so often at all, and each address at one account much more seldom; so guessing
is slow, and whoever guesses locks out nobody but themselves. An account as a whole has a bound,
too, for guesses from many addresses; who has logged in to it from their address before is not
held up by that one.

Theory of operation. Each process counts for itself, and what failed is counted for all gateways
together, too. Nobody is asked about the first attempt of somebody who has not failed of late: if it
proves right, as nearly all do, no more was done. Only while there is something to count (one has
failed, or another is under way) is an attempt counted by all before it is tried. So guesses that
are spread over gateways are worth one more for each of them, and not as many again. An account as a
whole is counted by each process, because who has logged in before is known there.

Knows no HTTP, no passwords and no database.

Rule: an attempt is counted before it is tried, and given back if it did not fail. What cannot be
told to all is counted here.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.model.errors import Failure, NotFound, TooMany, Unauthenticated

_ENTRIES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    burst: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Token:
    """One of a bucket that all gateways share; its ``key`` tells nobody whose it is."""

    key: bytes
    rate: Rate


class Ledger(Protocol):
    """What all gateways count together. Everything raises ``CatalogueUnavailable``."""

    async def take(self, tokens: Sequence[Token], *, forced: bool = False) -> Sequence[float]:
        """How many seconds there is none of each; if that is 0 of all, they are taken.

        ``forced`` takes them in any case: of what has failed already.
        """

    async def give_back(self, tokens: Sequence[Token]) -> None:
        """They were not needed."""


class Alone:
    """Of a gateway that shares nothing."""

    async def take(self, tokens: Sequence[Token], *, forced: bool = False) -> Sequence[float]:
        """There are enough."""
        del forced
        return [0.0] * len(tokens)

    async def give_back(self, tokens: Sequence[Token]) -> None:
        """Nobody counts."""


class Buckets:
    """A bucket of tokens for each key; those that were not asked for longest are forgotten."""

    def __init__(
        self, rate: Rate, *, clock: Callable[[], float] = time.monotonic, name: str = ""
    ) -> None:
        self.rate: Final = rate
        self._clock = clock
        self._name = name
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> None:
        """One token. Raises ``TooMany``, which says when there will be one."""
        left, now = self._now_left(key), self._clock()
        if left < 1:
            raise TooMany(math.ceil((1 - left) / self.rate.per_second))
        self._keep(key, left - 1, now)

    def give_back(self, key: Hashable) -> None:
        """The token was not needed."""
        self._keep(key, self._now_left(key) + 1, self._clock())

    def drain(self, key: Hashable, seconds: float) -> None:
        """There is none for so long, beside the one that the caller has and gives back."""
        self._keep(key, -seconds * self.rate.per_second, self._clock())

    def is_full(self, key: Hashable) -> bool:
        """Whether nothing was taken of it of late."""
        return self._now_left(key) >= self.rate.burst

    def token(self, key: Hashable) -> Token:
        """The same bucket as all gateways know it."""
        named = repr((self._name, key)).encode(errors="replace")
        return Token(hashlib.blake2b(named, digest_size=16).digest(), self.rate)

    def _now_left(self, key: Hashable) -> float:
        left, at = self._left.get(key, (float(self.rate.burst), 0.0))
        return min(self.rate.burst, left + (self._clock() - at) * self.rate.per_second)

    def _keep(self, key: Hashable, left: float, now: float) -> None:
        self._left[key] = (min(left, self.rate.burst), now)
        self._left.move_to_end(key)
        while len(self._left) > _ENTRIES:
            self._left.popitem(last=False)


_Place = tuple[Buckets, Hashable]


class Attempts:
    """Log-ins, registrations and questions whose a key is. ``address`` may be unknown: ``None``."""

    def __init__(
        self, ledger: Ledger | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger or Alone()
        self._log_ins = Buckets(Rate(300, 5.0), clock=clock, name="address")
        self._log_ins_of_one = Buckets(Rate(10, 0.1), clock=clock, name="address and account")
        self._accounts = Buckets(Rate(100, 0.5), clock=clock)
        self._registrations = Buckets(Rate(100, 0.5), clock=clock, name="registration")
        self._questions = Buckets(Rate(500, 20.0), clock=clock)
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    @asynccontextmanager
    async def log_in(self, address: str | None, account: str) -> AsyncIterator[None]:
        """Within the block somebody logs in. Raises ``TooMany`` if too many have failed."""
        name = hashlib.blake2b(account.lower().encode(errors="replace"), digest_size=16).digest()
        pair = (address, name)
        places: list[_Place] = [(self._log_ins_of_one, pair)]
        if address is not None:
            places.append((self._log_ins, address))
        is_first = all(buckets.is_full(key) for buckets, key in places)
        with ExitStack() as stack:
            for buckets, key in places:
                stack.enter_context(_counted(buckets, key))
            if pair not in self._known:
                stack.enter_context(_counted(self._accounts, name))
            async with self._counted_by_all(places, is_first=is_first):
                yield
        self._remember(pair)

    def _remember(self, pair: Hashable) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        while len(self._known) > _ENTRIES:
            self._known.popitem(last=False)

    @asynccontextmanager
    async def _counted_by_all(
        self, places: Sequence[_Place], *, is_first: bool
    ) -> AsyncIterator[None]:
        """The first of somebody is counted if it fails, any other before it is tried."""
        tokens = [buckets.token(key) for buckets, key in places]
        if not is_first:
            await self._reserve(places, tokens)
        try:
            yield
        except (Unauthenticated, NotFound):
            if is_first:
                with suppress(Failure):
                    await self._ledger.take(tokens, forced=True)
            raise
        except BaseException:
            await self._give_back([] if is_first else tokens)
            raise
        await self._give_back([] if is_first else tokens)

    async def _reserve(self, places: Sequence[_Place], tokens: Sequence[Token]) -> None:
        """Raises ``TooMany``; from then on it is known here, and nobody is asked."""
        waits = await self._ledger.take(tokens)
        for (buckets, key), wait in zip(places, waits, strict=True):
            if wait > 0:
                buckets.drain(key, wait)
        if any(waits):
            raise TooMany(math.ceil(max(waits)))

    async def _give_back(self, tokens: Sequence[Token]) -> None:
        if tokens:
            with suppress(Failure):
                await self._ledger.give_back(tokens)

    @contextmanager
    def question(self, address: str | None) -> Iterator[None]:
        """Within the block it is said whose a key is. Raises ``TooMany``."""
        if address is None:
            yield
            return
        with _counted(self._questions, address):
            yield

    async def registration(self, address: str | None) -> None:
        """Somebody registers. Raises ``TooMany`` after too many of the same address."""
        if address is None:
            return
        self._registrations.take(address)
        try:
            place = (self._registrations, address)
            await self._reserve([place], [self._registrations.token(address)])
        except TooMany:
            self._registrations.give_back(address)
            raise


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
