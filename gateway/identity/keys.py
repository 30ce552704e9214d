"""API keys: tokens that users issue to programs, and may take back.

A key outlives a change of its user's password; it ends when it expires, when it is
revoked, or with the key that it was issued with.

Rule: a key is valid because its row is there. Nothing about it is remembered elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from gateway.database.pool import Database, Unrelated
from gateway.identity.records.keys import ApiKey, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.rights import owner_filter, user_id
from gateway.identity.rows import keys as rows
from gateway.identity.rows.users import find_user
from gateway.identity.tokens import TokenClaims, Tokens
from gateway.identity.users import principal_of
from gateway.model.access import Principal
from gateway.model.errors import NotFound, Unauthenticated
from gateway.model.paging import Page

RECOVERY_SECONDS: Final = 300
LONGEST_SECONDS: Final = 100 * 365 * 24 * 3600


class Keys:
    """The keys. A user issues, sees and revokes their own; an admin sees and revokes all."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        *,
        login_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._longest: Mapping[KeyType, float | None] = {
            KeyType.LOGIN: login_seconds,
            KeyType.RECOVERY: RECOVERY_SECONDS,
            KeyType.API: None,
        }
        self._clock = clock

    async def issue(
        self, caller: Principal, kind: KeyType, duration_seconds: int
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is shown only now.

        A ``duration_seconds`` of 0 is the longest that the kind allows; an API key of
        that duration never expires. With a key as the credential, the new one ends with it.
        """
        owner = user_id(caller)
        parent = UUID(caller.key_id) if caller.key_id else None
        now = self._clock()
        expires = self._expiry(kind, duration_seconds, now)
        key = ApiKey(uuid4(), owner, caller.email, kind, now, expires)
        async with self._database.transaction() as session:
            await rows.forget_old_keys(session, owner)
            user = await find_user(session, owner)
            if user is None:
                raise Unauthenticated()
            try:
                key = await rows.add_key(session, key, parent)
            except Unrelated as exc:
                raise Unauthenticated() from exc
        claims = TokenClaims(owner, user.email, user.tokens_valid_from, kind.value, key.id)
        return key, self._tokens.issue(claims, expires_at=key.expires_at)

    async def get(self, caller: Principal, key_id: UUID) -> ApiKey:
        """One key, without its text. Raises ``NotFound``."""
        key = await rows.find_key(self._database, key_id, owner_filter(caller))
        if key is None:
            raise NotFound()
        return key

    async def list(self, caller: Principal, listing: EntityListing) -> Page[ApiKey]:
        """The caller's own keys."""
        return await rows.list_keys(self._database, user_id(caller), listing)

    async def revoke(self, caller: Principal, key_id: UUID) -> None:
        """End a key, and those issued with it. Raises ``NotFound``."""
        if not await rows.remove_key(self._database, key_id, owner_filter(caller)):
            raise NotFound()

    async def prove(self, claims: TokenClaims) -> Principal:
        """The user whose key says this. Raises ``Unauthenticated`` if it is over or revoked."""
        if claims.key_id is None or claims.type == KeyType.RECOVERY:
            raise Unauthenticated()
        user = await rows.find_user_by_key(self._database, claims.key_id)
        if user is None or user.id != claims.user_id:
            raise Unauthenticated()
        return principal_of(user)

    def _expiry(self, kind: KeyType, duration_seconds: int, now: datetime) -> datetime | None:
        longest = self._longest[kind]
        seconds = min(duration_seconds or LONGEST_SECONDS, longest or LONGEST_SECONDS)
        if longest is None and not duration_seconds:
            return None
        return now + timedelta(seconds=seconds)


def with_key(principal: Principal, claims: TokenClaims) -> Principal:
    """The caller, and which key says so for how long."""
    key_id = str(claims.key_id) if claims.key_id else ""
    return replace(principal, key_id=key_id, valid_until=claims.expires_at)
