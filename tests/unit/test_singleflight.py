"""One piece of work for all who ask at once: its races."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from gateway.traffic.singleflight import SingleFlight


class Work:
    """Work that takes until it is let through, and counts how often it began."""

    def __init__(self) -> None:
        self.began = 0
        self.through = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.began += 1
        number = self.began
        await self.through.wait()
        if self.failure is not None:
            raise self.failure
        return number


@pytest.fixture
async def work() -> Work:
    return Work()


async def asking(flights: SingleFlight[int], work: Work, count: int = 1) -> list[asyncio.Task[int]]:
    """So many who ask, and wait."""
    tasks = [asyncio.create_task(flights.join("key", work)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_who_asks_at_once_shares_the_result(work: Work) -> None:
    tasks = await asking(SingleFlight(), work, 100)
    work.through.set()
    assert [1] * 100 == await asyncio.gather(*tasks)


async def test_who_asks_afterwards_begins_anew(work: Work) -> None:
    flights: SingleFlight[int] = SingleFlight()
    work.through.set()
    assert [1, 2] == [await flights.join("key", work) for _ in range(2)]


async def test_the_work_goes_on_when_whoever_began_it_leaves(work: Work) -> None:
    flights: SingleFlight[int] = SingleFlight()
    [first] = await asking(flights, work)
    [second] = await asking(flights, work)
    first.cancel()
    work.through.set()
    assert 1 == await second
    assert first.cancelled()


async def test_an_error_reaches_everybody_and_is_not_kept(work: Work) -> None:
    flights: SingleFlight[int] = SingleFlight()
    tasks = await asking(flights, work, 3)
    work.failure = RuntimeError("no")
    work.through.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [work.failure] * 3 == outcomes
    work.failure = None
    assert 2 == await flights.join("key", work)


async def test_an_error_that_nobody_waits_for_is_no_complaint_of_the_loop(work: Work) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    flights: SingleFlight[int] = SingleFlight()
    [task] = await asking(flights, work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    work.failure = RuntimeError("no")
    work.through.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert [] == complaints


async def test_nobody_joins_what_began_before_a_change(work: Work) -> None:
    flights: SingleFlight[int] = SingleFlight()
    [before] = await asking(flights, work)
    flights.forget()
    [after] = await asking(flights, work)
    work.through.set()
    assert [1, 2] == [await before, await after]


async def test_what_lands_late_does_not_end_what_began_after_it(work: Work) -> None:
    flights: SingleFlight[int] = SingleFlight()
    [before] = await asking(flights, work)
    flights.forget()
    held = Work()
    [after] = await asking(flights, held)
    work.through.set()
    await before
    [joined] = await asking(flights, held)
    held.through.set()
    assert [1, 1] == [await after, await joined]


async def test_who_follows_waits_for_the_end_of_what_is_led() -> None:
    flights: SingleFlight[None] = SingleFlight()
    with flights.leading("key"):
        following = asyncio.create_task(flights.follow("key"))
        other = await flights.follow("another key")
        for _ in range(3):
            await asyncio.sleep(0)
        assert not following.done()
    assert (True, False, False) == (await following, other, await flights.follow("key"))


@pytest.mark.parametrize("failure", [RuntimeError, asyncio.CancelledError], ids=["fails", "leaves"])
async def test_who_follows_is_told_when_the_leader(failure: type[BaseException]) -> None:
    flights: SingleFlight[None] = SingleFlight()
    with contextlib.suppress(failure), flights.leading("key"):
        following = asyncio.create_task(flights.follow("key"))
        await asyncio.sleep(0)
        raise failure
    assert await following
    assert not await flights.follow("key")


async def test_a_follower_who_leaves_takes_nobody_along() -> None:
    flights: SingleFlight[None] = SingleFlight()
    with flights.leading("key"):
        leaving, staying = (asyncio.create_task(flights.follow("key")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait((leaving,))
    assert await staying


async def test_who_does_the_same_at_the_same_time_ends_nothing_for_others() -> None:
    flights: SingleFlight[None] = SingleFlight()
    with flights.leading("key"):
        with flights.leading("key"):
            following = asyncio.create_task(flights.follow("key"))
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not following.done()
    assert await following
