"""Large work is done a piece at a time beside the loop, in turns; what is small waits for nobody."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import AsyncExitStack

import pytest

from gateway.model.errors import TooMany
from gateway.process.holder import work_for
from gateway.traffic import bulk
from gateway.traffic.bulk import aside, give_way, in_turn

SMALL, LARGE = 4 * 1024, 4 * 1024 + 1


@pytest.mark.parametrize(("beside", "size"), [(False, SMALL), (True, LARGE)])
async def test_only_what_is_large_leaves_the_loop_s_thread(beside: bool, size: int) -> None:
    assert beside == (await aside(size, threading.get_ident) != threading.get_ident())


async def test_of_all_large_work_one_piece_is_done_at_a_time() -> None:
    under_way, most = 0, 0

    def work() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        threading.Event().wait(0.001)
        under_way -= 1

    await asyncio.gather(*(aside(LARGE, work) for _ in range(20)))
    assert 1 == most


async def test_a_flood_of_one_holder_waits_behind_itself() -> None:
    done = list[str]()

    async def come(holder: str) -> None:
        work_for(holder)
        await aside(LARGE, done.append, holder)

    flood = [asyncio.create_task(come("flood")) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.create_task(come("honest"))
    assert done.count("flood") <= 2
    await asyncio.gather(*flood)


async def test_a_change_that_finds_no_turn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_WAIT_SECONDS", 0.01)
    async with in_turn(SMALL), AsyncExitStack() as stack:
        for _ in range(bulk._changes.limit):
            await stack.enter_async_context(in_turn(LARGE))
        with pytest.raises(TooMany):
            await stack.enter_async_context(in_turn(LARGE))
    async with in_turn(LARGE):
        pass


async def test_the_interpreter_s_lock_changes_hands_soon() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)  # as Python has it
    try:
        give_way()
        assert sys.getswitchinterval() < 0.005
    finally:
        sys.setswitchinterval(before)
