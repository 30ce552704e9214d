"""Which guard is asked before something is committed: the block's, or what the task was given; once, if it is due."""

from __future__ import annotations

import asyncio

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


async def test_a_task_and_those_that_it_starts_keep_what_they_were_given() -> None:
    guard = Guard(("a",), prove)

    async def seen() -> Guard | None:
        return due_guard()

    async def task() -> tuple[Guard | None, Guard | None]:
        guard_from_now_on(guard)
        return due_guard(), await asyncio.create_task(seen())

    assert await asyncio.create_task(task()) == (guard, guard)
    assert due_guard() is None
