from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.identity.records.paging import EntityListing, EntityOrder
from gateway.identity.records.things import ThingDraft
from gateway.identity.registry import Registry
from gateway.identity.things import check_external_id
from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import Conflict, Forbidden, Malformed, NotFound
from tests.identity.conftest import MakeUser, make_thing

KEY = "659aa6ca-1781-4a69-9a20-689ddb235506"
EXTERNAL = UUID("4328f3e4-4c67-40b3-9491-0ab782c48d50")


async def test_a_thing_is_known_by_its_key(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    thing = await make_thing(registry, owner)
    key = registry.things.key_of(await registry.things.get(owner, thing.id))
    assert Principal(
        PrincipalKind.THING, str(thing.id), "thing", ("thing",)
    ) == await registry.thing_by_key(key)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("k" * 43, id="unknown"),
        pytest.param("", id="empty"),
        pytest.param("k" * 100_000, id="endless"),
        pytest.param("sixteen-\udcff-bytes", id="bytes that are no text"),
        pytest.param("' or 1=1 --------", id="SQL"),
    ],
)
async def test_an_unknown_key_is_forbidden(registry: Registry, key: str) -> None:
    with pytest.raises(Forbidden):
        await registry.thing_by_key(key)


async def test_a_caller_may_choose_id_and_key(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    [thing] = await registry.things.create(owner, [ThingDraft("x", {}, EXTERNAL, KEY)])
    assert EXTERNAL == thing.id
    assert KEY == registry.things.key_of(thing)
    assert str(EXTERNAL) == (await registry.thing_by_key(KEY)).id


async def test_no_key_is_kept_in_clear(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    """
    Neither as text nor as the bytes of it, in any column of any row of the table.
    """
    owner = await user("test@email.com")
    await registry.things.create(owner, [ThingDraft(key=KEY)])
    [row] = await connection.fetch("select things.* from things")
    stored = b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())
    assert KEY.encode() not in stored
    assert KEY.encode().hex().encode() not in stored
    assert KEY not in str(await connection.fetch("select audit::text from audit"))


async def test_a_batch_is_made_whole_or_not_at_all(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    owner = await user("test@email.com")
    await registry.things.create(owner, [ThingDraft(id=EXTERNAL, key=KEY)])
    for taken in (ThingDraft(id=EXTERNAL), ThingDraft(key=KEY)):
        with pytest.raises(Conflict):
            await registry.things.create(owner, [ThingDraft("a"), taken, ThingDraft("b")])
    twice = uuid4()
    with pytest.raises(Conflict):
        await registry.things.create(owner, [ThingDraft(id=twice), ThingDraft(id=twice)])
    assert 1 == await connection.fetchval("select count(*) from things")
    assert 1 == await connection.fetchval("select count(*) from scopes where kind = 'things'")


async def test_a_listing_keeps_the_order_of_a_batch(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    made = await registry.things.create(owner, [ThingDraft(str(n)) for n in range(20)])
    assert [t.id for t in made] == [
        t.id for t in (await registry.things.list(owner, EntityListing(limit=None))).items
    ]


async def test_an_id_of_somebody_else_is_taken_too(registry: Registry, user: MakeUser) -> None:
    one, two = await user("one@email.com"), await user("two@email.com")
    await registry.things.create(one, [ThingDraft(id=EXTERNAL)])
    with pytest.raises(Conflict):
        await registry.things.create(two, [ThingDraft(id=EXTERNAL)])
    assert UUID(one.id) == (await registry.things.get(one, EXTERNAL)).owner_id


async def test_batches_that_share_ids_do_not_deadlock(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    ids = [uuid4() for _ in range(20)]
    batches = [[ThingDraft(id=i) for i in order] for order in (ids, ids[::-1]) * 4]
    done = await asyncio.gather(
        *(registry.things.create(owner, batch) for batch in batches), return_exceptions=True
    )
    assert ["Taken"] * 7 + ["list"] == sorted(type(d).__name__ for d in done)


async def test_a_new_thing_can_own_files(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    thing = await make_thing(registry, await user("test@email.com"))
    assert [("things", str(thing.id))] == [
        tuple(row)
        for row in await connection.fetch("select kind, owner from scopes where kind = 'things'")
    ]


async def test_changes_leave_alone_what_they_do_not_name(
    registry: Registry, user: MakeUser
) -> None:
    owner = await user("test@email.com")
    [made] = await registry.things.create(owner, [ThingDraft("old", {"a": 1}, key=KEY)])
    await registry.things.amend(owner, made.id, name="new")
    assert replace(made, name="new") == await registry.things.get(owner, made.id)
    await registry.things.amend(owner, made.id, metadata={"b": 2})
    changed = await registry.things.get(owner, made.id)
    assert ("new", {"b": 2}) == (changed.name, changed.metadata)


async def test_a_new_key_ends_the_old_one(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    [made] = await registry.things.create(owner, [ThingDraft(key=KEY)])
    await registry.things.amend(owner, made.id, key="another-sixteen-symbols")
    assert str(made.id) == (await registry.thing_by_key("another-sixteen-symbols")).id
    with pytest.raises(Forbidden):
        await registry.thing_by_key(KEY)


async def test_a_key_of_another_thing_cannot_be_taken(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    await registry.things.create(owner, [ThingDraft(key=KEY)])
    other = await make_thing(registry, owner)
    with pytest.raises(Conflict):
        await registry.things.amend(owner, other.id, key=KEY)


@pytest.mark.parametrize("verb", ["get", "amend", "remove"])
async def test_what_is_not_yours_is_like_what_is_not(
    registry: Registry, user: MakeUser, admin: Principal, verb: str
) -> None:
    owner, stranger = await user("one@email.com"), await user("two@email.com")
    thing = await make_thing(registry, owner)
    act = getattr(registry.things, verb)
    refusals = []
    for wanted in (thing.id, uuid4()):
        with pytest.raises(NotFound) as refused:
            await act(stranger, wanted)
        refusals.append((type(refused.value), str(refused.value)))
    assert refusals[0] == refusals[1]
    assert thing == await registry.things.get(owner, thing.id)
    await act(admin, thing.id)


async def test_a_listing_shows_ones_own_and_everything_to_an_admin(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    one, two = await user("one@email.com"), await user("two@email.com")
    await registry.things.create(one, [ThingDraft("a"), ThingDraft("b")])
    await registry.things.create(two, [ThingDraft("c")])
    assert {"a", "b"} == set(await _names(registry, one, EntityListing()))
    assert {"c"} == set(await _names(registry, two, EntityListing()))
    assert {"a", "b", "c"} == set(await _names(registry, admin, EntityListing()))


LISTINGS: list[tuple[str, EntityListing, int, list[str]]] = [
    ("as they came", EntityListing(), 4, ["beta", "Alpha", "gamma", "delta"]),
    ("latest first", EntityListing(descending=True), 4, ["delta", "gamma", "Alpha", "beta"]),
    ("by name", EntityListing(order=EntityOrder.NAME), 4, ["Alpha", "beta", "delta", "gamma"]),
    ("by name, down", EntityListing(order=EntityOrder.NAME, descending=True), 4, ["gamma", "delta", "beta", "Alpha"]),
    ("by id", EntityListing(order=EntityOrder.ID), 4, ["delta", "gamma", "Alpha", "beta"]),
    ("by id, down", EntityListing(order=EntityOrder.ID, descending=True), 4, ["beta", "Alpha", "gamma", "delta"]),
    ("a page", EntityListing(offset=1, limit=2), 4, ["Alpha", "gamma"]),
    ("past the end", EntityListing(offset=9), 4, []),
    ("without a limit", EntityListing(limit=None, offset=3), 4, ["delta"]),
    ("part of the name", EntityListing(name="LPH"), 1, ["Alpha"]),
    ("a percent sign is itself", EntityListing(name="%"), 0, []),
    ("metadata", EntityListing(metadata={"site": {"hall": 2}}), 2, ["Alpha", "delta"]),
    ("metadata and name", EntityListing(metadata={"site": {"hall": 2}}, name="del"), 1, ["delta"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("listing", "total", "names"), [row[1:] for row in LISTINGS], ids=[row[0] for row in LISTINGS]
)
async def test_a_listing_is_ordered_paged_and_filtered(
    registry: Registry, user: MakeUser, listing: EntityListing, total: int, names: list[str]
) -> None:
    owner = await user("test@email.com")
    hall = {"site": {"hall": 2, "row": 1}}
    for rank, (name, metadata) in enumerate(
        [("beta", {}), ("Alpha", hall), ("gamma", {"site": {"hall": 3}}), ("delta", hall)]
    ):
        draft = ThingDraft(name, metadata, UUID(int=4 - rank, version=4))
        await registry.things.create(owner, [draft])
    page = await registry.things.list(owner, listing)
    assert (total, names) == (page.total, [t.name for t in page.items])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("d782b42b-e317-1cd7-9dd0-4e2ea0f349c8", id="version 1"),
        pytest.param("d782b42be3174cd79dd04e2ea0f349c8", id="without hyphens"),
        pytest.param("{d782b42b-e317-4cd7-9dd0-4e2ea0f349c8}", id="in braces"),
        pytest.param("7", id="not a UUID"),
        pytest.param(7, id="not text"),
    ],
)
def test_an_external_id_is_a_uuid_of_version_4(value: object) -> None:
    with pytest.raises(Malformed):
        check_external_id(value)


def test_an_external_id_may_be_in_upper_case() -> None:
    assert EXTERNAL == check_external_id(str(EXTERNAL).upper())


async def _names(registry: Registry, caller: Principal, listing: EntityListing) -> list[str]:
    return [t.name for t in (await registry.things.list(caller, listing)).items]
