"""Invitations: one-time tokens, which show that an e-mail address is somebody's own.

An invitation to an account is made by who may make accounts. Whoever has its token registers with
it, even where registration is closed; or an account that is there already and has not shown that
its address is its own shows it so.

A role that is given to the e-mail of such an account waits: whoever gives it gets a token to send
to the address, and the account that shows it has the role. Else a role meant for one person would
be had by whoever was first to register that person's address. No mail is sent from here.

Rule: a token is kept as a digest, works once, for that address only, until it expires, and only as
long as whoever made it may still give what it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from gateway.database.events import COMMAND, note
from gateway.database.pool import Database, Queries
from gateway.identity.emails import check_email, forms_of
from gateway.identity.records.invitations import GroupOrOrg, Invitation, Issued
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.identity.rights import REGISTRAR_ROLE, owner_filter, user_id
from gateway.identity.rows import groups as group_rows
from gateway.identity.rows import invitations as rows
from gateway.identity.rows import orgs as org_rows
from gateway.identity.rows.users import find_user_by_email, unverified_users, verify_user
from gateway.identity.secrets import new_one_time_token, one_time_digest
from gateway.identity.tokens import utc_now
from gateway.model.access import ADMIN_ROLE, GroupRole, Principal
from gateway.model.errors import Conflict, Forbidden, NotFound
from gateway.model.paging import Page

INVITATION_SECONDS: Final = 7 * 86_400.0
LONGEST_SECONDS: Final = 90 * 86_400
_KIND: Final = "invitations"


class Invitations:
    """The invitations that nobody has taken yet."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def invite(
        self, caller: Principal | None, email: str, seconds: float = INVITATION_SECONDS
    ) -> Issued:
        """Invite to an account; without a caller, by a command.

        Raises ``Forbidden`` unless the caller may make accounts, ``Conflict`` if the e-mail has
        one that has shown that it is its own.
        """
        if caller is not None and not {ADMIN_ROLE, REGISTRAR_ROLE} & set(caller.allowed_roles):
            raise Forbidden()
        address, (token, digest) = check_email(email), new_one_time_token()
        actor = COMMAND if caller is None else caller.id
        inviter = None if caller is None else user_id(caller)
        expires_at = self._clock() + timedelta(seconds=seconds)
        async with self._database.transaction() as session:
            user = await find_user_by_email(session, address)
            if user is not None and not await unverified_users(session, [user.id]):
                raise Conflict()
            made = await rows.add_invitation(session, uuid4(), address, digest, inviter, expires_at)
            await note(session, "invited", _KIND, made.id, actor=actor, detail={"email": address})
        return Issued(made, token)

    async def accept(self, caller: Principal, token: str) -> Invitation:
        """Take what the token gives. Raises ``NotFound`` for one that is not the caller's."""
        async with self._database.transaction() as session:
            found = await rows.find_by_digest(session, one_time_digest(token))
            if found is None or not _is_for(found, caller):
                raise NotFound()
            if found.role is None:
                await _verify(session, caller)
            else:
                await _join(session, found, user_id(caller))
            await rows.remove_invitation(session, found.id)
            await note(session, "accepted", _KIND, found.id, actor=caller.id, detail=_noted(found))
        return found

    async def list(self, caller: Principal, listing: EntityListing) -> Page[Invitation]:
        """Those that the caller made, or that are to them; all, for an admin."""
        return await rows.list_invitations(self._database, owner_filter(caller), listing)

    async def revoke(self, caller: Principal, invitation_id: UUID) -> None:
        """Take one back: for who made it, whom it is to, and admins. Raises ``NotFound``."""
        async with self._database.transaction() as session:
            found = await rows.find_invitation(session, invitation_id)
            own = found is not None and (
                caller.is_admin or caller.email in (found.inviter, found.email)
            )
            if not own or not await rows.remove_invitation(session, invitation_id):
                raise NotFound()
            await note(session, "revoked", _KIND, invitation_id, actor=caller.id)

    async def tidy(self) -> None:
        """Forget those that are long over."""
        await rows.drop_old_invitations(self._database)


async def offer(
    session: Queries, caller: Principal, user: User, role: GroupRole, target: GroupOrOrg
) -> Issued:
    """A role that waits for that user, in place of any that waited there before."""
    token, digest = new_one_time_token()
    expires_at = utc_now() + timedelta(seconds=INVITATION_SECONDS)
    made = await rows.add_offer(
        session, uuid4(), user, digest, user_id(caller), expires_at, target, role
    )
    await note(session, "offered", _KIND, made.id, actor=caller.id, detail=_noted(made))
    return Issued(made, token)


async def take_to_account(session: Queries, token: str, email: str) -> bool:
    """Use an invitation to make the account of that e-mail; whether it holds."""
    found = await rows.find_by_digest(session, one_time_digest(token))
    if found is None or found.role is not None or found.email != email:
        return False
    return await rows.remove_invitation(session, found.id)


async def _verify(session: Queries, caller: Principal) -> None:
    """The caller's address is their own: what waited for that is theirs now."""
    await verify_user(session, user_id(caller))
    for waiting in await rows.offers_to(session, user_id(caller)):
        await _join(session, waiting, user_id(caller))
        await rows.remove_invitation(session, waiting.id)


async def _join(session: Queries, found: Invitation, user: UUID) -> None:
    assert found.role is not None, "an offer has a role"
    if found.group_id is not None:
        await group_rows.assign_user(session, found.group_id, user, found.role)
    elif found.org_id is not None:
        await org_rows.assign_user(session, found.org_id, user, found.role)


def _is_for(found: Invitation, caller: Principal) -> bool:
    if found.user_id is not None:
        return str(found.user_id) == caller.id
    return caller.email in forms_of(found.email)


def _noted(found: Invitation) -> dict[str, object]:
    return {
        "email": found.email,
        "role": found.role.name.lower() if found.role else "",
        "group": str(found.group_id or ""),
        "org": str(found.org_id or ""),
    }
