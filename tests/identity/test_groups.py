from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from gateway.identity.records.groups import Candidate, GroupDraft, Member, MemberKind
from gateway.identity.records.paging import EntityListing, EntityOrder
from gateway.identity.registry import Registry
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Forbidden, NotFound
from tests.identity.conftest import MakeUser, make_group, make_thing

VIEWER, EDITOR, ADMIN, OWNER = GroupRole


@dataclass(frozen=True)
class Team:
    """A group, and one caller of every standing towards it."""

    group: UUID
    callers: dict[str, Principal]

    def __getitem__(self, who: str) -> Principal:
        return self.callers[who]


@pytest.fixture
async def team(registry: Registry, user: MakeUser, admin: Principal) -> Team:
    names = ("stranger", "viewer", "editor", "manager", "co-owner", "creator")
    callers = {name: await user(f"{name}@email.com") for name in names}
    group = await make_group(registry, callers["creator"])
    roles = [("viewer", VIEWER), ("editor", EDITOR), ("manager", ADMIN), ("co-owner", OWNER)]
    await registry.groups.assign(
        callers["creator"],
        group,
        [Candidate(email=f"{name}@email.com", role=role) for name, role in roles],
    )
    return Team(group, callers | {"root": admin})


ROLES = {
    "stranger": NotFound,
    "viewer": VIEWER,
    "editor": EDITOR,
    "manager": ADMIN,
    "co-owner": OWNER,
    "creator": OWNER,
    "root": OWNER,
}


@pytest.mark.parametrize(("who", "expected"), ROLES.items(), ids=ROLES)
async def test_a_role_is_what_was_assigned(
    registry: Registry, team: Team, who: str, expected: GroupRole | type[Exception]
) -> None:
    if isinstance(expected, GroupRole):
        assert expected == await registry.group_role(team[who], team.group)
    else:
        with pytest.raises(expected):
            await registry.group_role(team[who], team.group)


@pytest.mark.parametrize("who", ["stranger", "root"])
async def test_nobody_has_a_role_in_a_group_that_is_not(
    registry: Registry, team: Team, who: str
) -> None:
    with pytest.raises(NotFound):
        await registry.group_role(team[who], uuid4())


Act = Callable[[Registry, Principal, Team], Awaitable[None]]


async def _see(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.get(caller, team.group)


async def _see_members(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.list_members(caller, team.group, MemberKind.ALL, EntityListing())


async def _rename(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.amend(caller, team.group, name="new")


async def _invite(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.assign(
        caller, team.group, [Candidate(email="stranger@email.com", role=VIEWER)]
    )


async def _make_owner(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.assign(
        caller, team.group, [Candidate(email="viewer@email.com", role=OWNER)]
    )


async def _lower_owner(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.assign(
        caller, team.group, [Candidate(email="co-owner@email.com", role=VIEWER)]
    )


async def _lower_creator(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.assign(
        caller, team.group, [Candidate(email="creator@email.com", role=EDITOR)]
    )


async def _expel_viewer(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.unassign(caller, team.group, [UUID(team["viewer"].id)])


async def _expel_owner(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.unassign(caller, team.group, [UUID(team["co-owner"].id)])


async def _expel_creator(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.unassign(caller, team.group, [UUID(team["creator"].id)])


async def _remove(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.remove(caller, team.group)


async def _found_below(registry: Registry, caller: Principal, team: Team) -> None:
    await registry.groups.create(caller, GroupDraft("below", parent_id=team.group))


CALLERS = ("stranger", "viewer", "editor", "manager", "co-owner", "creator", "root")
# N: not found, F: forbidden, y: done; one letter per caller, in the order above.
MATRIX: list[tuple[Act, str]] = [
    (_see, "N y y y y y y"),
    (_see_members, "N y y y y y y"),
    (_rename, "N F F y y y y"),
    (_invite, "N F F y y y y"),
    (_make_owner, "N F F F y y y"),
    (_lower_owner, "N F F F y y y"),
    (_lower_creator, "N F F F F F F"),
    (_expel_viewer, "N y F y y y y"),
    (_expel_owner, "N F F F y y y"),
    (_expel_creator, "N F F F F F F"),
    (_remove, "N F F F y y y"),
    (_found_below, "N F F y y y y"),
]
OUTCOMES = {"N": NotFound, "F": Forbidden}


@pytest.mark.parametrize(
    ("act", "who", "outcome"),
    [
        pytest.param(act, who, outcome, id=f"{act.__name__.strip('_')} by {who}")
        for act, row in MATRIX
        for who, outcome in zip(CALLERS, row.split(), strict=True)
    ],
)
async def test_a_role_allows_what_the_table_says(
    registry: Registry, team: Team, act: Act, who: str, outcome: str
) -> None:
    if outcome == "y":
        await act(registry, team[who], team)
        return
    with pytest.raises(OUTCOMES[outcome]) as refused:
        await act(registry, team[who], team)
    assert OUTCOMES[outcome] is refused.type
    assert "line" == (await registry.groups.get(team["root"], team.group)).name


async def test_a_group_keeps_what_it_was_given(registry: Registry, user: MakeUser) -> None:
    creator = await user("test@email.com")
    parent = await make_group(registry, creator)
    draft = GroupDraft("group_name", "desc\nmore", {"a": [1, None]}, parent)
    group_id = await registry.groups.create(creator, draft)
    group = await registry.groups.get(creator, group_id)
    assert (draft.name, draft.description, draft.metadata, parent, UUID(creator.id)) == (
        group.name,
        group.description,
        group.metadata,
        group.parent_id,
        group.owner_id,
    )
    await registry.groups.amend(creator, group_id, description="other")
    changed = await registry.groups.get(creator, group_id)
    assert ("group_name", "other") == (changed.name, changed.description)
    assert changed.updated_at > changed.created_at


async def test_a_child_outlives_its_parent(registry: Registry, user: MakeUser) -> None:
    creator = await user("test@email.com")
    parent = await make_group(registry, creator)
    child = await registry.groups.create(creator, GroupDraft("child", parent_id=parent))
    await registry.groups.remove(creator, parent)
    assert (await registry.groups.get(creator, child)).parent_id is None


async def test_a_listing_shows_the_groups_one_is_in(registry: Registry, team: Team) -> None:
    other = await make_group(registry, team["stranger"], "a line")
    assert (1, [other]) == await _listed(registry, team["stranger"], EntityListing())
    assert (1, [team.group]) == await _listed(registry, team["viewer"], EntityListing())
    assert (2, [team.group, other]) == await _listed(registry, team["root"], EntityListing())
    by_name = EntityListing(order=EntityOrder.NAME)
    assert (2, [other, team.group]) == await _listed(registry, team["root"], by_name)
    latest = EntityListing(descending=True, limit=1)
    assert (2, [other]) == await _listed(registry, team["root"], latest)
    assert (1, [other]) == await _listed(registry, team["root"], EntityListing(name="A L"))
    assert (0, []) == await _listed(registry, team["root"], EntityListing(metadata={"no": 1}))


async def test_things_and_users_are_members_alike(registry: Registry, team: Team) -> None:
    first = await make_thing(registry, team["creator"], "first")
    second = await make_thing(registry, team["creator"], "second")
    candidates = [Candidate(id=second.id), Candidate(id=UUID(team["stranger"].id))]
    await registry.groups.assign(team["creator"], team.group, candidates)
    await registry.groups.assign(team["creator"], team.group, [Candidate(id=first.id)])
    await registry.groups.assign(team["creator"], team.group, [Candidate(id=second.id)])
    page = await registry.groups.list_members(
        team["viewer"], team.group, MemberKind.ALL, EntityListing()
    )
    assert [Member(second.id, second), Member(first.id, first)] == page.items[:2]
    assert Member(UUID(team["stranger"].id), None, "stranger@email.com", VIEWER) == page.items[-1]
    assert (8, 2, 6) == (
        page.total,
        *[await _count(registry, team, k) for k in ("things", "users")],
    )
    assert (team.group,) == await registry.groups_of_thing(first.id)


async def test_members_are_assigned_together_or_not_at_all(registry: Registry, team: Team) -> None:
    mine = await make_thing(registry, team["creator"])
    theirs = await make_thing(registry, team["stranger"])
    for bad in (
        Candidate(id=theirs.id),
        Candidate(id=uuid4()),
        Candidate(email="nobody@email.com"),
        Candidate(),
    ):
        with pytest.raises(NotFound):
            await registry.groups.assign(team["creator"], team.group, [Candidate(id=mine.id), bad])
    assert () == await registry.groups_of_thing(mine.id)
    assert 0 == await _count(registry, team, "things")


async def test_a_thing_of_anybody_is_assigned_by_an_admin(registry: Registry, team: Team) -> None:
    thing = await make_thing(registry, team["stranger"])
    await registry.groups.assign(team["root"], team.group, [Candidate(id=thing.id)])
    assert (team.group,) == await registry.groups_of_thing(thing.id)


async def test_the_groups_of_a_thing_come_in_order_of_assignment(
    registry: Registry, user: MakeUser
) -> None:
    owner = await user("test@email.com")
    thing = await make_thing(registry, owner)
    groups = [await make_group(registry, owner, str(n)) for n in range(4)]
    order = [groups[i] for i in (2, 0, 3, 1)]
    for group in order:
        await registry.groups.assign(owner, group, [Candidate(id=thing.id)])
    assert tuple(order) == await registry.groups_of_thing(thing.id)
    await registry.groups.unassign(owner, order[0], [thing.id])
    assert tuple(order[1:]) == await registry.groups_of_thing(thing.id)


async def test_the_groups_of_a_thing_are_listed_for_who_sees_it(
    registry: Registry, team: Team
) -> None:
    """
    Of others' things those that the caller is in as well; of one's own all, for one may take it out
    of each. A group that the owner never saw shows its name.
    """
    thing = await make_thing(registry, team["manager"])
    hidden = await make_group(registry, team["stranger"])
    for caller, group in ((team["manager"], team.group), (team["root"], hidden)):
        await registry.groups.assign(caller, group, [Candidate(id=thing.id)])
    await registry.groups.amend(team["stranger"], hidden, description="d", metadata={"a": 1})
    for who, described in (("manager", ["", {}]), ("root", ["d", {"a": 1}])):
        seen = await registry.groups.list_of_thing(team[who], thing.id, EntityListing())
        assert (2, [team.group, hidden]) == (seen.total, [g.id for g in seen.items])
        assert described == [seen.items[1].description, seen.items[1].metadata]
    for who, group in (("creator", team.group), ("stranger", hidden)):
        seen = await registry.groups.list_of_thing(team[who], thing.id, EntityListing())
        assert (1, [group]) == (seen.total, [g.id for g in seen.items])
    other = await make_thing(registry, team["manager"])
    with pytest.raises(NotFound):
        await registry.groups.list_of_thing(team["creator"], other.id, EntityListing())


async def test_taking_out_who_is_not_in_is_no_error(registry: Registry, team: Team) -> None:
    await registry.groups.unassign(team["creator"], team.group, [uuid4()])
    assert 5 == await _count(registry, team, "users")


async def _listed(
    registry: Registry, caller: Principal, listing: EntityListing
) -> tuple[int, list[UUID]]:
    page = await registry.groups.list(caller, listing)
    return page.total, [g.id for g in page.items]


async def _count(registry: Registry, team: Team, kind: str) -> int:
    page = await registry.groups.list_members(
        team["root"], team.group, MemberKind(kind), EntityListing()
    )
    return page.total
