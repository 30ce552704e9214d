"""Groups: things and users who share files, and what each role may do.

| Role | May |
|---|---|
| viewer | see the group, its members and its files |
| editor | change its files |
| admin | change the group, assign and unassign members up to its own role |
| owner | remove it, make other owners |

Whoever creates a group stays its owner. The owners of an org are owners of its groups; an
admin of the gateway is an owner everywhere. What somebody owns they may always take back: things
out of a group, and a group out of an org.

Rule: a caller without any role gets ``NotFound``, one whose role is too low ``Forbidden``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries
from gateway.identity.invitations import offer
from gateway.identity.records.groups import (
    Candidate,
    Group,
    GroupDraft,
    Member,
    MemberKind,
    Membership,
)
from gateway.identity.records.invitations import GroupOrOrg, Issued
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.identity.rights import check_ranks, maker_id, owner_filter, role_of_caller, user_id
from gateway.identity.rows import groups as rows
from gateway.identity.rows.invitations import drop_offers
from gateway.identity.rows.scopes import add_scope, remove_scope
from gateway.identity.rows.things import find_thing, owned_things
from gateway.identity.rows.users import find_users, unverified_users
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Forbidden, Malformed, NotFound
from gateway.model.file import Scope
from gateway.model.paging import Page

SCOPE_KIND: Final = "groups"
DEEPEST: Final = 16
"""How deep groups may be nested; a page of them walks up from each."""


class Groups:
    """The groups. The bytes of a removed group's files may go ``grace_seconds`` later."""

    def __init__(self, database: Database, *, grace_seconds: float) -> None:
        self._database = database
        self._grace_seconds = grace_seconds

    async def create(self, caller: Principal, draft: GroupDraft) -> UUID:
        """A new group, which the caller owns; below a parent, only for its admins.

        Raises ``Malformed`` below one that is as deep as may be.
        """
        (group_id,) = await self.create_several(caller, [draft])
        return group_id

    async def create_several(
        self, caller: Principal, drafts: Sequence[GroupDraft]
    ) -> Sequence[UUID]:
        """All of the groups, or none."""
        owner, ids = maker_id(caller), [uuid4() for _ in drafts]
        async with self._database.transaction() as session:
            for group_id, draft in zip(ids, drafts, strict=True):
                if draft.parent_id is not None:
                    await check_group_role(session, caller, draft.parent_id, GroupRole.ADMIN)
                    await _check_depth(session, draft.parent_id)
                await rows.add_group(session, group_id, owner, draft)
                await rows.assign_user(session, group_id, owner, GroupRole.OWNER)
                await add_scope(session, scope_of(group_id), actor=caller.id)
        return ids

    async def get(self, caller: Principal, group_id: UUID) -> Group:
        """One group."""
        await check_group_role(self._database, caller, group_id, GroupRole.VIEWER)
        group = await rows.find_group(self._database, group_id)
        if group is None:
            raise NotFound()
        return group

    async def list(self, caller: Principal, listing: EntityListing) -> Page[Group]:
        """The groups that the caller is in."""
        return await rows.list_groups(self._database, owner_filter(caller), listing)

    async def list_related(
        self, caller: Principal, group_id: UUID, listing: EntityListing, *, above: bool, levels: int
    ) -> Page[Group]:
        """The group and those above or below it, ``levels`` of them, that the caller is in."""
        await check_group_role(self._database, caller, group_id, GroupRole.VIEWER)
        member = owner_filter(caller)
        return await rows.list_related(
            self._database, group_id, member, listing, above=above, levels=levels
        )

    async def list_of_member(
        self, caller: Principal, member_id: UUID, listing: EntityListing
    ) -> Page[Group]:
        """The groups of a user, for themselves and admins, or of a thing. Raises ``NotFound``."""
        if member_id == user_id(caller):
            return await rows.list_groups(self._database, member_id, listing)
        with contextlib.suppress(NotFound):
            return await self.list_of_thing(caller, member_id, listing)
        if not caller.is_admin:
            raise NotFound()
        return await rows.list_groups(self._database, member_id, listing)

    async def list_of_thing(
        self, caller: Principal, thing_id: UUID, listing: EntityListing
    ) -> Page[Group]:
        """The groups that the caller's thing is in, as far as the caller is in them too."""
        owner = owner_filter(caller)
        if await find_thing(self._database, thing_id, owner) is None:
            raise NotFound()
        return await rows.list_groups_of_thing(self._database, thing_id, owner, listing)

    async def amend(
        self,
        caller: Principal,
        group_id: UUID,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is given."""
        await check_group_role(self._database, caller, group_id, GroupRole.ADMIN)
        await rows.amend_group(
            self._database, group_id, name=name, description=description, metadata=metadata
        )

    async def remove(self, caller: Principal, group_id: UUID) -> None:
        """Remove the group and its files; its members stay."""
        async with self._database.transaction() as session:
            await rows.hold_group(session, group_id)
            await check_group_role(session, caller, group_id, GroupRole.OWNER)
            await rows.remove_group(session, group_id)
            await remove_scope(
                session, scope_of(group_id), actor=caller.id, grace_seconds=self._grace_seconds
            )

    async def role(self, caller: Principal, group_id: UUID) -> GroupRole:
        """The caller's role. Raises ``NotFound`` for no such group, or none of the caller's."""
        return await _role(self._database, caller, group_id)

    async def check_role(self, caller: Principal, group_id: UUID, needed: GroupRole) -> None:
        """Raise ``NotFound`` or ``Forbidden`` unless the caller has at least that role."""
        await check_group_role(self._database, caller, group_id, needed)

    async def memberships(self, caller: Principal) -> Sequence[Membership]:
        """The groups that the calling user is in, in order of their numbers."""
        return await rows.memberships(self._database, user_id(caller))

    async def check_numbers(self, caller: Principal, numbers: Collection[int]) -> None:
        """Raise ``NotFound`` unless each is of a group of the caller's; an admin is in all."""
        if not numbers:
            return
        if caller.is_admin:
            known = await rows.which_numbers_exist(self._database, list(numbers))
        else:
            known = frozenset(m.number for m in await self.memberships(caller))
        if not known.issuperset(numbers):
            raise NotFound()

    async def ids_of_thing(self, thing_id: UUID) -> tuple[UUID, ...]:
        """The thing's groups, earliest assignment first."""
        return await rows.groups_of_thing(self._database, thing_id)

    async def list_members(
        self, caller: Principal, group_id: UUID, kind: MemberKind, listing: EntityListing
    ) -> Page[Member]:
        """The things and users in the group."""
        await check_group_role(self._database, caller, group_id, GroupRole.VIEWER)
        return await rows.list_members(self._database, group_id, kind, listing)

    async def assign(
        self, caller: Principal, group_id: UUID, candidates: Sequence[Candidate]
    ) -> Sequence[Issued]:
        """Put all of the candidates into the group, or none; the roles of it that wait.

        A role waits that was given to the e-mail of somebody who has not shown that it is theirs.
        A thing must be the caller's own. Raises ``NotFound`` for a candidate who does not
        exist, ``Forbidden`` for a role above the caller's own, given or taken.
        """
        async with self._database.transaction() as session:
            creator = await rows.hold_group(session, group_id)
            own = await check_group_role(session, caller, group_id, GroupRole.ADMIN)
            found = await _resolve(session, caller, candidates)
            if creator in found.users and found.users[creator] is not GroupRole.OWNER:
                raise Forbidden()
            present = await rows.roles_of_users(session, group_id, list(found.users))
            check_ranks(own, (*found.users.values(), *present.values()))
            waiting = await unverified_users(session, list(found.by_email.keys() - present.keys()))
            return await _put(session, caller, group_id, found, waiting)

    async def unassign(
        self,
        caller: Principal,
        group_id: UUID,
        ids: Sequence[UUID],
        *,
        keep_things: bool = False,
    ) -> None:
        """Take things and users out of the group; whoever is not in it is no error.

        With users go the things that they own, unless they have a role there still;
        ``keep_things`` leaves them, if the caller leaves or is an admin of the gateway. Everybody
        but its creator may leave a group, and take their own things out of any; to take out
        others is for its admins.
        """
        async with self._database.transaction() as session:
            creator = await rows.hold_group(session, group_id)
            own_things = await owned_things(session, ids, user_id(caller))
            others = [member for member in ids if member not in own_things]
            if others:
                await _check_out(session, caller, group_id, others, creator)
            await drop_offers(session, GroupOrOrg(group_id=group_id), others)
            await rows.unassign(session, group_id, ids)
            may_keep = caller.is_admin or others == [user_id(caller)]
            gone: Sequence[UUID] = ()
            if others and not (keep_things and may_keep):
                gone = await rows.unassign_things_of(session, group_id, others)
            detail = {"members": _written(ids), "things": _written(gone)}
            await note(session, "unassigned", SCOPE_KIND, group_id, actor=caller.id, detail=detail)


async def _check_out(
    session: Queries,
    caller: Principal,
    group_id: UUID,
    members: Sequence[UUID],
    creator: UUID | None,
) -> None:
    """Raise ``NotFound`` or ``Forbidden`` unless the caller may take these out."""
    leaving = members == [user_id(caller)]
    needed = GroupRole.VIEWER if leaving else GroupRole.ADMIN
    own = await check_group_role(session, caller, group_id, needed)
    if creator in members:
        raise Forbidden()
    check_ranks(own, (await rows.roles_of_users(session, group_id, members)).values())


async def _put(
    session: Queries,
    caller: Principal,
    group_id: UUID,
    found: _Resolved,
    waiting: frozenset[UUID],
) -> Sequence[Issued]:
    target = GroupOrOrg(group_id=group_id)
    direct = {member: role for member, role in found.users.items() if member not in waiting}
    for thing_id in dict.fromkeys(found.things):
        await rows.assign_thing(session, group_id, thing_id)
    await drop_offers(session, target, list(direct))
    for member_id, role in direct.items():
        await rows.assign_user(session, group_id, member_id, role)
    detail = {
        "things": _written(found.things),
        "users": {str(member): role.name.lower() for member, role in direct.items()},
    }
    await note(session, "assigned", SCOPE_KIND, group_id, actor=caller.id, detail=detail)
    return [
        await offer(session, caller, found.by_email[member], found.users[member], target)
        for member in found.users
        if member in waiting
    ]


def _written(ids: Iterable[UUID]) -> list[str]:
    return [str(member) for member in ids]


async def _role(queries: Queries, caller: Principal, group_id: UUID) -> GroupRole:
    exists, role = await rows.find_role(queries, group_id, user_id(caller))
    return role_of_caller(caller, exists=exists, role=role)


async def check_group_role(
    queries: Queries, caller: Principal, group_id: UUID, needed: GroupRole
) -> GroupRole:
    """The caller's role. Raises ``NotFound`` or ``Forbidden`` unless it is at least that."""
    role = await _role(queries, caller, group_id)
    if not role.includes(needed):
        raise Forbidden()
    return role


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The things, the role that each user is to have, and those who were named by e-mail alone."""

    things: list[UUID]
    users: dict[UUID, GroupRole]
    by_email: dict[UUID, User]


async def _resolve(
    queries: Queries, caller: Principal, candidates: Sequence[Candidate]
) -> _Resolved:
    """Whom the candidates name. Raises ``NotFound``."""
    ids = [c.id for c in candidates if c.id is not None]
    owned = await owned_things(queries, ids, owner_filter(caller))
    emails = [c.email for c in candidates if c.email is not None]
    by_id, by_email = await find_users(queries, ids, emails)
    found = _Resolved([], {}, {})
    for candidate in candidates:
        named = by_email.get(candidate.email) if candidate.email else None
        user = named or (by_id.get(candidate.id) if candidate.id else None)
        if candidate.id in owned:
            found.things.append(candidate.id)
        elif user is not None:
            found.users[user.id] = candidate.role
            if named is not None and named.id not in by_id:
                found.by_email[named.id] = named
        else:
            raise NotFound()
    return found


async def _check_depth(session: Queries, parent_id: UUID) -> None:
    """Raise ``Malformed`` if there may be nothing below that group."""
    if await rows.depth_of(session, parent_id) >= DEEPEST:
        raise Malformed(f"groups are nested {DEEPEST} deep at most")


def scope_of(group_id: UUID) -> Scope:
    """Where the group's files live."""
    return Scope(SCOPE_KIND, str(group_id))
