"""One gateway at a time does what is done for all; another goes on if it dies."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from gateway.database.leases import LeaseLost, Turn, take_turn
from gateway.database.pool import Database
from tests.tools.waiting import until

LEASE = 0.6


class Work:
    """Counts who is at it; waits to be let go."""

    def __init__(self) -> None:
        self.begun, self.ended = 0, 0
        self.at_it, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        self.at_it.set()
        await self.go.wait()
        self.ended += 1


async def test_of_many_that_come_at_once_one_does_it(database: Database) -> None:
    work = Work()
    turns = [asyncio.create_task(take_turn(database, "sweep", work)) for _ in range(8)]
    await work.at_it.wait()
    await until(lambda: 7 == sum(turn.done() for turn in turns))
    work.go.set()
    done = await asyncio.gather(*turns)
    assert (1, 1) == (work.ended, sum(turn.done for turn in done))


async def test_what_was_done_a_moment_ago_is_not_done_again_and_it_is_known_when(
    database: Database,
) -> None:
    work = Work()
    work.go.set()
    first = await take_turn(database, "sweep", work, every_seconds=60)
    second = await take_turn(database, "sweep", work, every_seconds=60)
    other = await take_turn(database, "other", work, every_seconds=60)
    third = await take_turn(database, "sweep", work)
    assert [Turn(True, None), Turn(True, None)] == [first, other]
    assert (False, True, 3) == (second.done, third.done, work.ended)
    assert second.before == third.before
    assert second.before is not None


@pytest.mark.parametrize(
    "end", [ValueError("no"), asyncio.CancelledError()], ids=["fails", "stops"]
)
async def test_work_that_did_not_come_to_its_end_is_free_at_once(
    database: Database, end: BaseException
) -> None:
    async def fail() -> None:
        raise end

    with pytest.raises(type(end)):
        await take_turn(database, "sweep", fail, every_seconds=60)
    work = Work()
    work.go.set()
    assert Turn(True, None) == await take_turn(database, "sweep", work, every_seconds=60)


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(database: Database) -> None:
    work = Work()
    turn = asyncio.create_task(take_turn(database, "sweep", work, lease_seconds=LEASE))
    await work.at_it.wait()
    await asyncio.sleep(2 * LEASE)
    other = await take_turn(database, "sweep", Work(), lease_seconds=LEASE)
    work.go.set()
    assert (False, True) == (other.done, (await turn).done)


async def test_who_was_killed_at_it_is_followed_by_another(
    database: Database, connection: asyncpg.Connection
) -> None:
    """What is left of the dead is a row; the time in it is the database's."""
    text = "insert into leases values ('sweep', gen_random_uuid(), now() + $1 * interval '1 s')"
    await connection.execute(text, LEASE)
    work = Work()
    work.go.set()
    assert not (await take_turn(database, "sweep", work)).done
    async with asyncio.timeout(LEASE + 5):
        while not (await take_turn(database, "sweep", work)).done:
            await asyncio.sleep(0.05)
    assert 1 == work.ended


async def test_who_has_lost_the_lease_stops(database: Database, connection: Any) -> None:
    work = Work()
    turn = asyncio.create_task(take_turn(database, "sweep", work, lease_seconds=LEASE))
    await work.at_it.wait()
    await connection.execute("update leases set holder = gen_random_uuid()")
    with pytest.raises(LeaseLost):
        await turn
    assert (1, 0) == (work.begun, work.ended)
    assert 1 == await connection.fetchval("select count(*) from leases where until > now()")
