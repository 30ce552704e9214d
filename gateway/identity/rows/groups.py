"""Rows of groups, and of the things and users in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.records.groups import Group, GroupDraft, Member, MemberKind, Membership
from gateway.identity.records.paging import EntityListing
from gateway.identity.rows.things import thing_of
from gateway.model.access import GroupRole
from gateway.model.paging import Page


async def add_group(queries: Queries, group_id: UUID, owner_id: UUID, draft: GroupDraft) -> None:
    """A new row. Raises ``Unrelated`` if the parent is gone."""
    await queries.run(
        "add_group",
        group_id,
        owner_id,
        draft.name,
        draft.description,
        draft.metadata,
        draft.parent_id,
    )


async def find_group(queries: Queries, group_id: UUID) -> Group | None:
    """The group of that id, or ``None``."""
    row = await queries.row("group_by_id", group_id)
    return group_of(row) if row else None


async def depth_of(queries: Queries, group_id: UUID) -> int:
    """How deep in its tree the group is, itself counted; 0 without such a group."""
    return await queries.value("depth_of_group", group_id) or 0


async def creators_of(queries: Queries, group_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who created each of the groups that there are; they stay until the transaction ends."""
    rows = await queries.rows("creators_of_groups", group_ids)
    return {row["id"]: row["owner_id"] for row in rows}


async def owned_directly(
    queries: Queries, user_id: UUID, group_ids: Sequence[UUID]
) -> frozenset[UUID]:
    """Those of the groups that the user owns by the group itself, not only through its org."""
    rows = await queries.rows("groups_owned_directly", user_id, group_ids)
    return frozenset(row["group_id"] for row in rows)


async def hold_group(queries: Queries, group_id: UUID) -> UUID | None:
    """The owner's id, or ``None`` without such a group.

    Nobody else changes the group's members until the transaction ends.
    """
    row = await queries.row("hold_group", group_id)
    return row["owner_id"] if row else None


async def find_role(
    queries: Queries, group_id: UUID, user_id: UUID
) -> tuple[bool, GroupRole | None]:
    """Whether there is such a group, and the user's role in it."""
    row = await queries.row("group_role", group_id, user_id)
    if row is None:
        return False, None
    return True, None if row["role"] is None else GroupRole(row["role"])


async def list_groups(queries: Queries, member: UUID | None, listing: EntityListing) -> Page[Group]:
    """A page of the groups that the user is in, or of all."""
    asked = (member, listing.name, listing.metadata)
    total = await queries.value("count_groups", *asked)
    page = (listing.limit, listing.offset, str(listing.order), listing.descending)
    rows = await queries.rows("list_groups", *asked, *page)
    return Page(total, [group_of(row) for row in rows])


async def list_related(
    queries: Queries,
    group_id: UUID,
    member: UUID | None,
    listing: EntityListing,
    *,
    above: bool,
    levels: int,
) -> Page[Group]:
    """A page of the group and those above or below it, that the user is in, or of all."""
    which = "groups_above" if above else "groups_below"
    asked = (group_id, member, levels)
    total = await queries.value(f"count_{which}", *asked)
    rows = await queries.rows(f"list_{which}", *asked, listing.limit, listing.offset)
    return Page(total, [group_of(row) for row in rows])


async def list_groups_of_thing(
    queries: Queries, thing_id: UUID, member: UUID | None, listing: EntityListing
) -> Page[Group]:
    """A page of the thing's groups that the user is in too, or of all."""
    total = await queries.value("count_groups_of_thing", thing_id, member)
    rows = await queries.rows(
        "list_groups_of_thing", thing_id, member, listing.limit, listing.offset
    )
    return Page(total, [group_of(row) for row in rows])


async def groups_of_thing(queries: Queries, thing_id: UUID) -> tuple[UUID, ...]:
    """The thing's groups, earliest assignment first."""
    rows = await queries.rows("groups_of_thing", thing_id)
    return tuple(row["group_id"] for row in rows)


async def memberships(queries: Queries, user_id: UUID) -> list[Membership]:
    """The groups that the user is in, in order of their numbers."""
    rows = await queries.rows("groups_of_user", user_id)
    return [Membership(r["id"], r["number"], r["name"], r["description"]) for r in rows]


async def which_numbers_exist(queries: Queries, numbers: Sequence[int]) -> frozenset[int]:
    """Which of these numbers are of a group."""
    rows = await queries.rows("group_numbers", numbers)
    return frozenset(row["number"] for row in rows)


async def amend_group(
    queries: Queries,
    group_id: UUID,
    *,
    name: str | None,
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Change what is not ``None``."""
    await queries.run("amend_group", group_id, name, description, metadata)


async def remove_group(queries: Queries, group_id: UUID) -> None:
    """Remove the row and every membership."""
    await queries.run("remove_group", group_id)


async def assign_thing(queries: Queries, group_id: UUID, thing_id: UUID) -> None:
    """Put a thing into the group; if it is there, nothing changes."""
    await queries.run("assign_thing", group_id, thing_id)


async def assign_user(queries: Queries, group_id: UUID, user_id: UUID, role: GroupRole) -> None:
    """Give a user a role in the group, in place of any other."""
    await queries.run("assign_user", group_id, user_id, role.value)


async def roles_of_users(
    queries: Queries, group_id: UUID, user_ids: Sequence[UUID]
) -> dict[UUID, GroupRole]:
    """The roles of those of the users who are in the group."""
    rows = await queries.rows("roles_of_users", group_id, user_ids)
    return {row["user_id"]: GroupRole(row["role"]) for row in rows}


async def unassign(queries: Queries, group_id: UUID, ids: Sequence[UUID]) -> None:
    """Take things and users out of the group; absence is success."""
    await queries.run("unassign_things", group_id, ids)
    await queries.run("unassign_users", group_id, ids)


async def unassign_things_of(
    queries: Queries, group_id: UUID, user_ids: Sequence[UUID]
) -> Sequence[UUID]:
    """Take out the things of those users who have no role there any more; which these are."""
    rows = await queries.rows("unassign_things_of", group_id, user_ids)
    return [row["thing_id"] for row in rows]


async def list_members(
    queries: Queries, group_id: UUID, kind: MemberKind, listing: EntityListing
) -> Page[Member]:
    """One page: things first, then users, each in order of assignment."""
    total = await queries.value("count_members", group_id, str(kind))
    rows = await queries.rows("list_members", group_id, listing.limit, listing.offset, str(kind))
    return Page(total, [_member(row) for row in rows])


def group_of(row: Row) -> Group:
    """The group in a row."""
    return Group(
        id=row["id"],
        owner_id=row["owner_id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        parent_id=row["parent_id"],
        path=tuple(row["path"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _member(row: Row) -> Member:
    if row["kind"] == "thing":
        return Member(id=row["id"], thing=thing_of(row))
    return Member(
        id=row["id"],
        email=row["email"],
        role=GroupRole(row["role"]),
        pending=row["pending"],
        org_id=row["org_id"],
    )
