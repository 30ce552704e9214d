"""Quotas: what an account may have and has, for whoever it belongs to; administrators set them.

Rule: an account is seen by whoever may manage what it is of: a user their own, a thing's owner and
the thing itself, the admins of a group or an org. Only an administrator of the gateway sets limits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiohttp import web

from gateway.dialects.mainflux.fields import Shown, as_object, path_id, read_object
from gateway.identity.things import may_see_key
from gateway.model.access import GroupRole, Principal, PrincipalKind
from gateway.model.errors import Forbidden, Malformed
from gateway.model.quota import Account, Amounts, Quota, Resource
from gateway.web.authentication import CALLERS, bearer, has_scheme, thing_key
from gateway.web.context import QUOTAS
from gateway.web.dialect import Handler, Route
from gateway.web.responses import json_reply

UNLIMITED: Final = "unlimited"
_MOST: Final = 2**53  # what every JSON parser reads exactly

Managed = Callable[[web.Request, Principal], Coroutine[Any, Any, None]]


async def own(request: web.Request) -> web.StreamResponse:
    """``GET /quota``: what the calling user, or thing, may have and has."""
    caller = await (bearer(request) if has_scheme(request, "bearer") else thing_key(request))
    kind = "users" if caller.kind is PrincipalKind.USER else "things"
    return await _shown(request, Account(kind, caller.id))


def _viewing(kind: str, check: Managed) -> Handler:
    async def view(request: web.Request) -> web.StreamResponse:
        await check(request, await bearer(request))
        return await _shown(request, Account(kind, str(path_id(request))))

    return view


def _setting(kind: str, check: Managed, *, whole: bool) -> Handler:
    async def change(request: web.Request) -> web.StreamResponse:
        caller = await bearer(request)
        await check(request, caller)
        if not caller.is_admin:
            raise Forbidden()
        account = Account(kind, str(path_id(request)))
        body = await read_object(request)
        limits = body.get("limits")
        limits = {} if limits is None else as_object(limits, "limits")
        given = {_resource(name): _amount(value) for name, value in limits.items()}
        amounts: Amounts = {name: most for name, (said, most) in given.items() if said}
        others = account.resources if whole else given
        await request.app[QUOTAS].change(
            account,
            amounts,
            actor=caller.id,
            defaults=[name for name in others if name not in amounts],
            trusted=_is_trusted(body.get("newcomer")),
        )
        return await _shown(request, account)

    return change


async def _check_user(request: web.Request, caller: Principal) -> None:
    await request.app[CALLERS].registry.users.get(caller, path_id(request))


async def _check_thing(request: web.Request, caller: Principal) -> None:
    thing = await request.app[CALLERS].registry.things.get(caller, path_id(request))
    if not may_see_key(caller, thing):
        raise Forbidden()


async def _check_group(request: web.Request, caller: Principal) -> None:
    groups = request.app[CALLERS].registry.groups
    await groups.check_role(caller, path_id(request), GroupRole.ADMIN)


async def _check_org(request: web.Request, caller: Principal) -> None:
    orgs = request.app[CALLERS].registry.orgs
    await orgs.check_role(caller, path_id(request), GroupRole.ADMIN)


def _resource(name: str) -> Resource:
    try:
        return Resource(name)
    except ValueError as exc:
        raise Malformed(f"limits are of {', '.join(Resource)}") from exc


def _amount(value: object) -> tuple[bool, int | None]:
    """Whether a limit is set, and which; ``null``: the default holds."""
    if value is None:
        return False, None
    if value == UNLIMITED:
        return True, None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise Malformed('a limit is a whole number, "unlimited", or null for the default')
    return True, value


def _is_trusted(newcomer: object) -> bool:
    if newcomer not in (None, False, True):
        raise Malformed("newcomer is not a boolean")
    if newcomer:
        raise Malformed("nobody becomes a newcomer")
    return newcomer is False


async def _shown(request: web.Request, account: Account) -> web.StreamResponse:
    quotas = request.app[QUOTAS]
    shown: dict[str, object] = {"account": str(account)}
    if account.kind == "users":
        shown["newcomer"] = await quotas.is_newcomer(account)
    found = await quotas.report(account)
    return json_reply({**shown, "quotas": {str(q.resource): _quota(q) for q in found}})


def _quota(quota: Quota) -> Shown:
    """A null limit is none."""
    shown = {"limit": quota.limit, "used": quota.used, "left": quota.left}
    if quota.resource is Resource.BYTES:
        shown |= {"reserved": quota.reserved, "condemned": quota.condemned}
    return shown


_KINDS: Final[dict[str, Managed]] = {
    "users": _check_user,
    "things": _check_thing,
    "groups": _check_group,
    "orgs": _check_org,
}
ROUTES: Final = (
    Route("GET", "/quota", own),
    *(
        route
        for kind, check in _KINDS.items()
        for route in (
            Route("GET", f"/{kind}/{{id}}/quota", _viewing(kind, check)),
            Route(
                "PUT",
                f"/{kind}/{{id}}/quota",
                _setting(kind, check, whole=True),
                needs_room=False,
            ),
            Route(
                "PATCH",
                f"/{kind}/{{id}}/quota",
                _setting(kind, check, whole=False),
                needs_room=False,
            ),
        )
    ),
)
