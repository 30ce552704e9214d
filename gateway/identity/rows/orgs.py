"""Rows of orgs, and of the users and groups in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.records.groups import Group, Member
from gateway.identity.records.orgs import Org, OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.rows.groups import group_of
from gateway.model.access import GroupRole
from gateway.model.paging import Page


async def add_org(queries: Queries, org_id: UUID, owner_id: UUID, draft: OrgDraft) -> None:
    """A new row."""
    await queries.run("add_org", org_id, owner_id, draft.name, draft.description, draft.metadata)


async def find_org(queries: Queries, org_id: UUID) -> Org | None:
    """The org of that id, or ``None``."""
    row = await queries.row("org_by_id", org_id)
    return _org(row) if row else None


async def hold_org(queries: Queries, org_id: UUID) -> UUID | None:
    """The owner's id, or ``None`` without such an org.

    Nobody else changes the org's members or groups until the transaction ends.
    """
    row = await queries.row("hold_org", org_id)
    return row["owner_id"] if row else None


async def find_role(queries: Queries, org_id: UUID, user_id: UUID) -> tuple[bool, GroupRole | None]:
    """Whether there is such an org, and the user's role in it."""
    row = await queries.row("org_role", org_id, user_id)
    if row is None:
        return False, None
    return True, None if row["role"] is None else GroupRole(row["role"])


async def list_orgs(queries: Queries, member: UUID | None, listing: EntityListing) -> Page[Org]:
    """A page of the orgs that the user is in, or of all."""
    asked = (member, listing.name, listing.metadata)
    total = await queries.value("count_orgs", *asked)
    page = (listing.limit, listing.offset, str(listing.order), listing.descending)
    rows = await queries.rows("list_orgs", *asked, *page)
    return Page(total, [_org(row) for row in rows])


async def amend_org(
    queries: Queries,
    org_id: UUID,
    *,
    name: str | None,
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Change what is not ``None``."""
    await queries.run("amend_org", org_id, name, description, metadata)


async def remove_org(queries: Queries, org_id: UUID) -> None:
    """Remove the row and every membership; users and groups stay."""
    await queries.run("remove_org", org_id)


async def roles_of_users(
    queries: Queries, org_id: UUID, user_ids: Sequence[UUID]
) -> dict[UUID, GroupRole]:
    """The roles of those of the users who are in the org."""
    rows = await queries.rows("roles_in_org", org_id, user_ids)
    return {row["user_id"]: GroupRole(row["role"]) for row in rows}


async def assign_user(queries: Queries, org_id: UUID, user_id: UUID, role: GroupRole) -> None:
    """Give a user a role in the org, in place of any other."""
    await queries.run("assign_to_org", org_id, user_id, role.value)


async def unassign_users(queries: Queries, org_id: UUID, user_ids: Sequence[UUID]) -> None:
    """Take users out of the org; absence is success."""
    await queries.run("unassign_from_org", org_id, user_ids)


async def list_members(queries: Queries, org_id: UUID, listing: EntityListing) -> Page[Member]:
    """A page of the org's users, in order of assignment."""
    part = listing.name.lower()
    total = await queries.value("count_org_members", org_id, part)
    rows = await queries.rows("list_org_members", org_id, part, listing.limit, listing.offset)
    return Page(
        total,
        [
            Member(
                row["id"],
                email=row["email"],
                role=GroupRole(row["role"]),
                pending=row["pending"],
            )
            for row in rows
        ],
    )


async def assign_group(queries: Queries, org_id: UUID, group_id: UUID) -> bool:
    """Put a group into the org; ``False`` if it is in another."""
    await queries.run("assign_group_to_org", group_id, org_id)
    return bool(await queries.value("org_of_group", group_id) == org_id)


async def unassign_groups(queries: Queries, org_id: UUID, group_ids: Sequence[UUID]) -> None:
    """Take groups out of the org; absence is success."""
    await queries.run("unassign_groups_from_org", org_id, group_ids)


async def list_groups(queries: Queries, org_id: UUID, listing: EntityListing) -> Page[Group]:
    """A page of the org's groups, in order of assignment."""
    part = listing.name
    total = await queries.value("count_org_groups", org_id, part)
    rows = await queries.rows("list_org_groups", org_id, part, listing.limit, listing.offset)
    return Page(total, [group_of(row) for row in rows])


def _org(row: Row) -> Org:
    return Org(
        id=row["id"],
        owner_id=row["owner_id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
