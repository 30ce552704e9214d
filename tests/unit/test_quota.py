"""Quotas as values, and a writer that accepts no byte there is no room for."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from gateway.blobs.memory import MemoryBlobStore
from gateway.model.errors import OverQuota
from gateway.model.file import Scope
from gateway.model.quota import Account, Quota, Resource, resources_of_class
from gateway.quotas.metered import FRAMING_BYTES, STEP_BYTES, Metered
from gateway.quotas.port import UNRESERVED_BYTES

SCOPE = Scope("things", "t")
BYTES_OF = {Resource.BYTES, Resource.MESSAGE_BYTES}
DAILY = {Resource.MESSAGES, Resource.MESSAGE_BYTES}
COUNTED = {
    "users": set(Resource),
    "things": {Resource.BYTES, Resource.FILES, Resource.WEBHOOKS, *DAILY},
    "groups": {Resource.BYTES, Resource.FILES, Resource.THINGS},
    "orgs": {Resource.BYTES, Resource.FILES, Resource.GROUPS},
    "applications": {Resource.BYTES, Resource.FILES},
}


def test_what_is_counted_in_bytes_and_what_begins_anew_every_day() -> None:
    assert {resource for resource in Resource if resource.is_size} == BYTES_OF
    assert {resource for resource in Resource if resource.is_daily} == DAILY


@pytest.mark.parametrize("kind", COUNTED)
def test_what_is_counted_for_whom(kind: str) -> None:
    assert set(Account(kind, "o").resources) == COUNTED[kind]
    assert str(Account(kind, "o")) == f"{kind}/o"
    if kind != "applications":
        assert set(resources_of_class(kind)) == COUNTED[kind]
    assert set(resources_of_class("newcomers")) == COUNTED["users"]


def test_what_is_left_is_never_less_than_nothing() -> None:
    lefts = {(10, 3): 7, (10, 10): 0, (10, 12): 0, (None, 12): None}
    for (most, used), left in lefts.items():
        assert Quota(Resource.FILES, most, used, reserved=0).left == left
    assert Quota(Resource.BYTES, 10, 3, reserved=4).left == 3


@dataclass
class Room:
    """Gives what is wanted up to ``left``, at least what is needed; nothing limits it if that is ``None``."""

    left: int | None
    asked: list[tuple[int, int]] = field(default_factory=list)
    released: list[UUID] = field(default_factory=list)

    async def reserve(self, blob_id: UUID, scope: Scope, wanted: int, least: int) -> int | None:
        assert scope == SCOPE
        self.asked.append((wanted, least))
        if self.left is None:
            return None
        if least > self.left:
            raise OverQuota("things/t", "bytes", limit=0, used=0, wanted=least)
        granted = min(wanted, self.left)
        self.left -= granted
        return granted

    async def release(self, blob_id: UUID) -> None:
        self.released.append(blob_id)


async def test_what_is_small_asks_for_no_room() -> None:
    room = Room(0)
    async with MemoryBlobStore().stage(SCOPE) as writer:
        metered = Metered(writer, room, SCOPE)
        await metered.expect(UNRESERVED_BYTES)
        await metered.write(bytes(UNRESERVED_BYTES))
        held = metered.is_held
        with pytest.raises(OverQuota):
            await metered.write(b"x")
        assert metered.size == UNRESERVED_BYTES
        assert (False, True) == (held, metered.is_held)
    assert room.asked == [(STEP_BYTES, UNRESERVED_BYTES + 1)]


async def test_what_is_expected_is_reserved_at_once_but_for_the_forms_own_lines() -> None:
    room, count = Room(1 << 40), UNRESERVED_BYTES + 1
    async with MemoryBlobStore().stage(SCOPE) as writer:
        metered = Metered(writer, room, SCOPE)
        await metered.expect(count)
        await metered.write(bytes(count))
        await metered.release()
        assert room.released == [metered.blob_id] == [writer.blob_id]
        assert metered.is_held
    assert room.asked == [(count, max(1, count - FRAMING_BYTES))]


async def test_more_than_was_reserved_is_given_room_step_by_step() -> None:
    room, piece = Room(1 << 40), bytes(STEP_BYTES)
    async with MemoryBlobStore().stage(SCOPE) as writer:
        metered = Metered(writer, room, SCOPE)
        await metered.write(piece)
        await metered.write(b"x")
        await metered.write(bytes(STEP_BYTES + 5))
        assert metered.size == 2 * STEP_BYTES + 6
    steps = [(STEP_BYTES, STEP_BYTES), (STEP_BYTES, 1), (STEP_BYTES, 6)]
    assert room.asked == steps


async def test_where_nothing_limits_nobody_is_asked_twice() -> None:
    room = Room(None)
    async with MemoryBlobStore().stage(SCOPE) as writer:
        metered = Metered(writer, room, SCOPE)
        for _ in range(3):
            await metered.write(bytes(UNRESERVED_BYTES))
        assert not metered.is_held
    assert len(room.asked) == 1
