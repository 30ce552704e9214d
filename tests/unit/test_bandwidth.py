"""Token buckets by a clock that is set by hand: exact instants, and no waiting."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.file import Scope
from gateway.traffic.bandwidth import Bandwidth, Bucket, Limit, Pace, Queue, bandwidth_of

KIB = 1024
RATE = 64 * KIB  # of which a bucket holds a second's
START = 1000.0
THING = Principal(PrincipalKind.THING, "gate", "thing")
OTHER_THING = Principal(PrincipalKind.THING, "door", "thing")
USER = Principal(PrincipalKind.USER, "gate", "user")
OWN = Scope("things", "gate")
GROUP = Scope("groups", "line")
Grant = tuple[float, str, int]


class HandClock:
    """Time passes only when all wait, and then just up to the first of them."""

    def __init__(self) -> None:
        self.now = START
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    async def settle(self) -> None:
        """Let everybody go on who need not wait."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def run(self, *work: Coroutine[Any, Any, None], until: float = 1e9) -> None:
        """Do the work, or as much of it as is done by ``until``, seconds from the start."""
        tasks = [asyncio.create_task(one) for one in work]
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= START + until:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def limits(clock: HandClock, *, device: int = 0, group: int = 0) -> Bandwidth:
    return Bandwidth(
        device_rate=device, group_rate=group, clock=clock, pause=clock.pause, group_kind="groups"
    )


def pace(bandwidth: Bandwidth, principal: Principal = THING, scope: Scope = OWN) -> Pace:
    found = bandwidth.pace_of(Access(principal, Action.READ, "mainflux", scope))
    assert found is not None
    return found


class Ledger:
    """What was granted to whom, and when, in seconds from the start."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.grants: list[Grant] = []

    async def download(self, pace: Pace, size: int, name: str = "one") -> None:
        with pace.begun() as turns:
            while size:
                count = await turns.next(size)
                self.grants.append((self._clock.now - START, name, count))
                size -= count

    def total(self, name: str, until: float = 1e9) -> int:
        return sum(n for at, who, n in self.grants if who == name and at <= until)

    def end(self, name: str) -> float:
        return max(at for at, who, _ in self.grants if who == name)


@pytest.fixture
def ledger(clock: HandClock) -> Ledger:
    return Ledger(clock)


@pytest.mark.parametrize(
    ("rate", "taken", "count", "expected"),
    [
        pytest.param(RATE, [(0, RATE // 4)], RATE * 3 // 4, 0.0, id="what is left of the burst"),
        pytest.param(RATE, [(0, RATE)], RATE // 4, 0.25, id="a quarter, after the burst"),
        pytest.param(RATE, [(0, RATE)], RATE, 1.0, id="all of it again"),
        pytest.param(RATE, [(0, RATE), (9, RATE)], RATE, 10.0, id="idle time fills it just once"),
        pytest.param(
            RATE, [(0, RATE), (0.5, RATE // 2)], 4096, 0.5625, id="no byte is given twice"
        ),
        pytest.param(1024, [(0, 64 * KIB)], 4096, 4.0, id="a slow one begins with 64 KiB too"),
        pytest.param(10**9, [(0, 10**9)], 10**7, 0.01, id="a fast one holds a second's"),
    ],
)
def test_when_bytes_are_there(
    rate: int, taken: Sequence[tuple[float, int]], count: int, expected: float
) -> None:
    bucket = Bucket(rate)
    for at, some in taken:
        bucket.take(some, START + at)
    assert expected == pytest.approx(max(0.0, bucket.ready_at(count) - START), abs=1e-9)


async def test_a_download_alone_gets_its_burst_and_then_half_a_second_at_a_time(
    clock: HandClock, ledger: Ledger
) -> None:
    await clock.run(ledger.download(pace(limits(clock, device=RATE)), 2 * RATE + 1))
    half = RATE // 2
    assert [
        (0.0, "one", half),
        (0.0, "one", half),
        (0.5, "one", half),
        (1.0, "one", half),
        (1.0 + 1 / RATE, "one", 1),
    ] == ledger.grants


@pytest.mark.parametrize(
    ("rate", "members", "expected"),
    [
        pytest.param(RATE, 1, RATE // 2, id="alone"),
        pytest.param(RATE, 3, RATE // 4, id="three get theirs in less than a second"),
        pytest.param(RATE, 10_000, 4096, id="never less than 4 KiB"),
        pytest.param(1024, 1, 4096, id="nor of a slow one"),
        pytest.param(10**10, 1, 4 * 1024**2, id="never more than 4 MiB"),
    ],
)
def test_slices_are_the_smaller_the_more_share(
    clock: HandClock, rate: int, members: int, expected: int
) -> None:
    queue = Queue(rate, clock, clock.pause)
    queue.members = members
    assert expected == queue.slice_bytes


async def test_no_window_of_time_has_more_than_the_rate_and_one_burst(
    clock: HandClock, ledger: Ledger
) -> None:
    shared = pace(limits(clock, device=RATE))
    await clock.run(*(ledger.download(shared, 100_000 + n, str(n)) for n in range(9)))
    assert 9 * 100_000 + sum(range(9)) == sum(count for _, _, count in ledger.grants)
    for first, (since, _, _) in enumerate(ledger.grants):
        sent = 0
        for at, _, count in ledger.grants[first:]:
            sent += count
            assert sent <= RATE + RATE * (at - since) + 1e-3


async def test_downloads_that_share_move_at_the_same_pace(clock: HandClock, ledger: Ledger) -> None:
    """
    One of them had come first, with the burst and long slices to itself.
    """
    bandwidth = limits(clock, group=RATE)
    things = [Principal(PrincipalKind.THING, f"t{n}", "thing") for n in range(4)]
    paces = [pace(bandwidth, thing, GROUP) for thing in things]
    first, *others = (ledger.download(p, 100 * RATE, str(n)) for n, p in enumerate(paces))

    async def later() -> None:
        await clock.pause(10)
        await asyncio.gather(*others)

    await clock.run(first, later(), until=50)
    assert [11 * RATE] == [ledger.total("0", 10)]
    shares = [ledger.total(str(n), 50) - ledger.total(str(n), 12) for n in range(4)]
    assert 38 * RATE == pytest.approx(sum(shares), abs=RATE // 2)
    assert max(shares) - min(shares) <= RATE // 5


async def test_one_device_does_not_slow_another(clock: HandClock, ledger: Ledger) -> None:
    bandwidth = limits(clock, device=RATE)
    one, two = pace(bandwidth, THING), pace(bandwidth, OTHER_THING)
    await clock.run(ledger.download(one, 9 * RATE, "one"), ledger.download(two, 9 * RATE, "two"))
    assert (8.0, 8.0) == (ledger.end("one"), ledger.end("two"))


@pytest.mark.parametrize(
    ("device", "group", "expected"),
    [
        pytest.param(RATE, 4 * RATE, 15.0, id="the device"),
        pytest.param(4 * RATE, RATE, 15.0, id="the group"),
        pytest.param(4 * RATE, 0, 3.0, id="the device alone"),
        pytest.param(0, 2 * RATE, 7.0, id="the group alone"),
    ],
)
async def test_the_slower_of_two_limits_wins(
    clock: HandClock, ledger: Ledger, device: int, group: int, expected: float
) -> None:
    both = pace(limits(clock, device=device, group=group), THING, GROUP)
    assert min(rate for rate in (device, group) if rate) == both.rate
    await clock.run(ledger.download(both, 16 * RATE))
    assert expected == pytest.approx(ledger.end("one"), abs=1e-6)


@pytest.mark.parametrize(
    ("principal", "scope", "expected"),
    [
        pytest.param(THING, OWN, 2000, id="a thing and its own files"),
        pytest.param(THING, GROUP, 1500, id="a thing and a group's"),
        pytest.param(USER, GROUP, 1500, id="a user and a group's"),
        pytest.param(USER, OWN, None, id="a user and a thing's"),
        pytest.param(USER, Scope("hasura", "default"), None, id="hasura"),
    ],
)
def test_who_is_limited(
    clock: HandClock, principal: Principal, scope: Scope, expected: int | None
) -> None:
    bandwidth = limits(clock, device=2000, group=1500)
    found = bandwidth.pace_of(Access(principal, Action.READ, "any", scope))
    assert expected == (found and found.rate)


def test_without_limits_there_is_nothing_to_look_at() -> None:
    assert bandwidth_of(device_rate=0, group_rate=0, group_kind="groups") is None
    assert bandwidth_of(device_rate=0, group_rate=5000, group_kind="groups") is not None


async def test_whoever_gives_up_costs_nobody_time(clock: HandClock, ledger: Ledger) -> None:
    """
    A hundred ask before it and leave: it gets its bytes as if they had never been.
    """
    shared = pace(limits(clock, group=RATE), USER, GROUP)
    crowd = [asyncio.create_task(ledger.download(shared, RATE, "crowd")) for _ in range(100)]
    await clock.settle()
    spent = ledger.total("crowd")
    assert RATE - 4096 < spent <= RATE
    patient = asyncio.create_task(ledger.download(shared, RATE, "patient"))
    await clock.settle()
    for one in crowd:
        one.cancel()
    await clock.run(asyncio.sleep(0))
    await patient
    assert spent == ledger.total("crowd")
    assert spent / RATE == pytest.approx(ledger.end("patient"), abs=1e-6)


async def test_a_pause_that_ends_early_grants_nothing_early(ledger: Ledger) -> None:
    clock = ledger._clock
    pauses = 0

    async def hasty(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        await clock.pause(seconds / 2 if seconds > 0.001 else seconds)

    bandwidth = Bandwidth(
        device_rate=RATE, group_rate=0, clock=clock, pause=hasty, group_kind="groups"
    )
    await clock.run(ledger.download(pace(bandwidth), 2 * RATE))
    assert 1.0 == ledger.end("one")
    assert pauses > 2


async def test_a_device_that_comes_again_finds_its_bucket_as_it_left_it(
    clock: HandClock, ledger: Ledger
) -> None:
    """
    Else whoever asks for each range on a new connection had a burst for each.
    """
    again = pace(limits(clock, device=RATE))
    for _ in range(16):
        await clock.run(ledger.download(again, RATE // 4))
    assert 3.0 == ledger.end("one")


async def test_ten_thousand_idle_devices_are_forgotten(clock: HandClock) -> None:
    limit = Limit(RATE, clock, clock.pause)
    for number in range(10_000):
        with limit.member(str(number)) as queue:
            await queue.take(1 + number % RATE)
    assert 10_000 == len(limit)
    clock.now += 1.0
    with limit.member("another"):
        assert 1 == len(limit)


async def test_who_is_busy_or_in_debt_is_not_forgotten(clock: HandClock) -> None:
    limit = Limit(RATE, clock, clock.pause)
    with limit.member("busy") as busy, limit.member("busy") as too:
        assert busy is too
        with limit.member("in debt") as indebted:
            await indebted.take(RATE)
        clock.now += 0.99
        with limit.member("in debt") as found:
            assert found is indebted
        with limit.member("busy") as found:
            assert found is busy
        clock.now += 0.01
        with limit.member("in debt") as found:
            assert found is not indebted
