"""No collection takes long, and what is set aside is looked at again when there is reason to."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.process import garbage as module
from gateway.process.garbage import SetAside, short_collections


class Node:
    """Keeps itself."""

    def __init__(self) -> None:
        self.me = self


@pytest_asyncio.fixture
async def garbage() -> AsyncIterator[SetAside]:
    async with short_collections(lambda: 0) as made:
        yield made
    assert 0 == gc.get_freeze_count()


async def test_what_there_was_is_not_looked_at(garbage: SetAside) -> None:
    assert gc.get_freeze_count() > 1000
    assert len(gc.get_objects(generation=2)) < 1000


async def test_what_a_long_look_found_alive_is_set_aside(
    garbage: SetAside, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, kept = gc.get_freeze_count(), [Node() for _ in range(1000)]
    gc.collect()
    assert before == gc.get_freeze_count(), "that was no long look"
    monkeypatch.setattr(module, "_LONG_SECONDS", 0.0)
    gc.collect()
    assert gc.get_freeze_count() >= before + len(kept)


@pytest.mark.parametrize(
    ("expected", "connections"),
    [pytest.param(True, 0, id="too much"), pytest.param(False, 10_000_000, id="explained")],
)
async def test_what_nothing_explains_is_looked_at_again(
    garbage: SetAside, monkeypatch: pytest.MonkeyPatch, expected: bool, connections: int
) -> None:
    node = Node()
    lost = weakref.ref(node)
    monkeypatch.setattr(module, "_LONG_SECONDS", 0.0)
    gc.collect()  # the node is set aside
    del node
    gc.collect()
    assert lost() is not None
    garbage._first = 0
    garbage.relieve(connections)
    assert expected == (lost() is None)


async def test_afterwards_all_is_as_it_was() -> None:
    before = gc.get_threshold()
    async with short_collections(lambda: 0):
        assert before != gc.get_threshold()
    assert before == gc.get_threshold()
