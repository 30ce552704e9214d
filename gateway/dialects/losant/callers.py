"""Who asks, and whether they may: the token, its scopes, and the caller's role in the application.

Rule: in this order, so that what is refused first says nothing of what comes later: no credential,
a malformed id, a scope that is not enough, an application that is not the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.dialects.losant.context import LOSANT
from gateway.dialects.losant.ids import path_id
from gateway.dialects.losant.records import DIALECT, Application, ScopedCaller
from gateway.dialects.losant.scopes import check_scope
from gateway.dialects.losant.tokens import is_ours, whole_user
from gateway.model.access import Access, Action, GroupRole
from gateway.web.authentication import CALLERS, credential, proved, user_of
from gateway.web.proxies import single_header


@dataclass(frozen=True, slots=True)
class Permitted:
    """A caller who may do what was asked in the application of the path."""

    caller: ScopedCaller
    application: Application
    authorization: str | None

    def access(self, action: Action, name: str = "") -> Access:
        """What the engine and the hook are told."""
        return Access(
            self.caller, action, DIALECT, self.application.scope, name, self.authorization
        )


async def find_caller(request: web.Request, endpoint: str) -> ScopedCaller:
    """The caller, whose scopes allow this. Raises ``Unauthenticated``, ``Forbidden``."""
    caller = await _caller(request)
    check_scope(caller.scopes, endpoint)
    return caller


async def permitted(request: web.Request, endpoint: str, needed: GroupRole) -> Permitted:
    """Who asks, in the application of the path.

    Raises ``Unauthenticated``, ``Malformed``, ``Forbidden``, ``NotFound``.
    """
    caller = await _caller(request)
    wanted = path_id(request, "application")
    check_scope(caller.scopes, endpoint)
    application = await request.app[LOSANT].applications.find(caller, wanted, needed)
    return Permitted(caller, application, single_header(request, "Authorization"))


async def permitted_file(
    request: web.Request, endpoint: str, needed: GroupRole, action: Action
) -> tuple[Permitted, Access]:
    """The same for the file of the path, and the hook's word on it; nothing is looked up yet."""
    wanted = path_id(request, "file")
    found = await permitted(request, endpoint, needed)
    access = found.access(action, wanted)
    await request.app[CALLERS].hook.authorise(access)
    return found, access


async def _caller(request: web.Request) -> ScopedCaller:
    text = credential(request, "bearer")
    if not is_ours(text):
        return whole_user(await user_of(request, text))
    found = await proved(request, "losant", text, request.app[LOSANT].tokens.prove)
    assert isinstance(found, ScopedCaller), "that is what a token of ours proves"
    return found
