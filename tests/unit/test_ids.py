"""Ids with randomness in hand: each is given once, also to a process and the one it forked."""

from __future__ import annotations

import os
from uuid import RFC_4122

import pytest

from gateway.process import ids
from gateway.process.ids import random_id


def test_ids_are_random_uuids_and_none_comes_twice() -> None:
    given = [random_id() for _ in range(2000)]
    assert len(given) == len(set(given))
    assert {(4, RFC_4122)} == {(each.version, each.variant) for each in given}


def test_a_child_does_not_have_its_parents_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    random_id()  # there are some in hand
    own, pid = set(ids._hand.waiting), os.getpid()
    assert own
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    random_id()
    assert own.isdisjoint(ids._hand.waiting)
