"""Remembered credentials: one proof for all who ask at once, none that a change made stale."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.model.access import Principal, PrincipalKind
from gateway.model.change import FileChanged, RightsChanged
from gateway.model.errors import Forbidden
from gateway.model.file import Scope
from gateway.traffic.credentials import PrincipalCache

THING = Principal(PrincipalKind.THING, "one", "thing", owner="owner")


class Proof:
    """A proof that takes until it is let through, and counts how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.through = asyncio.Event()

    async def __call__(self, value: str) -> Principal:
        self.asked += 1
        await self.through.wait()
        if value == "wrong":
            raise Forbidden()
        return THING


@pytest.fixture
async def proof() -> Proof:
    return Proof()


def hearing(seconds: float = 60.0) -> PrincipalCache:
    cache = PrincipalCache(seconds=seconds, entries=2)
    cache.on_connected()
    return cache


async def begun() -> None:
    """Let what was created begin, and what that began."""
    for _ in range(3):
        await asyncio.sleep(0)


async def ask(cache: PrincipalCache, proof: Proof, value: str = "key") -> Principal:
    return await cache.principal("thing", value, proof)


async def test_a_thousand_who_ask_at_once_share_one_proof(proof: Proof) -> None:
    cache = hearing()
    asking = [asyncio.create_task(ask(cache, proof)) for _ in range(1000)]
    await begun()
    proof.through.set()
    assert [THING] * 1000 == await asyncio.gather(*asking)
    assert (THING, 1) == (await ask(cache, proof), proof.asked)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        pytest.param(RightsChanged(), 2, id="anybody's"),
        pytest.param(RightsChanged(frozenset({"x", "one"})), 2, id="its own"),
        pytest.param(RightsChanged(frozenset({"owner"})), 2, id="its owner's"),
        pytest.param(RightsChanged(frozenset({"another"})), 1, id="another's"),
    ],
)
@pytest.mark.parametrize("meanwhile", [False, True], ids=["known", "being proved"])
async def test_only_whose_rights_changed_is_proved_again(
    proof: Proof, change: RightsChanged, asked: int, meanwhile: bool
) -> None:
    cache = hearing()
    before = time.monotonic()
    asking = asyncio.create_task(ask(cache, proof))
    await begun()
    if not meanwhile:
        proof.through.set()
        await asking
    cache.on_change(change)
    proof.through.set()
    await asking
    await ask(cache, proof)
    assert proof.asked == asked
    assert (asked == 2) == cache.changed_since(THING.whose, before)


async def test_a_change_of_more_than_can_be_noted_is_one_of_everybody() -> None:
    cache = hearing()
    before = time.monotonic()
    cache.on_change(RightsChanged(frozenset(map(str, range(5000)))))
    assert cache.changed_since(("another",), before)


async def test_who_asks_after_a_change_does_not_get_the_proof_from_before(proof: Proof) -> None:
    cache = hearing()
    before = asyncio.create_task(ask(cache, proof))
    await begun()
    cache.on_change(RightsChanged())
    after = asyncio.create_task(ask(cache, proof))
    await begun()
    proof.through.set()
    await asyncio.gather(before, after)
    assert proof.asked == 2


async def test_a_proof_from_across_a_change_is_not_kept(proof: Proof) -> None:
    cache = hearing()
    asking = asyncio.create_task(ask(cache, proof))
    await begun()
    cache.on_change(RightsChanged())
    proof.through.set()
    await asking
    await ask(cache, proof)
    assert proof.asked == 2


async def test_a_changed_file_changes_nobodys_identity(proof: Proof) -> None:
    cache = hearing()
    proof.through.set()
    await ask(cache, proof)
    cache.on_change(FileChanged(Scope("things", "one"), "firmware.bin"))
    await ask(cache, proof)
    assert proof.asked == 1


async def test_a_refusal_reaches_everybody_and_is_not_kept(proof: Proof) -> None:
    cache = hearing()
    proof.through.set()
    asking = [asyncio.create_task(ask(cache, proof, "wrong")) for _ in range(3)]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [Forbidden] * 3 == [type(answer) for answer in answers]
    with pytest.raises(Forbidden):
        await ask(cache, proof, "wrong")
    assert proof.asked == 2


async def test_a_proof_goes_on_when_whoever_began_it_leaves(proof: Proof) -> None:
    cache = hearing()
    first = asyncio.create_task(ask(cache, proof))
    await begun()
    second = asyncio.create_task(ask(cache, proof))
    await begun()
    first.cancel()
    proof.through.set()
    assert THING == await second
    assert proof.asked == 1


async def test_nothing_is_remembered_before_changes_are_heard(proof: Proof) -> None:
    cache = PrincipalCache(seconds=60.0, entries=2)
    proof.through.set()
    await ask(cache, proof)
    await ask(cache, proof)
    assert proof.asked == 2


async def test_nothing_is_remembered_while_changes_cannot_be_heard(proof: Proof) -> None:
    cache = hearing()
    proof.through.set()
    await ask(cache, proof)
    cache.on_disconnected()
    await ask(cache, proof)
    await ask(cache, proof)
    assert proof.asked == 3
