"""A loop that stands still is seen, by how long it did."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.process import looplag
from gateway.process.looplag import waited_for_processor, watching_loop
from gateway.web.metrics import _Longest

STILL_SECONDS = 0.1
PATIENCE_SECONDS = 30.0


async def test_a_stand_still_is_told_but_for_what_was_before_the_timer_was_due() -> None:
    told: list[float] = []
    async with watching_loop(told.append):
        await asyncio.sleep(2 * looplag.PAUSE_SECONDS)
        time.sleep(STILL_SECONDS)
        await asyncio.wait_for(_some(told), PATIENCE_SECONDS)
    assert max(told) >= STILL_SECONDS - looplag.PAUSE_SECONDS
    assert min(told) >= 0


async def _some(told: list[float]) -> None:
    while not told:
        await asyncio.sleep(looplag.PAUSE_SECONDS)


async def test_nothing_is_told_afterwards() -> None:
    told: list[float] = []
    async with watching_loop(told.append):
        pass
    await asyncio.sleep(2 * looplag.PAUSE_SECONDS)
    assert [] == told


def test_the_longest_is_that_of_this_minute_or_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    longest, seen = _Longest(), []
    for at, value in ((600, 3.0), (610, 1.0), (661, 2.0), (721, 0.5), (781, 0.1), (990, 0.2)):
        monkeypatch.setattr(time, "monotonic", lambda at=at: at)
        seen.append(longest.add(value))
    assert [3.0, 3.0, 3.0, 2.0, 0.5, 0.2] == seen


def test_waiting_for_a_processor_is_counted_by_the_kernel() -> None:
    before = waited_for_processor()
    assert waited_for_processor() >= before >= 0
