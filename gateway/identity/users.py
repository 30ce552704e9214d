"""Users: registering, logging in, proving a token; and the first administrator.

Knows who may make which account; does not know how rows are kept or hashes made.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.events import COMMAND, note
from gateway.database.pool import Database, Queries
from gateway.identity.audit import Audit
from gateway.identity.common import is_common
from gateway.identity.emails import check_email, check_written, domain_of
from gateway.identity.invitations import take_to_account
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import NewAdmin, User
from gateway.identity.rights import GUEST_ROLE, REGISTRAR_ROLE, owner_filter, user_id
from gateway.identity.rows import keys as key_rows
from gateway.identity.rows import users as rows
from gateway.identity.rows.invitations import drop_invitations_of
from gateway.identity.secrets import Passwords, check_password
from gateway.identity.tokens import LOGIN, TokenClaims, Tokens
from gateway.model.access import ADMIN_ROLE, Principal, PrincipalKind
from gateway.model.errors import AccountLocked, Forbidden, Malformed, NotFound, Unauthenticated
from gateway.model.file import Scope
from gateway.model.paging import Page

SCOPE_KIND: Final = "users"
USER_ROLE: Final = "user"
DEFAULT_ADMIN_EMAIL: Final = "admin@example.com"
_LONGEST_EMAIL: Final = 255


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """Who may make an account.

    ``is_open`` to anybody, or to those whose e-mail is of one of ``domains``, if there are any.
    On a ``trial``, where only this machine reaches the gateway, what anybody says of themselves is
    believed, and any password of eight characters will do.
    """

    is_open: bool = True
    trial: bool = True
    domains: frozenset[str] = frozenset()


class Users:
    """The accounts, made by the rules of registration."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        tokens: Tokens,
        audit: Audit,
        *,
        rules: RegistrationRules,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._audit = audit
        self._rules = rules

    @property
    def open_registration(self) -> bool:
        """Whether anybody may make an account."""
        return self._rules.is_open

    async def register(
        self,
        email: str,
        password: str,
        metadata: Mapping[str, Any],
        *,
        creator: Principal | None = None,
        invitation: str = "",
    ) -> User:
        """A new account. Raises ``Conflict`` if the e-mail has one already.

        With an ``invitation``, the token of one, for whom that is made; else as ``check_creator``
        says, and, where nobody makes it, for the e-mails that are let in. Whom nobody asked is a
        newcomer, with the quotas of those. Raises ``Forbidden``.
        """
        address = check_email(email)
        if not invitation:
            self.check_creator(creator)
            if creator is None:
                self._check_domain(address)
        hashed = await self._passwords.hash(self.checked(password, address))
        sure = creator is not None or bool(invitation) or self._rules.trial
        newcomer = not invitation and (creator is None or not may_make_accounts(creator))
        async with self._database.transaction() as session:
            if invitation and not await take_to_account(session, invitation, address):
                raise Forbidden("the invitation does not hold")
            user = await rows.add_user(
                session, uuid4(), address, hashed, metadata, verified=sure, newcomer=newcomer
            )
            detail = {"email": address, "verified": sure, "invited": bool(invitation)}
            actor = creator.id if creator else str(user.id)
            await note(session, "registered", SCOPE_KIND, user.id, actor=actor, detail=detail)
        return user

    def check_creator(self, creator: Principal | None) -> None:
        """Raise ``Unauthenticated`` or ``Forbidden`` unless ``creator`` may make accounts."""
        if self._rules.is_open:
            return
        if creator is None:
            raise Unauthenticated()
        if not may_make_accounts(creator):
            raise Forbidden()

    def checked(self, password: object, email: str) -> str:
        """The password itself, for that account. Raises ``Malformed`` if it is easily guessed."""
        password = check_password(password)
        if not self._rules.trial and is_common(password, email):
            raise Malformed("that password is among those that are tried first: take another")
        return password

    def _check_domain(self, email: str) -> None:
        if self._rules.domains and domain_of(email) not in self._rules.domains:
            raise Forbidden("registration is not open to e-mail addresses of that domain")

    async def log_in(self, email: str, password: str) -> str:
        """A token.

        Raises ``Unauthenticated``, alike for a wrong e-mail and password; ``AccountLocked`` only
        to who knows the password.
        """
        try:
            check_written(email)
            user = await rows.find_user_by_email(self._database, email)
        except Malformed:
            user = None
        known = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not known:
            await self._note_attempt("login-failed", email, user)
            raise Unauthenticated()
        if user.locked:
            await self._note_attempt("login-refused", email, user)
            raise AccountLocked()
        if self._passwords.is_outdated(user.password_hash):
            hashed = await self._passwords.hash(password)
            await rows.rehash_password(self._database, user, hashed)
        await self._audit.note_attempt("logged-in", SCOPE_KIND, user.id, actor=str(user.id))
        return self._tokens.issue(_claims(user))

    async def _note_attempt(self, event: str, email: str, user: User | None) -> None:
        """Nobody has proved to be anybody: the row says what was tried."""
        tried = email[:_LONGEST_EMAIL].encode("utf-8", "replace").decode().replace("\0", "?")
        owner = user.id if user else ""
        await self._audit.note_attempt(event, SCOPE_KIND, owner, actor="", email=tried)

    async def prove(self, claims: TokenClaims) -> Principal:
        """The user whose login token says this. Raises ``Unauthenticated`` if it is over."""
        user = await rows.find_user_of_token(self._database, claims.user_id, claims.token_id)
        if user is None or claims.type != LOGIN or claims.valid_from != user.tokens_valid_from:
            raise Unauthenticated()
        return principal_of(user)

    async def end_session(self, claims: TokenClaims) -> None:
        """End the login that this token is of. Raises ``Unauthenticated`` for an API key."""
        if claims.key_id is not None or claims.token_id is None or claims.expires_at is None:
            raise Unauthenticated()
        expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
        user = claims.user_id
        async with self._database.transaction() as session:
            await rows.end_token(session, claims.token_id, expires_at, user)
            await note(session, "logged-out", SCOPE_KIND, user, actor=str(user))

    async def end_sessions(self, caller: Principal) -> None:
        """End every login of the caller; API keys live on."""
        async with self._database.transaction() as session:
            await rows.end_tokens(session, user_id(caller))
            await note(session, "sessions-ended", SCOPE_KIND, caller.id, actor=caller.id)

    async def end_all(self, caller: Principal, wanted: UUID) -> None:
        """End every login and every key of an account: one's own, or any for an admin.

        Raises ``NotFound``.
        """
        if owner_filter(caller) not in (None, wanted):
            raise NotFound()
        async with self._database.transaction() as session:
            await end_everything(session, wanted, actor=caller.id)

    async def lock(
        self, caller: Principal, wanted: UUID, *, locked: bool, things: bool = False
    ) -> None:
        """Lock an account, so that no credential of it proves anything, or unlock it.

        With ``things`` the keys of its things prove nothing either. Only an admin does so, and
        not to oneself. Raises ``Forbidden``, ``NotFound``.
        """
        if not caller.is_admin or wanted == user_id(caller):
            raise Forbidden()
        await self._lock(wanted, locked=locked, things=things, actor=caller.id)

    async def _lock(self, wanted: UUID, *, locked: bool, things: bool, actor: str) -> None:
        async with self._database.transaction() as session:
            if not await rows.lock_user(session, wanted, locked=locked, things=things):
                raise NotFound()
            event = "disabled" if locked else "enabled"
            await note(session, event, SCOPE_KIND, wanted, actor=actor, detail={"things": things})

    async def numbers_of(self, ids: Collection[UUID]) -> Mapping[UUID, int]:
        """The numbers of these accounts, by id; of those that there are."""
        by_id, _ = await rows.find_users(self._database, list(ids), [])
        return {found: user.number for found, user in by_id.items()}

    async def find_by_number(self, number: int) -> User:
        """The account of that number. Raises ``NotFound``."""
        user = await rows.find_user_by_number(self._database, number)
        if user is None:
            raise NotFound()
        return user

    async def get(self, caller: Principal, wanted: UUID) -> User:
        """An account: one's own, or any to an admin. Raises ``NotFound``."""
        if owner_filter(caller) not in (None, wanted):
            raise NotFound()
        user = await rows.find_user(self._database, wanted)
        if user is None:
            raise NotFound()
        return user

    async def list(self, caller: Principal, listing: EntityListing) -> Page[User]:
        """The accounts that the caller may see."""
        return await rows.list_users(self._database, owner_filter(caller), listing)

    async def amend(self, caller: Principal, metadata: Mapping[str, Any]) -> None:
        """Replace the caller's own metadata."""
        if not await rows.amend_user(self._database, user_id(caller), metadata):
            raise NotFound()

    async def change_password(
        self, caller: Principal, old: str, new: str, *, end_keys: bool = False
    ) -> None:
        """Replace the caller's own password, which ends every token issued so far.

        With ``end_keys`` every key, too. Raises ``Unauthenticated`` unless ``old`` is the present
        one.
        """
        self.checked(new, caller.email)
        user = await rows.find_user(self._database, user_id(caller))
        if user is None or not await self._passwords.verify(old, user.password_hash):
            raise Unauthenticated()
        hashed = await self._passwords.hash(new)
        async with self._database.transaction() as session:
            if not await rows.change_password(session, user, hashed):
                raise Unauthenticated()
            await rows.drop_resets(session, user.id)
            await note(session, "password-changed", SCOPE_KIND, user.id, actor=caller.id)
            if end_keys:
                await end_everything(session, user.id, actor=caller.id)

    # Those that an operator asks for on the machine itself, where there is no caller.

    async def list_admins(self) -> Sequence[User]:
        """Every administrator, by e-mail."""
        return await rows.list_admins(self._database)

    async def appoint(self, email: str, password: str) -> User:
        """Make an administrator; an account that has the e-mail becomes one.

        Its logins and keys end then. Raises ``Malformed`` for a bad e-mail or password.
        """
        address = check_email(email)
        hashed = await self._passwords.hash(check_password(password))
        async with self._database.transaction() as session:
            return await _appoint(session, address, hashed)

    async def reset_password(self, email: str, password: str, *, end_keys: bool = False) -> User:
        """Give an account a new password and end its logins, and with ``end_keys`` its keys.

        Raises ``NotFound``, ``Malformed``.
        """
        user = await self.find_by_email(email)
        hashed = await self._passwords.hash(check_password(password))
        async with self._database.transaction() as session:
            if not await rows.reset_password(session, user.id, hashed):
                raise NotFound()
            await note(session, "password-reset", SCOPE_KIND, user.id, actor=COMMAND)
            if end_keys:
                await end_everything(session, user.id, actor=COMMAND)
        return user

    async def lock_by_email(self, email: str, *, locked: bool, things: bool = False) -> User:
        """Lock the account, so that no credential of it proves anything, or unlock it.

        Raises ``NotFound``.
        """
        user = await self.find_by_email(email)
        await self._lock(user.id, locked=locked, things=things, actor=COMMAND)
        return user

    async def end_all_by_email(self, email: str) -> User:
        """End every login and every key of the account. Raises ``NotFound``."""
        user = await self.find_by_email(email)
        async with self._database.transaction() as session:
            await end_everything(session, user.id, actor=COMMAND)
        return user

    async def find_by_email(self, email: str) -> User:
        """The account of that e-mail. Raises ``NotFound``."""
        check_written(email)
        user = await rows.find_user_by_email(self._database, email)
        if user is None:
            raise NotFound()
        return user

    async def ensure_admin(self, email: str | None, password: str | None) -> NewAdmin | None:
        """Create the first administrator, unless there is one; ``None`` if there is.

        What is not given is made up. Safe on any number of workers at once: one of them
        creates, the others get ``None``. Raises ``Malformed`` for a bad e-mail or password.
        """
        address = check_email(email or DEFAULT_ADMIN_EMAIL)
        secret = check_password(password or secrets.token_urlsafe(18))
        if await rows.has_admin(self._database):
            return None
        hashed = await self._passwords.hash(secret)
        async with self._database.transaction() as session:
            await session.row("wait_for_first_admin")
            if await rows.has_admin(session):
                return None
            await _appoint(session, address, hashed)
        return NewAdmin(address, None if password else secret)


def may_make_accounts(creator: Principal) -> bool:
    """Whether the caller may make accounts for others, wherever registration is closed."""
    return creator.is_admin or REGISTRAR_ROLE in creator.allowed_roles


def principal_of(user: User) -> Principal:
    """The user as a caller. Raises ``Unauthenticated`` if the account is locked."""
    if user.locked:
        raise Unauthenticated()
    role = USER_ROLE if user.member else GUEST_ROLE
    further = (REGISTRAR_ROLE,) if user.registrar else ()
    roles = (ADMIN_ROLE, USER_ROLE) if user.admin else (role, *further)
    return Principal(PrincipalKind.USER, str(user.id), roles[0], roles, user.email, user.number)


def scope_of(owner: UUID) -> Scope:
    """Where the user's own files live."""
    return Scope(SCOPE_KIND, str(owner))


def _claims(user: User) -> TokenClaims:
    return TokenClaims(user.id, user.email, user.tokens_valid_from)


async def _appoint(session: Queries, email: str, hashed: str) -> User:
    await rows.make_admin(session, uuid4(), email, hashed)
    user = await rows.find_user_by_email(session, email)
    assert user is not None, "that is who was made"
    detail = {"email": email}
    await note(session, "made-admin", SCOPE_KIND, user.id, actor=COMMAND, detail=detail)
    return user


async def end_everything(session: Queries, wanted: UUID, *, actor: str) -> None:
    """End all logins, keys, and what else proves to be the user. Raises ``NotFound``."""
    if await rows.find_user(session, wanted) is None:
        raise NotFound()
    await rows.end_tokens(session, wanted)
    await rows.end_keys(session, wanted)
    await rows.drop_resets(session, wanted)
    await drop_invitations_of(session, wanted)
    count = await key_rows.remove_keys(session, wanted)
    await note(session, "all-ended", SCOPE_KIND, wanted, actor=actor, detail={"keys": count})
