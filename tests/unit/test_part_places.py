"""Parts of uploads have places in memory, which all uploads of a store share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.blobs.s3 import room
from gateway.blobs.s3.room import PartRoom, PartShare
from gateway.blobs.s3.source import PieceSource

PART = 8


async def test_whoever_comes_when_all_places_are_had_waits_for_its_turn() -> None:
    places = PartRoom(2)
    first, second, third = (PartShare(places, count) for count in (2, 1, 1))
    await first.take()
    waiting = [asyncio.create_task(share.take()) for share in (second, third)]
    await asyncio.sleep(0)
    assert places.is_wanted
    first.pass_on()
    await asyncio.gather(*waiting)
    assert not places.is_wanted


@pytest.mark.parametrize(
    "over",
    [
        pytest.param(lambda share, _: share.close(), id="closed"),
        pytest.param(lambda _, task: task.cancel(), id="cancelled"),
    ],
)
async def test_who_waits_no_more_stands_in_nobodys_way(
    over: Callable[[PartShare, asyncio.Task[None]], object],
) -> None:
    places = PartRoom(2)
    first, large, small = (PartShare(places, count) for count in (1, 2, 1))
    await first.take()
    waiting = asyncio.create_task(large.take())
    behind = asyncio.create_task(small.take())
    await asyncio.sleep(0)
    over(large, waiting)
    await behind
    await asyncio.wait({waiting})
    for share in (first, small):
        share.close()
    await PartShare(places, 2).take()  # nothing was lost


async def test_more_than_there_are_places_is_all_of_them() -> None:
    places = PartRoom(2)
    await PartShare(places, 9).take()
    other = asyncio.create_task(PartShare(places, 1).take())
    await asyncio.sleep(0)
    assert not other.done()
    other.cancel()


async def test_a_client_that_keeps_its_upload_waiting_keeps_nobody_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_PATIENCE_SECONDS", 0.01)
    places = PartRoom(1)
    slow, quick = PartShare(places, 1), PartShare(places, 1)
    await slow.take()
    slow.lend()
    async with asyncio.timeout(5):
        await quick.take()
    quick.close()
    await slow.take()


async def test_an_upload_takes_its_turn_behind_others_when_the_store_has_a_part_of_it() -> None:
    places = PartRoom(1)
    mine, other = PartShare(places, 1), PartShare(places, 1)
    source = PieceSource(mine, PART)
    given = list[bytes]()

    async def take() -> None:
        async for piece in source:
            given.append(piece)

    taking = asyncio.create_task(take())
    await source.put(b"x" * PART)  # a part, full
    waiting = asyncio.create_task(other.take())
    await source.put(b"y")  # taken while the part may be under way still
    assert not waiting.done()
    await source.put(b"z")
    async with asyncio.timeout(5):
        await waiting
    assert [b"x" * PART, b"y"] == given
    other.close()
    source.end()
    await taking
    assert b"z" == given[-1]
