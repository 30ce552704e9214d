"""Who asks: a user by ``Authorization: Bearer``, or by an API key in ``Gravwell-Token``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.identity.users import scope_of
from gateway.model.access import Principal
from gateway.model.file import Scope
from gateway.web.authentication import CALLERS, bearer
from gateway.web.authentication import user_of as proved_user
from gateway.web.proxies import single_header

TOKEN_HEADER: Final = "Gravwell-Token"  # noqa: S105 - the name of a header
_ADMIN_PARAMETER: Final = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, the numbers of the groups that they are in, and whether they ask as administrator.

    Administrators do so by ``?admin=true``, which means nothing when others say it.
    """

    principal: Principal
    groups: frozenset[int]
    as_admin: bool

    @property
    def scope(self) -> Scope:
        """Where the caller's own files live."""
        return scope_of(UUID(self.principal.id))


async def user_of(request: web.Request) -> Principal:
    """The calling user. Raises ``Unauthenticated``."""
    token = single_header(request, TOKEN_HEADER)
    if token is None:
        return await bearer(request)
    return await proved_user(request, token)


async def caller_of(request: web.Request) -> Caller:
    """The calling user, and what they are a member of. Raises ``Unauthenticated``."""
    principal = await user_of(request)
    memberships = await request.app[CALLERS].registry.groups.memberships(principal)
    asked = request.query.get(_ADMIN_PARAMETER) == "true"
    return Caller(principal, frozenset(m.number for m in memberships), asked and principal.is_admin)


def credential_of(request: web.Request) -> Hashable:
    """All of a request's headers that say who asks."""
    names = (TOKEN_HEADER, "Authorization")
    return tuple(tuple(request.headers.getall(name, ())) for name in names)
