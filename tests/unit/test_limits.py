"""Places: as many as there are, and never all of them for one holder."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from gateway.model.errors import TooMany
from gateway.traffic.limits import ConcurrencyLimit


def most(limit: ConcurrencyLimit, stack: ExitStack, holder: str) -> int:
    """How many places this holder gets, all of which it keeps."""
    count = 0
    try:
        while True:
            stack.enter_context(limit.taken(holder))
            count += 1
    except TooMany:
        return count


@pytest.mark.parametrize(
    ("expected", "places"),
    [
        pytest.param([192, 32, 32, 0], 256, id="many"),
        pytest.param([6, 1, 1, 0], 8, id="few"),
        pytest.param([3, 0, 0, 0], 3, id="too few to keep any"),
        pytest.param([1, 0, 0, 0], 1, id="one"),
    ],
)
def test_the_greedy_leave_a_share_to_those_who_come_later(expected: list[int], places: int) -> None:
    limit = ConcurrencyLimit(places)
    with ExitStack() as stack:
        assert expected == [most(limit, stack, holder) for holder in ("a", "b", "c", "d")]
    with ExitStack() as stack:
        assert most(limit, stack, "d") == expected[0], "everything came back"


def test_nobody_is_remembered_who_holds_nothing() -> None:
    limit = ConcurrencyLimit(1)
    with limit.taken("a"), pytest.raises(TooMany), limit.taken("b"):
        pytest.fail("there was one place")
    assert not limit._held
