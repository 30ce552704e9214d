"""A way back for whoever lost their password: a one-time token that an administrator makes.

No mail is sent from here, so asking for a new password only leaves a word for the administrators,
in the audit. One of them makes the token and sees to it that the right person gets it.

Rule: who asks is answered alike whether or not there is such an account. A token works once, and
ends every login; keys live on unless they are to end, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.database.events import note
from gateway.database.pool import Database
from gateway.identity.audit import Audit
from gateway.identity.records.users import User
from gateway.identity.rights import check_admin
from gateway.identity.rows import users as rows
from gateway.identity.secrets import Passwords, new_one_time_token, one_time_digest
from gateway.identity.tokens import utc_now
from gateway.identity.users import SCOPE_KIND, Users, end_everything
from gateway.model.access import Principal
from gateway.model.errors import Forbidden, Malformed, NotFound

RESET_SECONDS: Final = 86_400.0
_LONGEST_EMAIL: Final = 255


class Recovery:
    """Tokens for new passwords, at most one a user."""

    def __init__(
        self,
        database: Database,
        users: Users,
        passwords: Passwords,
        audit: Audit,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._users = users
        self._passwords = passwords
        self._audit = audit
        self._clock = clock

    async def ask(self, email: str) -> None:
        """Somebody says that they lost their password. Says nothing to them."""
        owner: UUID | str = ""
        with contextlib.suppress(NotFound, Malformed):
            owner = (await self._users.find_by_email(email)).id
        tried = email[:_LONGEST_EMAIL].encode("utf-8", "replace").decode().replace("\0", "?")
        await self._audit.note_attempt("reset-asked", SCOPE_KIND, owner, actor="", email=tried)

    async def issue(self, caller: Principal, email: str) -> tuple[User, str, datetime]:
        """A token for the account of that e-mail, shown only now, and when it is over.

        An earlier one is over at once. Raises ``Forbidden`` unless an admin asks, ``NotFound``.
        """
        check_admin(caller)
        user = await self._users.find_by_email(email)
        token, digest = new_one_time_token()
        expires_at = self._clock() + timedelta(seconds=RESET_SECONDS)
        async with self._database.transaction() as session:
            await rows.add_reset(session, user.id, digest, expires_at)
            await note(session, "reset-issued", SCOPE_KIND, user.id, actor=caller.id)
        return user, token, expires_at

    async def reset(self, token: str, password: str, *, end_keys: bool = False) -> None:
        """Set the password of whom the token was made for; every login ends.

        Raises ``Forbidden`` for a token that does not hold, ``Malformed`` for the password.
        """
        digest = one_time_digest(token)
        user = await rows.find_reset(self._database, digest)
        if user is None:
            raise Forbidden("the token does not hold")
        hashed = await self._passwords.hash(self._users.checked(password, user.email))
        async with self._database.transaction() as session:
            if not await rows.use_reset(session, digest):
                raise Forbidden("the token does not hold")
            await rows.reset_password(session, user.id, hashed)
            await note(session, "password-reset", SCOPE_KIND, user.id, actor=str(user.id))
            if end_keys:
                await end_everything(session, user.id, actor=str(user.id))

    async def tidy(self) -> None:
        """Forget tokens that are over."""
        await rows.drop_old_resets(self._database)
