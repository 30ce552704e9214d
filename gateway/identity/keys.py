"""API keys: tokens that users issue to programs, and may take back.

A key outlives a change of its user's password; it ends when it expires, when it is
revoked, with the key that it was issued with, and with the group or thing that it is limited to.

When a key was last used is remembered where it is proved, and written now and then: a request
does not wait for it.

Rule: a key is valid because its row is there. Nothing about it is remembered elsewhere. A key that
is limited issues none, so that nothing it could issue reaches further.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries, Unrelated
from gateway.identity.groups import check_group_role
from gateway.identity.records.keys import ApiKey, KeyDraft, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.rights import owner_filter, user_id
from gateway.identity.rows import keys as rows
from gateway.identity.rows.things import find_thing
from gateway.identity.rows.users import find_user
from gateway.identity.tokens import TokenClaims, Tokens
from gateway.identity.users import principal_of
from gateway.model.access import GroupRole, KeyLimits, Principal
from gateway.model.errors import Forbidden, Malformed, NotFound, Unauthenticated
from gateway.model.paging import Page

RECOVERY_SECONDS: Final = 300
LONGEST_SECONDS: Final = 100 * 365 * 24 * 3600
_USES: Final = 50_000
_KIND: Final = "keys"


class Keys:
    """The keys. A user issues, sees and revokes their own; an admin sees and revokes all.

    An API key lives for ``longest_seconds`` at most, if that is not 0.
    """

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        *,
        login_seconds: float,
        longest_seconds: float = 0,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._longest: Mapping[KeyType, float | None] = {
            KeyType.LOGIN: login_seconds,
            KeyType.RECOVERY: RECOVERY_SECONDS,
            KeyType.API: longest_seconds or None,
        }
        self._clock = clock
        self._uses: dict[UUID, datetime] = {}

    async def issue(self, caller: Principal, draft: KeyDraft) -> tuple[ApiKey, str]:
        """A new key and its text, which is shown only now.

        A ``duration_seconds`` of 0 is the longest that the kind allows; an API key of
        that duration never expires. With a key as the credential, the new one ends with it.
        Raises ``Forbidden`` for one that is limited, and ``NotFound`` for limits that name what
        the caller cannot see.
        """
        owner = user_id(caller)
        if caller.limits is not None:
            raise Forbidden()
        now = self._clock()
        expires = self._expiry(draft.type, draft.duration_seconds, now)
        key = ApiKey(
            uuid4(), owner, caller.email, draft.type, now, expires, draft.label, draft.limits
        )
        async with self._database.transaction() as session:
            key, valid_from = await _add(session, caller, key)
        claims = TokenClaims(owner, caller.email, valid_from, draft.type.value, key.id)
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

    async def list_of(self, caller: Principal, owner: UUID, listing: EntityListing) -> Page[ApiKey]:
        """The keys of a user, for themselves and administrators. Raises ``NotFound``."""
        if owner_filter(caller) not in (None, owner):
            raise NotFound()
        return await rows.list_keys(self._database, owner, listing)

    async def revoke(self, caller: Principal, key_id: UUID) -> None:
        """End a key, and those issued with it. Raises ``NotFound``."""
        async with self._database.transaction() as session:
            key = await rows.find_key(session, key_id, owner_filter(caller))
            if key is None or not await rows.remove_key(session, key_id, owner_filter(caller)):
                raise NotFound()
            detail = {"user": str(key.user_id)}
            await note(session, "revoked", _KIND, key_id, actor=caller.id, detail=detail)

    async def prove(self, claims: TokenClaims) -> Principal:
        """The user whose key says this. Raises ``Unauthenticated`` if it is over or revoked."""
        if claims.key_id is None or claims.type == KeyType.RECOVERY:
            raise Unauthenticated()
        found = await rows.find_user_by_key(self._database, claims.key_id)
        if found is None or found[0].id != claims.user_id:
            raise Unauthenticated()
        user, limits = found
        principal = replace(principal_of(user), limits=limits)
        if claims.key_id in self._uses or len(self._uses) < _USES:
            self._uses[claims.key_id] = self._clock()
        return principal

    async def write_uses(self) -> None:
        """Write down when keys were used since the last time."""
        uses, self._uses = self._uses, {}
        if uses:
            await rows.note_key_uses(self._database, uses)

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


async def _add(session: Queries, caller: Principal, key: ApiKey) -> tuple[ApiKey, datetime]:
    """The key as it is kept, and the moment that its token has to name."""
    await rows.forget_old_keys(session, key.user_id)
    user = await find_user(session, key.user_id)
    if user is None:
        raise Unauthenticated()
    if key.limits is not None:
        await _check_limits(session, caller, key.limits)
    try:
        kept = await rows.add_key(session, key, UUID(caller.key_id) if caller.key_id else None)
    except Unrelated as exc:
        raise Unauthenticated() from exc
    await note(session, "issued", _KIND, key.id, actor=caller.id, detail=_noted(kept))
    return kept, user.tokens_valid_from


async def _check_limits(session: Queries, caller: Principal, limits: KeyLimits) -> None:
    """Raise ``NotFound`` for a group or thing that the caller cannot see."""
    if limits.group and limits.thing:
        raise Malformed("a key is limited to one group or one thing")
    if limits.group:
        await check_group_role(session, caller, UUID(limits.group), GroupRole.VIEWER)
    if limits.thing and not await find_thing(session, UUID(limits.thing), owner_filter(caller)):
        raise NotFound()


def _noted(key: ApiKey) -> Mapping[str, object]:
    limits = key.limits or KeyLimits()
    return {
        "user": str(key.user_id),
        "label": key.label,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "read_only": limits.read_only,
        "group": limits.group,
        "thing": limits.thing,
    }
