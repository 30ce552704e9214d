"""Users: registering, logging in, proving a token; and the first administrator.

Knows the rules for e-mails and passwords; does not know how rows are kept or hashes made.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.pool import Database
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import NewAdmin, User
from gateway.identity.rights import GUEST_ROLE, owner_filter, user_id
from gateway.identity.rows import users as rows
from gateway.identity.secrets import Passwords, check_password
from gateway.identity.tokens import LOGIN, TokenClaims, Tokens
from gateway.model.access import ADMIN_ROLE, Principal, PrincipalKind
from gateway.model.errors import AccountLocked, Forbidden, Malformed, NotFound, Unauthenticated
from gateway.model.file import Scope
from gateway.model.paging import Page

SCOPE_KIND: Final = "users"
USER_ROLE: Final = "user"
REGISTRAR_ROLE: Final = "registrar"
DEFAULT_ADMIN_EMAIL: Final = "admin@example.com"
_EMAIL_CHARACTER: Final = r"[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_EMAIL: Final = re.compile(f"{_EMAIL_CHARACTER}{{1,64}}@{_EMAIL_CHARACTER}{{1,189}}")


class Users:
    """The accounts. With ``open_registration`` anybody may create one, else who is allowed."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        tokens: Tokens,
        *,
        open_registration: bool = True,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self.open_registration = open_registration

    async def register(
        self,
        email: str,
        password: str,
        metadata: Mapping[str, Any],
        *,
        creator: Principal | None = None,
    ) -> User:
        """A new account. Raises ``Conflict`` if the e-mail has one already."""
        self.check_creator(creator)
        hashed = await self._passwords.hash(check_password(password))
        return await rows.add_user(self._database, uuid4(), check_email(email), hashed, metadata)

    def check_creator(self, creator: Principal | None) -> None:
        """Raise ``Unauthenticated`` or ``Forbidden`` unless ``creator`` may make accounts."""
        if self.open_registration:
            return
        if creator is None:
            raise Unauthenticated()
        if not creator.is_admin and REGISTRAR_ROLE not in creator.allowed_roles:
            raise Forbidden()

    async def log_in(self, email: str, password: str) -> str:
        """A token.

        Raises ``Unauthenticated``, alike for a wrong e-mail and password; ``AccountLocked`` only
        to who knows the password.
        """
        try:
            user = await rows.find_user_by_email(self._database, check_email(email))
        except Malformed:
            user = None
        known = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not known:
            raise Unauthenticated()
        if user.locked:
            raise AccountLocked()
        return self._tokens.issue(_claims(user))

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
        await rows.end_token(self._database, claims.token_id, expires_at, claims.user_id)

    async def end_sessions(self, caller: Principal) -> None:
        """End every login of the caller; API keys live on."""
        await rows.end_tokens(self._database, user_id(caller))

    async def lock(self, caller: Principal, wanted: UUID, *, locked: bool) -> None:
        """Lock an account, so that no credential of it proves anything, or unlock it.

        Only an admin does so, and not to oneself. Raises ``Forbidden``, ``NotFound``.
        """
        if not caller.is_admin or wanted == user_id(caller):
            raise Forbidden()
        if not await rows.lock_user(self._database, wanted, locked=locked):
            raise NotFound()

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

    async def change_password(self, caller: Principal, old: str, new: str) -> None:
        """Replace the caller's own password, which ends every token issued so far.

        Raises ``Unauthenticated`` unless ``old`` is the present one.
        """
        check_password(new)
        user = await rows.find_user(self._database, user_id(caller))
        if user is None or not await self._passwords.verify(old, user.password_hash):
            raise Unauthenticated()
        hashed = await self._passwords.hash(new)
        if not await rows.change_password(self._database, user, hashed):
            raise Unauthenticated()

    # Those that an operator asks for on the machine itself, where there is no caller.

    async def list_admins(self) -> Sequence[User]:
        """Every administrator, by e-mail."""
        return await rows.list_admins(self._database)

    async def appoint(self, email: str, password: str) -> User:
        """Make an administrator; an account that has the e-mail becomes one, and its logins end.

        Raises ``Malformed`` for a bad e-mail or password.
        """
        hashed = await self._passwords.hash(check_password(password))
        await rows.make_admin(self._database, uuid4(), check_email(email), hashed)
        return await self.find_by_email(email)

    async def reset_password(self, email: str, password: str) -> User:
        """Give an account a new password and end its logins; API keys live on.

        Raises ``NotFound``, ``Malformed``.
        """
        user = await self.find_by_email(email)
        hashed = await self._passwords.hash(check_password(password))
        if not await rows.reset_password(self._database, user.id, hashed):
            raise NotFound()
        return user

    async def lock_by_email(self, email: str, *, locked: bool) -> User:
        """Lock the account, so that no credential of it proves anything, or unlock it.

        Raises ``NotFound``.
        """
        user = await self.find_by_email(email)
        if not await rows.lock_user(self._database, user.id, locked=locked):
            raise NotFound()
        return user

    async def find_by_email(self, email: str) -> User:
        """The account of that e-mail. Raises ``NotFound``."""
        user = await rows.find_user_by_email(self._database, check_email(email))
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
            await rows.make_admin(session, uuid4(), address, hashed)
        return NewAdmin(address, None if password else secret)


def check_email(email: object) -> str:
    """The e-mail in lower case, if it looks like one. Raises ``Malformed``."""
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        raise Malformed("malformed e-mail address")
    return email.lower()


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
