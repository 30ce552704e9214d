from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.groups import Groups
from gateway.identity.records.channels import ChannelDraft
from gateway.identity.records.groups import Candidate
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.things import Thing, ThingDraft
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.users import RegistrationRules
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Forbidden, GatewayError, Malformed, NotFound
from tests.identity.conftest import PASSWORD, SECRET, MakeUser, make_group, make_thing

VIEWER, EDITOR, ADMIN, OWNER = GroupRole
Grant = Callable[[Registry, Principal, Principal, Thing, Principal], Awaitable[None]]


def policy(*actions: str) -> Grant:
    async def grant(
        registry: Registry, admin: Principal, _owner: Principal, thing: Thing, to: Principal
    ) -> None:
        await registry.policies.add(admin, str(thing.id), [UUID(to.id)], actions)

    return grant


def role(given: GroupRole) -> Grant:
    async def grant(
        registry: Registry, _admin: Principal, owner: Principal, thing: Thing, to: Principal
    ) -> None:
        group = await make_group(registry, owner)
        members = [Candidate(id=thing.id), Candidate(id=UUID(to.id), role=given)]
        await registry.groups.assign(owner, group, members)

    return grant


async def access(
    registry: Registry, admin: Principal, owner: Principal, thing: Thing, to: Principal
) -> None:
    group = await make_group(registry, owner)
    await registry.groups.assign(owner, group, [Candidate(id=thing.id)])
    await registry.policies.add(admin, str(group), [UUID(to.id)], ["access"])


async def nothing(*_: object) -> None:
    """No grant."""


GRANTS: list[tuple[str, Grant, str, str, str]] = [
    ("nothing", nothing, "absent", "absent", "absent"),
    ("read", policy("read"), "yes", "no", "no"),
    ("write", policy("write"), "absent", "yes", "absent"),
    ("delete", policy("delete"), "absent", "absent", "yes"),
    ("read, write and delete", policy("read", "write", "delete"), "yes", "yes", "yes"),
    ("viewer of its group", role(VIEWER), "yes", "no", "no"),
    ("editor of its group", role(EDITOR), "yes", "yes", "no"),
    ("admin of its group", role(ADMIN), "yes", "yes", "yes"),
    ("owner of its group", role(OWNER), "yes", "yes", "yes"),
    ("access to its group", access, "yes", "yes", "yes"),
]


@pytest.mark.parametrize(
    ("grant", "sees", "changes", "removes"), [g[1:] for g in GRANTS], ids=[g[0] for g in GRANTS]
)
async def test_what_is_granted_is_what_may_be_done_with_a_thing(
    registry: Registry,
    user: MakeUser,
    admin: Principal,
    grant: Grant,
    sees: str,
    changes: str,
    removes: str,
) -> None:
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    thing, things = await make_thing(registry, owner), registry.things
    await make_thing(registry, owner, "another")
    await make_thing(registry, friend, "own")
    await grant(registry, admin, owner, thing, friend)
    assert sees == await _outcome(things.get(friend, thing.id))
    page = await things.list(friend, EntityListing())
    names = ["sensor", "own"] if sees == "yes" else ["own"]
    assert (len(names), names) == (page.total, [t.name for t in page.items])
    found = await things.list(friend, EntityListing(name="sensor"))
    assert names[:-1] == [t.name for t in found.items]
    assert changes == await _outcome(things.amend(friend, thing.id, name="new"))
    channel = (await registry.channels.create(friend, [ChannelDraft()]))[0]
    assert changes == await _outcome(registry.channels.connect(friend, [channel.id], [thing.id]))
    takes_key = await _outcome(things.amend(friend, thing.id, key="k" * 32))
    assert ("no" if changes == "yes" else changes) == takes_key
    assert removes == await _outcome(things.remove(friend, thing.id))


@pytest.mark.parametrize("action", ["read", "write", "delete"])
async def test_a_policy_on_a_channel_is_enforced_until_it_is_deleted(
    registry: Registry, user: MakeUser, admin: Principal, action: str
) -> None:
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    [channel] = await registry.channels.create(owner, [ChannelDraft("hall")])
    act: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: registry.channels.get(friend, channel.id),
        "write": lambda: registry.channels.amend(friend, channel.id, name="new"),
        "delete": lambda: registry.channels.remove(friend, channel.id),
    }
    for _ in range(2):
        await registry.policies.add(admin, str(channel.id), [UUID(friend.id)], [action])
    assert (1 if action == "read" else 0) == (
        await registry.channels.list(friend, EntityListing())
    ).total
    await registry.policies.remove(admin, str(channel.id), [UUID(friend.id)], [action])
    assert ["absent"] * 3 == [await _outcome(act[verb]()) for verb in act]
    await registry.policies.add(admin, str(channel.id), [UUID(friend.id)], [action])
    assert [verb for verb in act if await _outcome(act[verb]()) == "yes"] == [action]


async def test_a_policy_goes_with_its_thing(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    """
    A new thing of the same external id is nobody's but its owner's.
    """
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    thing = await make_thing(registry, owner)
    await registry.policies.add(admin, str(thing.id), [UUID(friend.id)], ["read"])
    await registry.things.remove(owner, thing.id)
    await registry.things.create(owner, [ThingDraft(id=thing.id)])
    with pytest.raises(NotFound):
        await registry.things.get(friend, thing.id)


async def test_membership_of_a_group_is_a_viewers(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    group = await make_group(registry, owner)
    both = [UUID(friend.id), UUID(owner.id)]
    await registry.policies.add(admin, str(group), both, ["member"])
    assert [VIEWER, OWNER] == [await _role(registry.groups, who, group) for who in (friend, owner)]
    await registry.policies.remove(admin, str(group), both, ["member"])
    assert OWNER is await _role(registry.groups, owner, group)
    with pytest.raises(NotFound):
        await _role(registry.groups, friend, group)


async def test_authorities_administer_and_one_always_does(
    registry: Registry, admin: Principal
) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    token = await registry.users.log_in("test@email.com", PASSWORD)
    person = await registry.user_by_token(token)
    await registry.policies.add(admin, "authorities", [UUID(person.id)], ["member"])
    person = await registry.user_by_token(token)
    assert person.is_admin
    await registry.policies.remove(person, "authorities", [UUID(admin.id)], ["member"])
    with pytest.raises(Forbidden):
        await registry.policies.remove(person, "authorities", [UUID(person.id)], ["member"])
    assert (await registry.user_by_token(token)).is_admin


async def test_who_is_no_member_of_users_makes_nothing(
    registry: Registry, admin: Principal
) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    token = await registry.users.log_in("test@email.com", PASSWORD)
    person = await registry.user_by_token(token)
    thing = await make_thing(registry, person)
    await registry.policies.remove(admin, "users", [UUID(person.id)], ["member"])
    person = await registry.user_by_token(token)
    with pytest.raises(Forbidden):
        await make_thing(registry, person)
    with pytest.raises(Forbidden):
        await make_group(registry, person)
    with pytest.raises(Forbidden):
        await registry.channels.create(person, [ChannelDraft()])
    assert thing == await registry.things.get(person, thing.id)
    await registry.policies.add(admin, "users", [UUID(person.id)], ["member"])
    await make_thing(registry, await registry.user_by_token(token))


@pytest.mark.parametrize("target", ["users", "user"])
async def test_who_may_create_users_does_so_while_registration_is_closed(
    registry: Registry, database: Database, admin: Principal, target: str
) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    token = await registry.users.log_in("test@email.com", PASSWORD)
    rules = RegistrationRules(is_open=False)
    async with open_registry(database, SECRET, terms=RegistryTerms(registration=rules)) as closed:
        with pytest.raises(Forbidden):
            closed.users.check_creator(await closed.user_by_token(token))
        person = UUID((await closed.user_by_token(token)).id)
        await closed.policies.add(admin, target, [person], ["create"])
        closed.users.check_creator(await closed.user_by_token(token))


BAD: list[tuple[str, str, list[str], type[GatewayError]]] = [
    ("create on a thing", "{thing}", ["create"], Malformed),
    ("member of a thing", "{thing}", ["read", "member"], Malformed),
    ("read a group", "{group}", ["read"], Malformed),
    ("read of users", "users", ["read"], Malformed),
    ("create of authorities", "authorities", ["create"], Malformed),
    ("an invented word", "{thing}", ["own"], Malformed),
    ("no such object", str(uuid4()), ["read"], NotFound),
    ("an object that is no id", "things", ["read"], NotFound),
]


@pytest.mark.parametrize(("target", "actions", "error"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])  # fmt: skip
async def test_only_predefined_policies_are_taken(
    registry: Registry,
    user: MakeUser,
    admin: Principal,
    target: str,
    actions: list[str],
    error: type[GatewayError],
) -> None:
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    thing, group = await make_thing(registry, owner), await make_group(registry, owner)
    meant = target.format(thing=thing.id, group=group)
    with pytest.raises(error) as refusal:
        await registry.policies.add(admin, meant, [UUID(friend.id)], actions)
    if error is Malformed:
        assert str(refusal.value) == "no such policy is predefined"
    with pytest.raises(NotFound):
        await registry.things.get(friend, thing.id)


async def test_policies_are_for_admins_and_for_users_that_exist(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    owner = await user("owner@email.com")
    thing = await make_thing(registry, owner)
    for act in (registry.policies.add, registry.policies.remove):
        with pytest.raises(Forbidden):
            await act(owner, str(thing.id), [UUID(owner.id)], ["read"])
        with pytest.raises(NotFound):
            await act(admin, str(thing.id), [UUID(owner.id), uuid4()], ["read"])


async def _role(groups: Groups, who: Principal, group: UUID) -> GroupRole:
    return await groups.role(who, group)


async def _outcome(work: Awaitable[object]) -> str:
    try:
        await work
    except Forbidden:
        return "no"
    except NotFound:
        return "absent"
    return "yes"


async def test_a_policy_is_noted_with_whom_and_what_it_was_about(
    registry: Registry, user: MakeUser, admin: Principal, connection: asyncpg.Connection
) -> None:
    owner, friend = await user("owner@email.com"), await user("friend@email.com")
    thing = await make_thing(registry, owner)
    for act in (registry.policies.add, registry.policies.remove):
        await act(admin, str(thing.id), [UUID(friend.id)], ["read", "write"])
    noted = await connection.fetch(
        "select event, kind, owner, actor, detail from audit where kind = 'policies' order by id"
    )
    assert [row["event"] for row in noted] == ["policy-added", "policy-removed"]
    for row in noted:
        assert (row["owner"], row["actor"]) == (str(thing.id), admin.id)
        detail = {"subjects": [friend.id], "policies": ["read", "write"]}
        assert json.loads(row["detail"]) == detail
