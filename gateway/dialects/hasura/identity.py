"""Who asks: as a trusted proxy says in ``X-Hasura-*``, or as our own Bearer token proves.

Beside a token ``X-Hasura-Role`` is no assertion: it asks for one of the roles that the user has.

Rule: from anyone but a trusted proxy the mere presence of any other identity header is an error,
whatever it says and whatever else the request has; so is that of a role without a token.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import Forbidden, Malformed
from gateway.web.authentication import CALLERS, bearer
from gateway.web.errors import MissingField
from gateway.web.proxies import single_header
from gateway.web.seen import note_principal

USER_ID: Final = "X-Hasura-User-Id"
ROLE: Final = "X-Hasura-Role"
_USER_ROLE: Final = "X-Hasura-User-Role"
_ALLOWED_ROLES: Final = "X-Hasura-Allowed-Roles"
ASSERTIONS: Final = (USER_ID, ROLE, _USER_ROLE, _ALLOWED_ROLES)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_INT64: Final = range(-(2**63), 2**63)
_ROLE_CHARACTERS: Final = 128


async def find_caller(request: web.Request) -> Principal | None:
    """The caller, or ``None`` if the request shows no identity; ``id`` is the integer, as text.

    Raises ``Forbidden`` for identity headers of an untrusted peer, ``MissingField`` or
    ``Malformed`` for those of a trusted one that are not whole, and ``Unauthenticated``.
    """
    if not _asserts(request):
        return await _proven(request) if "Authorization" in request.headers else None
    if not request.app[CALLERS].proxies.trusts(request):
        sent = next(name for name in ASSERTIONS if name in request.headers)
        raise Forbidden(f"{sent} is accepted from trusted proxies only")
    asserted = {name: value for name in ASSERTIONS if (value := single_header(request, name))}
    return note_principal(request, _asserted(asserted))


def credential_of(request: web.Request) -> Hashable:
    """Everything that ``find_caller`` looks at."""
    names = (*ASSERTIONS, "Authorization")
    shown = (tuple(request.headers.getall(name, ())) for name in names)
    return (*shown, request.app[CALLERS].proxies.trusts(request))


def _asserts(request: web.Request) -> bool:
    """Whether somebody says who the caller is. A role alone, beside a credential, is a wish."""
    sent = [name for name in ASSERTIONS if name in request.headers]
    return bool(sent) and not (sent == [ROLE] and "Authorization" in request.headers)


async def _proven(request: web.Request) -> Principal:
    """The user of the token, in the role that is asked for. Raises ``Forbidden`` without it."""
    user, asked = await bearer(request), single_header(request, ROLE)
    if asked and asked not in user.allowed_roles:
        raise Forbidden(f"{ROLE} is none of the caller's roles")
    return replace(user, id=str(user.number), role=asked or user.role)


def _asserted(asserted: Mapping[str, str]) -> Principal:
    """The caller that the headers name; an empty one is a missing one."""
    if USER_ID not in asserted:
        raise MissingField("header", USER_ID)
    user_id, role = _integer(asserted[USER_ID]), _one_role(asserted)
    allowed = _roles(asserted.get(_ALLOWED_ROLES, ""))
    return Principal(PrincipalKind.USER, str(user_id), role, allowed)


def _integer(text: str) -> int:
    value = int(text) if _INTEGER.fullmatch(text) else None
    if value is None or value not in _INT64:
        raise Malformed(f"{USER_ID} should be an integer")
    return value


def _one_role(asserted: Mapping[str, str]) -> str:
    """The role, under either of its two names."""
    given = {asserted[name] for name in (ROLE, _USER_ROLE) if name in asserted}
    if not given:
        raise MissingField("header", ROLE)
    if len(given) > 1:
        raise Malformed(f"{ROLE} and {_USER_ROLE} differ")
    return _check_role(given.pop(), ROLE)


def _roles(text: str) -> tuple[str, ...]:
    roles = (item.strip() for item in text.split(","))
    return tuple(_check_role(role, _ALLOWED_ROLES) for role in roles if role)


def _check_role(role: str, header: str) -> str:
    """The role itself, if it is fit to be shown, stored and passed on."""
    if len(role) > _ROLE_CHARACTERS or not role.isprintable():
        raise Malformed(f"malformed header: {header}")
    return role
