"""Which guard is asked before something is committed: the block's, or what the task was given; once, if it is due."""

from __future__ import annotations

import asyncio

import pytest

from gateway.catalogue.together import _New, _of_all
from gateway.model.guard import Guard, due_guard, guard_from_now_on, guarding, unguarded


async def prove() -> None:
    """It holds."""


def test_a_block_has_its_guard_and_what_is_part_of_a_proof_has_none() -> None:
    one, two = Guard(("a",), prove), Guard(("b",), prove)
    assert due_guard() is None
    with guarding(one):
        assert due_guard() is one
        with guarding(two):
            assert due_guard() is two
            with unguarded():
                assert due_guard() is None
        assert due_guard() is one
        with guarding(None):
            assert due_guard() is one
    assert due_guard() is None


def test_a_guard_that_is_settled_or_fresh_is_not_asked() -> None:
    due = True
    guard = Guard(("a",), prove, lambda: due)
    with guarding(guard):
        assert due_guard() is guard
        due = False
        assert due_guard() is None
        due, guard.is_settled = True, True
        assert due_guard() is None
    assert Guard(("a",), prove).is_settled is False


@pytest.mark.parametrize(
    ("proofs", "given"),
    [
        pytest.param("ab", [("a", 1), ("b", 2), ("c", 1), ("d", 2)], id="each right once"),
        pytest.param("abc", [("a", None), ("b", None), ("c", None)], id="what is like no other"),
        pytest.param("ac", [("a", 1), ("b", 1), ("c", None)], id="both kinds"),
    ],
)
async def test_rights_that_are_alike_are_proved_once_for_all(
    proofs: str, given: list[tuple[str, int | None]]
) -> None:
    asked = list[str]()

    def guard(name: str, alike: int | None) -> Guard:
        async def prove() -> None:
            asked.append(name)

        return Guard((name,), prove, alike=alike)

    new = [_New((), guard(*each), asyncio.Future()) for each in given]
    together = _of_all(new)
    assert together is not None
    assert together.whose == tuple(sorted(name for name, _ in given))
    await together.prove()
    assert asked == list(proofs)


async def test_one_that_is_not_due_proves_nothing_for_those_that_are_alike() -> None:
    asked = list[str]()

    async def prove() -> None:
        asked.append("due")

    fresh, due = Guard(("a",), prove, lambda: False, alike=1), Guard(("a",), prove, alike=1)
    together = _of_all([_New((), each, asyncio.Future()) for each in (fresh, due)])
    assert together is not None
    await together.prove()
    assert asked == ["due"]


async def test_a_task_and_those_that_it_starts_keep_what_they_were_given() -> None:
    guard = Guard(("a",), prove)

    async def seen() -> Guard | None:
        return due_guard()

    async def task() -> tuple[Guard | None, Guard | None]:
        guard_from_now_on(guard)
        return due_guard(), await asyncio.create_task(seen())

    assert await asyncio.create_task(task()) == (guard, guard)
    assert due_guard() is None
