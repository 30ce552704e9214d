"""Rows of invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.records.invitations import GroupOrOrg, Invitation
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.model.access import GroupRole
from gateway.model.paging import Page


async def add_invitation(
    queries: Queries,
    invitation_id: UUID,
    email: str,
    digest: bytes,
    inviter: UUID | None,
    expires_at: datetime,
) -> Invitation:
    """A new row to an account, in place of any earlier to that e-mail."""
    row = await queries.row("add_invitation", invitation_id, email, digest, inviter, expires_at)
    return _invitation(cast(Row, row))


async def add_offer(
    queries: Queries,
    invitation_id: UUID,
    user: User,
    digest: bytes,
    inviter: UUID,
    expires_at: datetime,
    target: GroupOrOrg,
    role: GroupRole,
) -> Invitation:
    """A new row to a role of that user, in place of any earlier to the same group or org."""
    row = await queries.row(
        "add_offer",
        invitation_id,
        user.email,
        digest,
        inviter,
        expires_at,
        target.group_id,
        target.org_id,
        user.id,
        role.value,
    )
    return _invitation(cast(Row, row))


async def find_by_digest(queries: Queries, digest: bytes) -> Invitation | None:
    """The invitation of that token, as long as it holds; nobody else takes it meanwhile."""
    row = await queries.row("invitation_of_digest", digest)
    return _invitation(row) if row else None


async def offers_to(queries: Queries, user_id: UUID) -> Sequence[Invitation]:
    """The roles that wait for the user and hold; nobody else takes them meanwhile."""
    return [_invitation(row) for row in await queries.rows("offers_to_user", user_id)]


async def find_invitation(queries: Queries, invitation_id: UUID) -> Invitation | None:
    """The invitation of that id, or ``None``."""
    row = await queries.row("invitation_by_id", invitation_id)
    return _invitation(row) if row else None


async def remove_invitation(queries: Queries, invitation_id: UUID) -> bool:
    """Remove the row; whether it was there."""
    return await queries.run("remove_invitation", invitation_id) == 1


async def drop_invitations_of(queries: Queries, inviter: UUID) -> None:
    """Remove what the user invited to."""
    await queries.run("drop_invitations_of", inviter)


async def drop_offers(queries: Queries, target: GroupOrOrg, user_ids: Sequence[UUID]) -> None:
    """Take back the roles that wait for these users there."""
    await queries.run("drop_offers", target.group_id, target.org_id, list(user_ids))


async def drop_old_invitations(queries: Queries) -> None:
    """Forget those that have been over for a month."""
    await queries.run("drop_old_invitations")


async def list_invitations(
    queries: Queries, only: UUID | None, listing: EntityListing
) -> Page[Invitation]:
    """A page of those that the user made or is meant by, or of all; oldest first."""
    total = await queries.value("count_invitations", only)
    rows = await queries.rows("list_invitations", only, listing.limit, listing.offset)
    return Page(total, [_invitation(row) for row in rows])


def _invitation(row: Row) -> Invitation:
    return Invitation(
        id=row["id"],
        email=row["email"],
        inviter=row["inviter"],
        group_id=row["group_id"],
        org_id=row["org_id"],
        user_id=row["user_id"],
        role=None if row["role"] is None else GroupRole(row["role"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
