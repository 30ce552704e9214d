"""Mainflux policies: add and delete, by administrators."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import as_list, ids_of, read_object, text_of
from gateway.identity.policies import Policies
from gateway.identity.rights import check_admin
from gateway.model.errors import Malformed
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

Asked = tuple[str, list[UUID], list[str]]


async def add(request: web.Request) -> web.StreamResponse:
    """``POST /policies``: every policy for every subject, or none, 201."""
    caller = await bearer(request)
    check_admin(caller)
    await _policies(request).add(caller, *await _asked(request))
    return json_reply({}, 201)


async def remove(request: web.Request) -> web.StreamResponse:
    """``PUT /policies``: takes them away, 204."""
    caller = await bearer(request)
    check_admin(caller)
    await _policies(request).remove(caller, *await _asked(request))
    return empty_reply(204)


async def _asked(request: web.Request) -> Asked:
    """The object, the subjects and the policies."""
    body = await read_object(request)
    target = text_of(body, "object")
    actions = as_list(body.get("policies"), "policies")
    if not target or not all(isinstance(action, str) for action in actions):
        raise Malformed("a policy has an object, and is a word")
    return target, ids_of(body, "subjects"), actions


def _policies(request: web.Request) -> Policies:
    return request.app[CALLERS].registry.policies


ROUTES: Final = (
    Route("POST", "/policies", add),
    Route("PUT", "/policies", remove, needs_room=False),
)
