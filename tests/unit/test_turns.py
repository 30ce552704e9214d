"""Few places for much work: nobody's flood is in front of anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.process.holder import Holder
from gateway.traffic.rounds import Rounds
from gateway.traffic.turns import Turns

A, B, C = Holder("a"), Holder("b"), Holder("c")


async def taken(turns: Turns, holder: Holder | None) -> int:
    """How many places this holder gets without waiting; it keeps them."""
    count = 0
    while True:
        try:
            await turns.take(holder, 0)
        except TimeoutError:
            return count
        count += 1


@pytest.mark.parametrize(
    ("expected", "limit", "kept"),
    [
        # The greedy one, another, a third, a reader of a file, the gateway itself.
        pytest.param([6, 2, 0, 2, 0], 10, 2, id="as shipped"),
        pytest.param([2, 0, 0, 0, 0], 2, 0, id="two"),
        pytest.param([1, 0, 0, 0, 0], 1, 0, id="one"),
    ],
)
async def test_the_greedy_leave_some_to_others_and_some_to_readers(
    expected: list[int], limit: int, kept: int
) -> None:
    turns = Turns(limit, kept)
    holders = [A, B, C, Holder("d", reads=True), None]
    assert expected == [await taken(turns, holder) for holder in holders]


async def test_the_gateways_own_work_has_whatever_is_free() -> None:
    turns = Turns(10, 2)
    assert [6, 4] == [await taken(turns, holder) for holder in (A, None)]


async def test_who_waits_is_served_in_turns_and_not_in_the_order_of_coming() -> None:
    turns, served = Turns(1), list[str]()
    await turns.take(A)

    async def work(holder: Holder) -> None:
        await turns.take(holder)
        served.append(holder.name)
        turns.give_back(holder)

    waiting = [asyncio.create_task(work(holder)) for holder in (A, A, A, B, B, C)]
    await asyncio.sleep(0)
    turns.give_back(A)
    await asyncio.gather(*waiting)
    assert ["a", "b", "c", "a", "b", "a"] == served


async def test_a_reader_goes_first() -> None:
    turns, served = Turns(1), list[str]()
    await turns.take(A)

    async def work(name: str, holder: Holder | None) -> None:
        await turns.take(holder)
        served.append(name)
        turns.give_back(holder)

    waiting = [
        asyncio.create_task(work("list", B)),
        asyncio.create_task(work("read", Holder("c", reads=True))),
        asyncio.create_task(work("house", None)),
    ]
    await asyncio.sleep(0)
    turns.give_back(A)
    await asyncio.gather(*waiting)
    assert ["house", "read", "list"] == served


@pytest.mark.parametrize("holder", [A, None], ids=["a caller", "the gateway"])
async def test_who_gives_up_takes_nothing_along(holder: Holder | None) -> None:
    turns = Turns(1)
    await turns.take(B)
    leaving = asyncio.create_task(turns.take(holder))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    given = asyncio.create_task(turns.take(holder))  # who is given a place and cancelled at once
    await asyncio.sleep(0)
    turns.give_back(B)
    given.cancel()
    await asyncio.gather(given, return_exceptions=True)
    await turns.take(C, 0)
    turns.give_back(C)
    assert (0, 0) == (turns._taken, len(turns._held))
    assert [] == [*turns._readers, *turns._others, *turns._house]


async def test_a_round_begins_a_few_of_each_and_nobody_waits_for_a_flood() -> None:
    rounds, begun = Rounds(), list[str]()

    async def begin(holder: str) -> None:
        await rounds.turn(holder)
        begun.append(holder)

    flood = [asyncio.create_task(begin("flood")) for _ in range(100)]
    await asyncio.sleep(0)
    honest = asyncio.create_task(begin("honest"))
    await honest
    assert begun.count("flood") <= 8
    await asyncio.gather(*flood)
    assert 100 == begun.count("flood")
    await asyncio.sleep(0.01)
    assert [] == [*rounds._waiting, *rounds._begun]
    assert not rounds._coming


async def test_after_a_long_round_one_begins_at_a_time() -> None:
    rounds = Rounds()
    order = list[int]()

    async def begin(number: int) -> None:
        await rounds.turn("a")
        order.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(12)]
    await asyncio.sleep(0)
    assert order == [0, 1, 2, 3]
    rounds._since -= 1  # it took a second
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(order) <= 6
    await asyncio.gather(*tasks)
    assert order == list(range(12))


async def test_of_all_together_fewer_begin_when_rounds_take_long() -> None:
    """However many addresses they come from."""
    rounds, begun = Rounds(), list[str]()

    async def begin(holder: str) -> None:
        await rounds.turn(holder)
        begun.append(holder)

    tasks = [asyncio.create_task(begin(f"a{number}")) for number in range(100)]
    await asyncio.sleep(0)
    assert len(begun) <= 33
    for _ in range(6):
        rounds._since -= 1  # it took a second
        await asyncio.sleep(0)
    before = len(begun)
    rounds._since -= 1
    await asyncio.sleep(0)
    assert len(begun) - before <= 2
    await asyncio.gather(*tasks)
    assert {f"a{number}" for number in range(100)} == set(begun)


async def test_who_is_not_known_by_an_address_does_not_wait() -> None:
    rounds = Rounds()
    for _ in range(100):
        await rounds.turn(None)
    assert not rounds._coming


async def test_who_left_while_it_waited_takes_nobody_s_turn() -> None:
    rounds, begun = Rounds(), list[int]()

    def begin(number: int) -> Callable[[], bool]:
        def begun_there() -> bool:
            begun.append(number)
            return number % 2 == 0

        return begun_there

    while rounds.admits("a"):
        pass
    for number in range(8):
        rounds.wait("a", begin(number))
    assert not rounds.admits("a"), "others came first"
    await asyncio.sleep(0)
    assert [0, 1, 2, 3, 4, 5, 6] == begun, "four began, and three were gone"
