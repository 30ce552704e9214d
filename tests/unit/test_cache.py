"""The one bounded memory: what it keeps, for how long, and what may never be found in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.traffic.cache import BoundedCache

Cache = BoundedCache[str, str]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gone() -> list[str]:
    """What was dropped, in order."""
    return []


@pytest.fixture
def cache(clock: Clock, gone: list[str]) -> Cache:
    return BoundedCache(2, clock=clock, dropped=gone.append)


def test_what_is_kept_is_found_until_it_expires(cache: Cache, clock: Clock) -> None:
    assert cache.keep("key", "value", expires=102.0)
    clock.now = 101.5
    assert ("value", 0.5) == (cache.find("key"), cache.seconds_left("key"))
    clock.now = 102.0
    assert (None, 0.0, 0) == (cache.find("key"), cache.seconds_left("key"), len(cache))


@pytest.mark.parametrize("expires", [99.0, 100.0], ids=["before", "now"])
def test_what_has_expired_is_not_kept_and_takes_the_earlier_one_s_place(
    cache: Cache, gone: list[str], expires: float
) -> None:
    cache.keep("key", "old")
    assert not cache.keep("key", "new", expires=expires)
    assert (None, ["old"]) == (cache.find("key"), gone)


def test_the_least_recently_used_goes_first(cache: Cache, gone: list[str]) -> None:
    cache.keep("one", "1")
    cache.keep("two", "2")
    cache.find("one")
    cache.keep("three", "3")
    assert ["2"] == gone


def test_without_a_bound_time_alone_bounds(clock: Clock) -> None:
    cache: Cache = BoundedCache(None, clock=clock)
    for number in range(1000):
        cache.keep(str(number), "", expires=clock.now + number + 1)
    clock.now += 500
    cache.drop_expired()
    assert 500 == len(cache)


def test_a_cache_of_no_entries_keeps_none(clock: Clock) -> None:
    assert not BoundedCache[str, str](0, clock=clock).keep("key", "value")


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda c: c.drop("key"), id="dropped"),
        pytest.param(lambda c: c.keep("key", "another"), id="replaced"),
        pytest.param(lambda c: c.forget("tag"), id="forgotten by its tag"),
        pytest.param(lambda c: c.clear(), id="cleared"),
        pytest.param(lambda c: c.suspend(), id="suspended"),
        pytest.param(lambda c: [c.keep(k, k) for k in ("one", "two")], id="pushed out"),
    ],
)
def test_what_leaves_is_dropped_once(
    cache: Cache, gone: list[str], leave: Callable[[Cache], object]
) -> None:
    cache.keep("key", "value", tags=("tag",))
    leave(cache)
    assert ["value"] == gone[:1]
    assert 1 == gone.count("value")


def test_what_is_taken_is_not_dropped(cache: Cache, gone: list[str]) -> None:
    cache.keep("key", "value", tags=("tag",))
    assert ("value", None) == (cache.take("key"), cache.take("key"))
    cache.forget("tag")
    assert [] == gone


def test_forgetting_a_tag_spares_the_others(cache: Cache) -> None:
    cache.keep("one", "1", tags=("tag", "other"))
    cache.keep("two", "2", tags=("else",))
    cache.forget("tag")
    assert (None, "2") == (cache.find("one"), cache.find("two"))


@pytest.mark.parametrize(
    ("kept", "meanwhile"),
    [
        pytest.param(True, lambda _: None, id="nothing"),
        pytest.param(False, lambda c: c.forget("tag"), id="its tag"),
        pytest.param(True, lambda c: c.forget("other"), id="another tag"),
        pytest.param(False, lambda c: c.clear(), id="everything"),
        pytest.param(False, lambda c: (c.suspend(), c.resume()), id="lost and found"),
        pytest.param(False, lambda c: c.suspend(), id="lost"),
    ],
)
def test_what_was_made_across_a_change_is_not_kept(
    cache: Cache, kept: bool, meanwhile: Callable[[Cache], object]
) -> None:
    with cache.watching() as watch:
        meanwhile(cache)
        assert kept == cache.keep("key", "value", tags=("tag",), watch=watch)
    assert kept == (cache.find("key") is not None)


def test_a_change_before_the_watch_spoils_nothing(cache: Cache) -> None:
    cache.clear()
    with cache.watching() as watch:
        assert cache.keep("key", "value", tags=("tag",), watch=watch)


def test_each_of_two_makers_has_a_watch_of_its_own(cache: Cache) -> None:
    with cache.watching() as early:
        cache.forget("tag")
        with cache.watching() as late:
            assert cache.keep("late", "value", tags=("tag",), watch=late)
        assert not cache.keep("early", "value", tags=("tag",), watch=early)


def test_nothing_is_kept_while_changes_cannot_be_heard(cache: Cache) -> None:
    cache.suspend()
    assert not cache.keep("key", "value")
    cache.resume()
    assert cache.keep("key", "value")


def test_what_was_begun_while_changes_could_not_be_heard_is_not_kept(cache: Cache) -> None:
    """It may be of before a change that nobody heard of."""
    cache.suspend()
    with cache.watching() as watch:
        cache.resume()
        assert not cache.keep("key", "value", watch=watch)


def test_a_value_does_not_inherit_its_forerunner_s_tags(cache: Cache) -> None:
    cache.keep("key", "old", tags=("tag",))
    cache.keep("key", "new", tags=("other",))
    cache.forget("tag")
    assert "new" == cache.find("key")


def test_a_watch_that_ended_is_not_told_any_more(cache: Cache) -> None:
    """Else each look-up would leave one behind for ever."""
    with cache.watching() as watch:
        pass
    cache.clear()
    assert not watch.spoils(())
