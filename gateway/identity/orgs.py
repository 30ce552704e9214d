"""Orgs: users with roles, and the groups that belong together.

| Role | May |
|---|---|
| viewer | see the org, its members and its groups |
| editor | assign and unassign groups |
| admin | change the org, assign and unassign members up to its own role |
| owner | remove it, make other owners; is an owner of each of its groups |

Whoever creates an org stays its owner. An admin of the gateway is an owner everywhere.

Rule: a caller without any role gets ``NotFound``, one whose role is too low ``Forbidden``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries
from gateway.identity.groups import check_group_role
from gateway.identity.invitations import offer
from gateway.identity.records.groups import Group, Member
from gateway.identity.records.invitations import GroupOrOrg, Issued
from gateway.identity.records.orgs import Org, OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.identity.rights import check_ranks, maker_id, owner_filter, role_of_caller, user_id
from gateway.identity.rows import orgs as rows
from gateway.identity.rows.groups import creators_of, owned_directly
from gateway.identity.rows.invitations import drop_offers
from gateway.identity.rows.users import find_users, unverified_users
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Conflict, Forbidden, NotFound
from gateway.model.paging import Page

_KIND: Final = "orgs"
Roles = Mapping[str, GroupRole]
"""The role that each of some users is to have, by e-mail."""


class Orgs:
    """The orgs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Principal, draft: OrgDraft) -> UUID:
        """A new org, which the caller owns."""
        owner, org_id = maker_id(caller), uuid4()
        async with self._database.transaction() as session:
            await rows.add_org(session, org_id, owner, draft)
            await rows.assign_user(session, org_id, owner, GroupRole.OWNER)
            await note(session, "created", _KIND, org_id, actor=caller.id)
        return org_id

    async def get(self, caller: Principal, org_id: UUID) -> Org:
        """One org."""
        await _check_role(self._database, caller, org_id, GroupRole.VIEWER)
        org = await rows.find_org(self._database, org_id)
        if org is None:
            raise NotFound()
        return org

    async def list(self, caller: Principal, listing: EntityListing) -> Page[Org]:
        """The orgs that the caller is in."""
        return await rows.list_orgs(self._database, owner_filter(caller), listing)

    async def list_of_member(
        self, caller: Principal, member_id: UUID, listing: EntityListing
    ) -> Page[Org]:
        """The orgs that a user is in; others than the user themselves must be admins."""
        if owner_filter(caller) not in (None, member_id):
            raise NotFound()
        return await rows.list_orgs(self._database, member_id, listing)

    async def check_role(self, caller: Principal, org_id: UUID, needed: GroupRole) -> None:
        """Raise ``NotFound`` or ``Forbidden`` unless the caller has at least that role."""
        await _check_role(self._database, caller, org_id, needed)

    async def amend(
        self,
        caller: Principal,
        org_id: UUID,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is given."""
        await _check_role(self._database, caller, org_id, GroupRole.ADMIN)
        await rows.amend_org(
            self._database, org_id, name=name, description=description, metadata=metadata
        )

    async def remove(self, caller: Principal, org_id: UUID) -> None:
        """Remove the org; its members and groups stay."""
        async with self._database.transaction() as session:
            await rows.hold_org(session, org_id)
            await _check_role(session, caller, org_id, GroupRole.OWNER)
            await rows.remove_org(session, org_id)
            await note(session, "removed", _KIND, org_id, actor=caller.id)

    async def list_members(
        self, caller: Principal, org_id: UUID, listing: EntityListing
    ) -> Page[Member]:
        """The users in the org."""
        await _check_role(self._database, caller, org_id, GroupRole.VIEWER)
        return await rows.list_members(self._database, org_id, listing)

    async def assign(
        self, caller: Principal, org_id: UUID, roles: Roles, *, members_only: bool = False
    ) -> Sequence[Issued]:
        """Give all of the users their roles, or none; new ones join, unless ``members_only``.

        Those wait, and are what is returned, that were given to somebody who has not shown that
        the e-mail is theirs. Raises ``NotFound`` for an unknown user, ``Forbidden`` for a role
        above the caller's own, given or taken.
        """
        async with self._database.transaction() as session:
            creator = await rows.hold_org(session, org_id)
            own = await _check_role(session, caller, org_id, GroupRole.ADMIN)
            users = await _by_id(session, roles)
            given = {member: role for member, (_, role) in users.items()}
            present = await rows.roles_of_users(session, org_id, list(given))
            if members_only and present.keys() != given.keys():
                raise NotFound()
            if creator in given and given[creator] is not GroupRole.OWNER:
                raise Forbidden()
            check_ranks(own, (*given.values(), *present.values()))
            waiting = await unverified_users(session, list(given.keys() - present.keys()))
            return await _put(session, caller, org_id, users, waiting)

    async def unassign(self, caller: Principal, org_id: UUID, ids: Sequence[UUID]) -> None:
        """Take users out of the org; whoever is not in it is no error.

        Everybody but its creator may leave an org; to take out others is for its admins.
        """
        leaving = list(ids) == [user_id(caller)]
        async with self._database.transaction() as session:
            creator = await rows.hold_org(session, org_id)
            needed = GroupRole.VIEWER if leaving else GroupRole.ADMIN
            own = await _check_role(session, caller, org_id, needed)
            if creator in ids:
                raise Forbidden()
            check_ranks(own, (await rows.roles_of_users(session, org_id, ids)).values())
            await drop_offers(session, GroupOrOrg(org_id=org_id), ids)
            await rows.unassign_users(session, org_id, ids)
            detail = {"members": [str(member) for member in ids]}
            await note(session, "unassigned", _KIND, org_id, actor=caller.id, detail=detail)

    async def list_groups(
        self, caller: Principal, org_id: UUID, listing: EntityListing
    ) -> Page[Group]:
        """The org's groups."""
        await _check_role(self._database, caller, org_id, GroupRole.VIEWER)
        return await rows.list_groups(self._database, org_id, listing)

    async def assign_groups(
        self, caller: Principal, org_id: UUID, group_ids: Sequence[UUID]
    ) -> None:
        """Put all of the groups into the org, or none. The caller must have created each of them.

        An owner whom the creator made is not enough: the org's owners become owners of the group.
        Raises ``Conflict`` for a group that is in another org.
        """
        async with self._database.transaction() as session:
            await rows.hold_org(session, org_id)
            await _check_role(session, caller, org_id, GroupRole.EDITOR)
            creators = await creators_of(session, group_ids)
            for group_id in sorted(set(group_ids)):
                await check_group_role(session, caller, group_id, GroupRole.OWNER)
                if not caller.is_admin and creators[group_id] != user_id(caller):
                    raise Forbidden()
                if not await rows.assign_group(session, org_id, group_id):
                    raise Conflict()
            await _note_groups(session, "groups-assigned", caller, org_id, group_ids)

    async def unassign_groups(
        self, caller: Principal, org_id: UUID, group_ids: Sequence[UUID]
    ) -> None:
        """Take groups out of the org; one that is not in it is no error.

        Whoever owns a group by itself may always do so; else it takes an editor of the org.
        """
        async with self._database.transaction() as session:
            await rows.hold_org(session, org_id)
            if not await _own_all(session, caller, group_ids):
                await _check_role(session, caller, org_id, GroupRole.EDITOR)
            await rows.unassign_groups(session, org_id, group_ids)
            await _note_groups(session, "groups-unassigned", caller, org_id, group_ids)


async def _own_all(session: Queries, caller: Principal, group_ids: Sequence[UUID]) -> bool:
    """Whether the caller is an owner of each of the groups, not only through their org."""
    return set(group_ids) == await owned_directly(session, user_id(caller), group_ids)


async def _note_groups(
    session: Queries, event: str, caller: Principal, org_id: UUID, group_ids: Sequence[UUID]
) -> None:
    detail = {"groups": [str(group_id) for group_id in group_ids]}
    await note(session, event, _KIND, org_id, actor=caller.id, detail=detail)


async def _put(
    session: Queries,
    caller: Principal,
    org_id: UUID,
    users: Mapping[UUID, tuple[User, GroupRole]],
    waiting: frozenset[UUID],
) -> Sequence[Issued]:
    target = GroupOrOrg(org_id=org_id)
    direct = {member: role for member, (_, role) in users.items() if member not in waiting}
    await drop_offers(session, target, list(direct))
    for member_id, role in direct.items():
        await rows.assign_user(session, org_id, member_id, role)
    detail = {"users": {str(member): role.name.lower() for member, role in direct.items()}}
    await note(session, "assigned", _KIND, org_id, actor=caller.id, detail=detail)
    return [
        await offer(session, caller, user, role, target)
        for user, role in users.values()
        if user.id in waiting
    ]


async def _check_role(
    queries: Queries, caller: Principal, org_id: UUID, needed: GroupRole
) -> GroupRole:
    exists, given = await rows.find_role(queries, org_id, user_id(caller))
    role = role_of_caller(caller, exists=exists, role=given)
    if not role.includes(needed):
        raise Forbidden()
    return role


async def _by_id(queries: Queries, roles: Roles) -> dict[UUID, tuple[User, GroupRole]]:
    _, users = await find_users(queries, [], list(roles))
    if users.keys() != roles.keys():
        raise NotFound()
    return {users[email].id: (users[email], role) for email, role in roles.items()}
