from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.identity.records.channels import Channel, ChannelDraft
from gateway.identity.records.paging import EntityListing, EntityOrder
from gateway.identity.records.things import ThingDraft
from gateway.identity.registry import Registry
from gateway.model.access import Principal
from gateway.model.errors import Conflict, NotFound
from tests.identity.conftest import MakeUser, make_thing

EXTERNAL = UUID("4328f3e4-4c67-40b3-9491-0ab782c48d50")


async def make_channel(registry: Registry, owner: Principal, name: str = "hall") -> Channel:
    [channel] = await registry.channels.create(owner, [ChannelDraft(name)])
    return channel


async def test_an_id_that_is_taken_stops_the_whole_batch(
    registry: Registry, user: MakeUser
) -> None:
    owner, other = await user("one@email.com"), await user("two@email.com")
    await registry.channels.create(other, [ChannelDraft("theirs", {}, EXTERNAL)])
    with pytest.raises(Conflict):
        await registry.channels.create(owner, [ChannelDraft("a"), ChannelDraft("b", {}, EXTERNAL)])
    assert (0, []) == await _seen(registry, owner)


async def test_a_thing_is_connected_until_it_is_disconnected(
    registry: Registry, user: MakeUser
) -> None:
    owner = await user("test@email.com")
    channel, thing = await make_channel(registry, owner), await make_thing(registry, owner)
    other = await make_channel(registry, owner)
    assert not await registry.channels.connected(channel.id, thing.id)
    for _ in range(2):
        await registry.channels.connect(owner, [channel.id], [thing.id])
        assert await registry.channels.connected(channel.id, thing.id)
    assert not await registry.channels.connected(other.id, thing.id)
    for _ in range(2):
        await registry.channels.disconnect(owner, [channel.id], [thing.id])
        assert not await registry.channels.connected(channel.id, thing.id)


async def test_all_are_connected_or_none(registry: Registry, user: MakeUser) -> None:
    owner, other = await user("one@email.com"), await user("two@email.com")
    own, theirs = await make_channel(registry, owner), await make_channel(registry, other)
    thing, foreign = await make_thing(registry, owner), await make_thing(registry, other)
    for channels, things in (
        ([own.id, theirs.id], [thing.id]),
        ([own.id], [thing.id, foreign.id]),
        ([own.id, uuid4()], [thing.id]),
    ):
        with pytest.raises(NotFound):
            await registry.channels.connect(owner, channels, things)
    assert not await registry.channels.connected(own.id, thing.id)


@pytest.mark.parametrize("side", ["thing", "channel"])
async def test_connections_go_with_either_side(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection, side: str
) -> None:
    owner = await user("test@email.com")
    channel, thing = await make_channel(registry, owner), await make_thing(registry, owner)
    await registry.channels.connect(owner, [channel.id], [thing.id])
    if side == "thing":
        await registry.things.remove(owner, thing.id)
    else:
        await registry.channels.remove(owner, channel.id)
    assert 0 == await connection.fetchval("select count(*) from connections")


@pytest.mark.parametrize(
    ("listing", "total", "names"),
    [
        (EntityListing(), 3, ["b", "a", "c"]),
        (EntityListing(order=EntityOrder.NAME, limit=2), 3, ["a", "b"]),
        (EntityListing(order=EntityOrder.NAME, descending=True, offset=1), 3, ["b", "a"]),
        (EntityListing(name="C"), 1, ["c"]),
        (EntityListing(metadata={"n": 2}), 1, ["a"]),
    ],
)
async def test_channels_are_listed(
    registry: Registry, user: MakeUser, listing: EntityListing, total: int, names: list[str]
) -> None:
    owner, other = await user("one@email.com"), await user("two@email.com")
    await make_channel(registry, other)
    drafts = [ChannelDraft(name, {"n": n}) for n, name in enumerate("bac", 1)]
    await registry.channels.create(owner, drafts)
    assert (total, names) == await _seen(registry, owner, listing)


async def test_totals_agree_with_what_is_there(
    registry: Registry, user: MakeUser, admin: Principal, connection: asyncpg.Connection
) -> None:
    """
    They are kept by triggers, not counted: whoever creates and removes, however many at once.
    """
    people = [await user(f"{n}@email.com") for n in range(3)]

    async def live(person: Principal) -> None:
        for _ in range(5):
            things = await registry.things.create(person, [ThingDraft()] * 4)
            await registry.things.remove(admin, things[0].id)
            with pytest.raises(Conflict):
                await registry.things.create(person, [ThingDraft(), ThingDraft(id=things[1].id)])

    await asyncio.gather(*(live(person) for person in people for _ in range(3)))
    counted = await connection.fetchval("select count(*) from things")
    assert 3 * 3 * 5 * 3 == counted == (await registry.things.list(admin, EntityListing())).total
    assert [counted // 3] * 3 == [
        (await registry.things.list(person, EntityListing())).total for person in people
    ]


async def test_two_batches_that_share_ids_do_not_block_each_other(
    registry: Registry, user: MakeUser
) -> None:
    people = [await user(f"{n}@email.com") for n in range(4)]
    for _ in range(10):
        ids = [uuid4() for _ in range(8)]
        batches = [
            [ThingDraft(id=i) for i in order] for order in (ids, ids[::-1], ids[3:], ids[:5])
        ]
        outcomes = await asyncio.gather(
            *(registry.things.create(p, b) for p, b in zip(people, batches, strict=True)),
            return_exceptions=True,
        )
        assert {list, Conflict} >= {type(o) if isinstance(o, list) else Conflict for o in outcomes}
        assert all(isinstance(o, list | Conflict) for o in outcomes), outcomes


async def _seen(
    registry: Registry, caller: Principal, listing: EntityListing | None = None
) -> tuple[int, list[str]]:
    page = await registry.channels.list(caller, listing or EntityListing())
    return page.total, [channel.name for channel in page.items]
