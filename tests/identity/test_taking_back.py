"""What is somebody's own they may always take back: a thing out of a group, a group out of an org."""

from __future__ import annotations

from uuid import UUID

import pytest

from gateway.identity.records.groups import Candidate, MemberKind
from gateway.identity.records.orgs import OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.registry import Registry
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Forbidden, NotFound
from tests.identity.conftest import MakeUser, make_group, make_thing

VIEWER, EDITOR, ADMIN, OWNER = GroupRole


async def members(registry: Registry, caller: Principal, group: UUID) -> list[object]:
    page = await registry.groups.list_members(caller, group, MemberKind.ALL, EntityListing())
    assert page.total == len(page.items)
    return [(m.email or m.id, m.role, m.org_id) for m in page.items]


async def test_a_second_owner_does_not_keep_a_group_by_way_of_an_org(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    creator, second = await user("u1@corp.test"), await user("u2@corp.test")
    group = await make_group(registry, creator)
    await registry.groups.assign(creator, group, [Candidate(id=UUID(second.id), role=OWNER)])
    org = await registry.orgs.create(second, OrgDraft("his"))
    with pytest.raises(Forbidden):
        await registry.orgs.assign_groups(second, org, [group])
    # As it may have been put there before that rule, or by an administrator.
    await registry.orgs.assign_groups(admin, org, [group])
    await registry.groups.unassign(creator, group, [UUID(second.id)])
    seen = [("u1@corp.test", OWNER, None), ("u2@corp.test", OWNER, org)]
    assert seen == await members(registry, creator, group)
    await registry.orgs.unassign_groups(creator, org, [group])
    assert seen[:1] == await members(registry, creator, group)
    with pytest.raises(NotFound):
        await registry.group_role(second, group)


@pytest.mark.parametrize(
    ("who", "may"),
    [("the creator", True), ("an owner", True), ("an admin of it", False), ("a stranger", False)],
)
async def test_who_takes_a_group_out_of_an_org_that_they_are_not_in(
    registry: Registry, user: MakeUser, admin: Principal, who: str, may: bool
) -> None:
    creator, other = await user("u1@corp.test"), await user("u2@corp.test")
    host = await user("host@corp.test")
    group = await make_group(registry, creator)
    role = {"an owner": OWNER, "an admin of it": ADMIN}.get(who)
    if role is not None:
        await registry.groups.assign(creator, group, [Candidate(id=UUID(other.id), role=role)])
    org = await registry.orgs.create(host, OrgDraft("org"))
    await registry.orgs.assign_groups(admin, org, [group])
    caller = creator if who == "the creator" else other
    refused = False
    try:
        await registry.orgs.unassign_groups(caller, org, [group])
    except NotFound:
        refused = True
    assert may == (not refused)
    page = await registry.orgs.list_groups(host, org, EntityListing())
    assert (0 if may else 1) == page.total


async def test_who_owns_through_the_org_alone_is_no_owner_of_it_elsewhere(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    """An owner of one org that has the group does not move it by that into another of theirs."""
    creator, host = await user("u1@corp.test"), await user("host@corp.test")
    group = await make_group(registry, creator)
    first, second = [await registry.orgs.create(host, OrgDraft(name)) for name in "ab"]
    await registry.orgs.assign_groups(admin, first, [group])
    with pytest.raises(Forbidden):
        await registry.orgs.assign_groups(host, second, [group])


@pytest.mark.parametrize("role", [None, *GroupRole], ids=str)
async def test_a_thing_s_owner_takes_it_out_of_any_group(
    registry: Registry, user: MakeUser, admin: Principal, role: GroupRole | None
) -> None:
    host, owner = await user("host@corp.test"), await user("owner@corp.test")
    group, thing = await make_group(registry, host), await make_thing(registry, owner)
    other = await make_thing(registry, await user("else@corp.test"))
    await registry.groups.assign(admin, group, [Candidate(id=thing.id), Candidate(id=other.id)])
    if role is not None:
        await registry.groups.assign(host, group, [Candidate(id=UUID(owner.id), role=role)])
    assert 1 == (await registry.groups.list_of_thing(owner, thing.id, EntityListing())).total
    if role not in (ADMIN, OWNER):
        with pytest.raises((NotFound, Forbidden)):
            await registry.groups.unassign(owner, group, [thing.id, other.id])
    await registry.groups.unassign(owner, group, [thing.id])
    assert (other.id,) == tuple(
        member[0] for member in await members(registry, host, group) if member[1] is None  # type: ignore[index]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "stays"),
    [
        ("leaves", False),
        ("is taken out", False),
        ("is no member by policy", False),
        ("leaves and keeps", True),
        ("is taken out and they would keep", False),
        ("is taken out by an admin who keeps", True),
        ("leaves and owns through the org", True),
    ],
)
async def test_with_whoever_leaves_go_their_things(
    registry: Registry, user: MakeUser, admin: Principal, how: str, stays: bool
) -> None:
    host, owner = await user("host@corp.test"), await user("owner@corp.test")
    group, thing = await make_group(registry, host), await make_thing(registry, owner)
    kept = await make_thing(registry, host)
    await registry.groups.assign(host, group, [Candidate(id=UUID(owner.id), role=ADMIN)])
    await registry.groups.assign(owner, group, [Candidate(id=thing.id)])
    await registry.groups.assign(host, group, [Candidate(id=kept.id)])
    if "org" in how:
        org = await registry.orgs.create(owner, OrgDraft("org"))
        await registry.orgs.assign_groups(admin, org, [group])
    if "policy" in how:
        await registry.policies.remove(admin, str(group), [UUID(owner.id)], ["member"])
    else:
        caller = owner if how.startswith("leaves") else admin if "admin" in how else host
        keep = "keep" in how
        await registry.groups.unassign(caller, group, [UUID(owner.id)], keep_things=keep)
    groups = await registry.groups_of_thing(thing.id)
    assert ((group,) if stays else ()) == groups
    assert (group,) == await registry.groups_of_thing(kept.id)
    if not stays:
        with pytest.raises(NotFound):
            await registry.things.remove(host, thing.id)
