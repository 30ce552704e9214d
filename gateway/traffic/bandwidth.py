"""How fast files go out: so many bytes a second to each device, and from each group.

Knows callers and scopes, no sockets; the clock and the pause are handed in.

Rule: all downloads that a limit joins share one token bucket and take turns at it, a slice
each, so every one of them moves on about once a second. What is idle and full is forgotten.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.model.access import Access, PrincipalKind
from gateway.traffic.cache import BoundedCache

Clock = Callable[[], float]
Pause = Callable[[float], Awaitable[None]]

LEAST_SLICE_BYTES: Final = 4 * 1024
MOST_SLICE_BYTES: Final = 4 * 1024 * 1024
LEAST_BURST_BYTES: Final = 64 * 1024


class Bucket:
    """A token bucket, kept as the GCRA keeps it (ITU-T I.371): by when it is full again.

    ``rate`` bytes flow in each second until it holds ``burst``: those of a second, or 64 KiB.
    """

    __slots__ = ("burst", "full_at", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.burst = max(rate, LEAST_BURST_BYTES)
        self.full_at = -math.inf

    def ready_at(self, count: int) -> float:
        """From when on ``count`` bytes, at most ``burst``, are in it."""
        return self.full_at - (self.burst - count) / self.rate

    def take(self, count: int, now: float) -> None:
        """Take out ``count`` bytes, which are in it at ``now``."""
        self.full_at = max(self.full_at, now) + count / self.rate


class Queue:
    """The downloads that share a bucket; each asks again once its slice is sent."""

    __slots__ = ("_clock", "_pause", "_turn", "bucket", "members")

    def __init__(self, rate: int, clock: Clock, pause: Pause) -> None:
        self.bucket = Bucket(rate)
        self.members = 0
        self._turn = asyncio.Lock()
        self._clock = clock
        self._pause = pause

    @property
    def slice_bytes(self) -> int:
        """What one turn takes: less than a second goes by before it is the same one's again.

        Unless they are so many that even the least slices take longer.
        """
        fair = self.bucket.rate // (self.members + 1)
        return min(max(fair, LEAST_SLICE_BYTES), MOST_SLICE_BYTES)

    async def take(self, count: int) -> None:
        """Wait for one's turn, and then for ``count`` bytes. Whoever gives up costs nobody time."""
        async with self._turn:
            ready_at = self.bucket.ready_at(count)
            while (left := ready_at - self._clock()) > 0:  # an event loop may wake us early
                await self._pause(left)
            self.bucket.take(count, self._clock())


class Limit:
    """One rate for each of many: a queue for every key that something is being sent for."""

    def __init__(self, rate: int, clock: Clock, pause: Pause) -> None:
        self.rate = rate
        self._clock = clock
        self._pause = pause
        self._busy: dict[str, Queue] = {}
        # Any is full a burst's time after its last use: the oldest holds up no other.
        self._idle: BoundedCache[str, Queue] = BoundedCache(None, clock=clock)

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    @contextmanager
    def member(self, key: str) -> Iterator[Queue]:
        """Be one of those who share the key's bucket during the block."""
        self._idle.drop_expired()  # idle buckets that are full: as good as new ones
        queue = self._idle.take(key) or self._busy.get(key)
        if queue is None:
            queue = Queue(self.rate, self._clock, self._pause)
        self._busy[key] = queue
        queue.members += 1
        try:
            yield queue
        finally:
            queue.members -= 1
            if queue.members == 0:
                del self._busy[key]
                self._idle.keep(key, queue, expires=queue.bucket.full_at)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The places of one download in the queues that it is in."""

    queues: tuple[Queue, ...]

    async def next(self, most: int) -> int:
        """Wait until bytes may be sent; how many, ``most`` or fewer."""
        count = min(most, *(queue.slice_bytes for queue in self.queues))
        for queue in self.queues:
            await queue.take(count)
        return count


@dataclass(frozen=True, slots=True)
class Pace:
    """What limits a download: its device, its group or both. The slower wins."""

    limits: tuple[tuple[Limit, str], ...]

    @property
    def rate(self) -> int:
        """Bytes per second that it can have at most, if nobody shares them."""
        return min(limit.rate for limit, _ in self.limits)

    @contextmanager
    def begun(self) -> Iterator[Schedule]:
        """Take part during the block."""
        with ExitStack() as stack:
            joined = (stack.enter_context(limit.member(key)) for limit, key in self.limits)
            yield Schedule(tuple(joined))


class Bandwidth:
    """The limits of this process, in bytes per second; 0 is none.

    Scopes of ``group_kind`` are groups.
    """

    def __init__(
        self,
        *,
        device_rate: int,
        group_rate: int,
        group_kind: str,
        clock: Clock = time.monotonic,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._devices = Limit(device_rate, clock, pause) if device_rate else None
        self._group_kind = group_kind
        self._groups = Limit(group_rate, clock, pause) if group_rate else None

    def pace_of(self, access: Access) -> Pace | None:
        """What limits this read: a thing is a device, whatever it reads; a group is its files'."""
        limits: list[tuple[Limit, str]] = []
        if self._devices is not None and access.principal.kind is PrincipalKind.THING:
            limits.append((self._devices, access.principal.id))
        if self._groups is not None and access.scope.kind == self._group_kind:
            limits.append((self._groups, access.scope.owner))
        return Pace(tuple(limits)) if limits else None


def bandwidth_of(*, device_rate: int, group_rate: int, group_kind: str) -> Bandwidth | None:
    """The limits, or ``None`` if there are none to look at."""
    if not device_rate and not group_rate:
        return None
    return Bandwidth(device_rate=device_rate, group_rate=group_rate, group_kind=group_kind)
