"""Tokens of applications, and log-ins with fewer rights than their user.

Rule: a token is valid because its row is there, active and not over. Its text is shown once and
kept as a digest; it has 256 random bits, so that nothing slower than SHA-256 is needed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.database.events import note
from gateway.database.pool import Database, Queries, Row, Unrelated
from gateway.database.statements import ordered
from gateway.dialects.losant.applications import PageWanted
from gateway.dialects.losant.ids import id_of, new_id
from gateway.dialects.losant.records import ApiToken, Application, ScopedCaller
from gateway.dialects.losant.scopes import ALL_USER
from gateway.identity.registry import Registry
from gateway.identity.rights import user_id
from gateway.identity.rows.users import find_user_by_email, user_of
from gateway.identity.users import principal_of
from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import NotFound, Unauthenticated
from gateway.model.paging import Page

TOKEN_ROLE: Final = "apiToken"  # noqa: S105 - a word
_KIND: Final = "tokens"
_PREFIX: Final = "losant-"
_NO_TOKEN: Final = "API token was not found"  # noqa: S105 - words


@dataclass(frozen=True, slots=True)
class TokenDraft:
    """What a new token should be."""

    name: str
    description: str
    scopes: Sequence[str]
    active: bool
    expires_at: datetime | None


class ApiTokens:
    """The tokens of all applications, and the log-ins."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    async def create(
        self, caller: ScopedCaller, application: Application, draft: TokenDraft
    ) -> tuple[ApiToken, str]:
        """A new token and its text. Raises ``NotFound`` if the application is gone."""
        text = _new_text()
        try:
            async with self._database.transaction() as session:
                token = await _add(session, caller, application, draft, text)
        except Unrelated as exc:
            raise NotFound("Application was not found") from exc
        return token, text

    async def find(self, application: Application, wanted: str) -> ApiToken:
        """One token. Raises ``NotFound``."""
        return _found(await self._database.row("losant/find_token", application.id, wanted))

    async def amend(
        self,
        application: Application,
        wanted: str,
        *,
        actor: str,
        name: str | None,
        description: str | None,
        active: bool | None,
    ) -> ApiToken:
        """Change what is not ``None``. Raises ``NotFound``."""
        changes = (name, description, active)
        async with self._database.transaction() as session:
            row = await session.row("losant/amend_token", application.id, wanted, *changes)
            token = _found(row)
            detail = {"application": application.id, "active": token.active}
            await note(session, "amended", _KIND, token.id, actor=actor, detail=detail)
        return token

    async def remove(self, application: Application, wanted: str, *, actor: str) -> None:
        """End a token, everywhere. Raises ``NotFound``."""
        async with self._database.transaction() as session:
            if not await session.run("losant/remove_token", application.id, wanted):
                raise NotFound(_NO_TOKEN)
            detail = {"application": application.id}
            await note(session, "revoked", _KIND, wanted, actor=actor, detail=detail)

    async def list(
        self, application: Application, page: PageWanted, *, active: bool | None = None
    ) -> Page[ApiToken]:
        """The application's tokens, or those that are ``active`` or not."""
        matching = (application.id, page.name, active)
        statement = ordered(
            "losant/list_tokens", f"losant/{page.order}", descending=page.descending
        )
        async with self._database.session() as session:
            total = await session.value("losant/count_tokens", *matching)
            rows = await session.rows(statement, *matching, page.limit, page.offset)
        return Page(total, [_token(row) for row in rows])

    async def log_in(
        self, email: str, password: str, scopes: Sequence[str] | None
    ) -> tuple[ScopedCaller, str]:
        """The user, and a token that may all that they may, or what ``scopes`` say.

        Raises ``Unauthenticated``, ``AccountLocked``.
        """
        # Read before the password is looked at: if it changes meanwhile the log-in is over.
        known = await find_user_by_email(self._database, email)
        text = await self._registry.users.log_in(email, password)
        user = await self._registry.user_by_token(text)
        if scopes is None:
            return whole_user(user), text
        if known is None or user.valid_until is None:
            raise Unauthenticated()
        text = _new_text()
        end = datetime.fromtimestamp(user.valid_until, UTC)
        await self._database.run(
            "losant/add_login",
            _digest(text),
            known.id,
            list(scopes),
            known.tokens_valid_from,
            end,
        )
        return whole_user(user), text

    async def prove(self, text: str) -> ScopedCaller:
        """Whose token this is. Raises ``Unauthenticated``."""
        digest = _digest(text)
        token = await self._database.row("losant/token_of_digest", digest)
        if token is not None:
            return _caller_of(token)
        login = await self._database.row("losant/login_of_digest", digest)
        if login is None:
            raise Unauthenticated()
        user = replace(principal_of(user_of(login)), valid_until=login["expires_at"].timestamp())
        return _as_caller(user, login["scopes"])

    async def tidy(self) -> None:
        """Forget log-ins that are over."""
        await self._database.run("losant/drop_old_logins")


async def _add(
    session: Queries, caller: ScopedCaller, application: Application, draft: TokenDraft, text: str
) -> ApiToken:
    row = await session.row(
        "losant/add_token",
        new_id(),
        application.id,
        _digest(text),
        draft.name,
        draft.description,
        list(draft.scopes),
        draft.active,
        caller.author,
        caller.author_type,
        draft.expires_at,
    )
    token = _found(row)
    detail = {"application": application.id, "scopes": list(draft.scopes)}
    await note(session, "issued", _KIND, token.id, actor=caller.id, detail=detail)
    return token


def is_ours(text: str) -> bool:
    """Whether the token is one of these, and none of the registry's."""
    return text.startswith(_PREFIX)


def whole_user(user: Principal) -> ScopedCaller:
    """A user with all that they may."""
    return _as_caller(user, (ALL_USER,))


def _as_caller(user: Principal, scopes: Sequence[str]) -> ScopedCaller:
    known: dict[str, Any] = {f.name: getattr(user, f.name) for f in fields(Principal)}
    return ScopedCaller(**known, scopes=frozenset(scopes), author=id_of(user_id(user)))


def _caller_of(token: Row) -> ScopedCaller:
    expires_at = token["expires_at"]
    return ScopedCaller(
        PrincipalKind.APPLICATION,
        token["id"],
        TOKEN_ROLE,
        (TOKEN_ROLE,),
        valid_until=None if expires_at is None else expires_at.timestamp(),
        owner="" if token["user_id"] is None else str(token["user_id"]),
        scopes=frozenset(token["scopes"]),
        application=token["application"],
        author=token["id"],
        author_type="apiToken",
    )


def _new_text() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _found(row: Row | None) -> ApiToken:
    if row is None:
        raise NotFound(_NO_TOKEN)
    return _token(row)


def _token(row: Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        application=row["application"],
        name=row["name"],
        description=row["description"],
        scopes=tuple(row["scopes"]),
        active=row["active"],
        creator_id=row["creator_id"],
        creator_type=row["creator_type"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
    )
