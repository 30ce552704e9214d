from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from gateway.identity.records.orgs import OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.registry import Registry
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Conflict, Forbidden, GatewayError, NotFound
from tests.identity.conftest import MakeUser, make_group

VIEWER, EDITOR, ADMIN, OWNER = GroupRole


async def make_org(registry: Registry, owner: Principal, **roles: GroupRole) -> UUID:
    """An org; ``roles`` by the first part of an e-mail at email.com."""
    org = await registry.orgs.create(owner, OrgDraft("org"))
    if roles:
        given = {f"{name}@email.com": role for name, role in roles.items()}
        await registry.orgs.assign(owner, org, given)
    return org


@pytest.mark.parametrize("role", list(GroupRole), ids=str)
async def test_what_a_role_may(registry: Registry, user: MakeUser, role: GroupRole) -> None:
    owner, member = await user("owner@email.com"), await user("member@email.com")
    org = await make_org(registry, owner, member=role)
    own_group = await make_group(registry, member)
    orgs = registry.orgs
    await orgs.get(member, org)
    await orgs.list_members(member, org, EntityListing())
    await _tried(orgs.assign_groups(member, org, [own_group]), role.includes(EDITOR))
    other_group = await make_group(registry, owner)
    await orgs.assign_groups(owner, org, [other_group])
    await _tried(orgs.unassign_groups(member, org, [other_group]), role.includes(EDITOR))
    await orgs.unassign_groups(member, org, [own_group])
    await _tried(orgs.amend(member, org, name="new"), role.includes(ADMIN))
    await user("new@email.com")
    await _tried(orgs.assign(member, org, {"new@email.com": VIEWER}), role.includes(ADMIN))
    await _tried(orgs.assign(member, org, {"new@email.com": OWNER}), role is OWNER)
    await _tried(orgs.remove(member, org), role is OWNER)


async def test_an_org_is_nothing_to_strangers(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    owner, stranger = await user("one@email.com"), await user("two@email.com")
    org = await make_org(registry, owner)
    for wanted in (org, uuid4()):
        for tried in (
            registry.orgs.get(stranger, wanted),
            registry.orgs.amend(stranger, wanted, name="x"),
            registry.orgs.remove(stranger, wanted),
            registry.orgs.list_members(stranger, wanted, EntityListing()),
            registry.orgs.list_groups(stranger, wanted, EntityListing()),
        ):
            with pytest.raises(NotFound):
                await tried
    assert [[org], [], [org]] == [
        [o.id for o in (await registry.orgs.list(who, EntityListing())).items]
        for who in (owner, stranger, admin)
    ]
    await registry.orgs.remove(admin, org)


async def test_an_owner_of_an_org_owns_its_groups_and_others_do_not(
    registry: Registry, user: MakeUser
) -> None:
    maker, boss = await user("maker@email.com"), await user("boss@email.com")
    helper = await user("helper@email.com")
    org = await make_org(registry, maker, boss=OWNER, helper=ADMIN)
    group = await make_group(registry, maker)
    with pytest.raises(NotFound):
        await registry.group_role(boss, group)
    await registry.orgs.assign_groups(maker, org, [group])
    assert OWNER is await registry.group_role(boss, group)
    assert [group] == [g.id for g in (await registry.groups.list(boss, EntityListing())).items]
    with pytest.raises(NotFound):
        await registry.group_role(helper, group)
    await registry.orgs.unassign_groups(maker, org, [group])
    with pytest.raises(NotFound):
        await registry.group_role(boss, group)


async def test_only_an_owner_gives_a_group_to_an_org(registry: Registry, user: MakeUser) -> None:
    """
    Else an admin of a group could make strangers its owners.
    """
    owner, boss = await user("owner@email.com"), await user("boss@email.com")
    group, org = await make_group(registry, owner), await make_org(registry, boss)
    with pytest.raises(NotFound):
        await registry.orgs.assign_groups(boss, org, [group])
    assert 0 == (await registry.orgs.list_groups(boss, org, EntityListing())).total


async def test_a_group_is_in_one_org_and_all_are_assigned_or_none(
    registry: Registry, user: MakeUser
) -> None:
    owner = await user("test@email.com")
    one, two = await make_org(registry, owner), await make_org(registry, owner)
    taken, free = await make_group(registry, owner), await make_group(registry, owner)
    for _ in range(2):
        await registry.orgs.assign_groups(owner, one, [taken])
    with pytest.raises(Conflict):
        await registry.orgs.assign_groups(owner, two, [free, taken])
    assert [1, 0] == [
        (await registry.orgs.list_groups(owner, org, EntityListing())).total for org in (one, two)
    ]


async def test_roles_are_changed_of_members_only(registry: Registry, user: MakeUser) -> None:
    owner = await user("owner@email.com")
    await user("in@email.com")
    await user("out@email.com")
    org = await registry.orgs.create(owner, OrgDraft("org"))
    await registry.orgs.assign(owner, org, {"in@email.com": VIEWER})
    roles = {"in@email.com": EDITOR, "out@email.com": EDITOR}
    with pytest.raises(NotFound):
        await registry.orgs.assign(owner, org, roles, members_only=True)
    assert [OWNER, VIEWER] == await _roles(registry, owner, org)
    await registry.orgs.assign(owner, org, {"IN@email.com": EDITOR}, members_only=True)
    assert [OWNER, EDITOR] == await _roles(registry, owner, org)


async def test_the_creator_stays_and_ranks_are_kept(registry: Registry, user: MakeUser) -> None:
    owner, second = await user("owner@email.com"), await user("second@email.com")
    third = await user("third@email.com")
    org = await make_org(registry, owner, second=ADMIN, third=OWNER)
    for tried in (
        registry.orgs.unassign(third, org, [UUID(owner.id)]),
        registry.orgs.assign(third, org, {"owner@email.com": VIEWER}),
        registry.orgs.unassign(second, org, [UUID(third.id)]),
        registry.orgs.assign(second, org, {"third@email.com": VIEWER}),
        registry.orgs.assign(second, org, {"second@email.com": OWNER}),
    ):
        with pytest.raises(Forbidden):
            await tried
    await registry.orgs.unassign(second, org, [UUID(second.id)])
    assert [OWNER, OWNER] == await _roles(registry, owner, org)


async def test_memberships_are_for_the_member_and_admins(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    owner, member = await user("owner@email.com"), await user("member@email.com")
    org = await make_org(registry, owner, member=VIEWER)
    await make_org(registry, owner)
    for who in (member, admin):
        page = await registry.orgs.list_of_member(who, UUID(member.id), EntityListing())
        assert [org] == [o.id for o in page.items]
    with pytest.raises(NotFound):
        await registry.orgs.list_of_member(owner, UUID(member.id), EntityListing())


async def _roles(registry: Registry, caller: Principal, org: UUID) -> list[GroupRole | None]:
    return [m.role for m in (await registry.orgs.list_members(caller, org, EntityListing())).items]


async def _tried(work: object, allowed: bool) -> None:
    refusal: GatewayError | None = None
    try:
        await work  # type: ignore[misc]
    except Forbidden as exc:
        refusal = exc
    assert allowed == (refusal is None)
