"""``/auth/user``, ``/applications`` and their tokens: what is needed to come to private files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from gateway.dialects.losant.callers import Permitted, find_caller, permitted
from gateway.dialects.losant.context import LOSANT, Losant
from gateway.dialects.losant.ids import check_id, path_id
from gateway.dialects.losant.query import (
    as_object,
    list_query,
    query_text,
    read_object,
    skip_body,
    text_member,
)
from gateway.dialects.losant.scopes import (
    ALL_APPLICATION,
    check_of_application,
    check_passed_on,
    check_scopes,
)
from gateway.dialects.losant.shown import shown_application, shown_token
from gateway.dialects.losant.tokens import TokenDraft
from gateway.model.access import GroupRole
from gateway.model.errors import Forbidden, Malformed
from gateway.web.authentication import logging_in
from gateway.web.dialect import Route
from gateway.web.responses import json_reply
from gateway.web.uploads.body import SMALL, read_json

_APPLICATION_ORDERS: Final = ("name", "id", "creationDate", "ownerId", "lastUpdated")
_TOKEN_ORDERS: Final = ("name", "status", "id", "creationDate", "lastUpdated", "expirationDate")
_CREDENTIALS: Final = ("email", "password", "twoFactorCode", "requestedScopes", "tokenTTL")
_TOKEN: Final = ("name", "description", "expirationDate", "scope", "status")
_STATUSES: Final = {"active": True, "inactive": False}


async def log_in(request: web.Request) -> web.StreamResponse:
    """``POST /auth/user``: the user's id and a token."""
    body = as_object(await read_json(request, SMALL), "the body", _CREDENTIALS)
    email = text_member(body, "email", 1024, required=True) or ""
    password = text_member(body, "password", 2048, required=True) or ""
    scopes = check_scopes(body["requestedScopes"]) if body.get("requestedScopes") else None
    async with logging_in(request, email):
        user, token = await _losant(request).tokens.log_in(email, password, scopes)
    return json_reply({"userId": user.author, "token": token})


async def list_applications(request: web.Request) -> web.StreamResponse:
    """``GET /applications``: those that the caller may see."""
    caller = await find_caller(request, "applications.get")
    asked = list_query(request, _APPLICATION_ORDERS, "name")
    org = query_text(request, "orgId")
    page = await _losant(request).applications.list(
        caller,
        asked.wanted,
        org=check_id(org, "orgId") if org else None,
        own="orgId" in request.query and not org,
    )
    items = [shown_application(application) for application in page.items]
    return json_reply(asked.shown(items, page.total))


async def create_application(request: web.Request) -> web.StreamResponse:
    """``POST /applications``: a new one, 201."""
    caller = await find_caller(request, "applications.post")
    body = await read_object(request, ("name", "description", "orgId"))
    name = text_member(body, "name", 255, least=1, required=True) or ""
    description = text_member(body, "description", 1024) or ""
    org = check_id(body["orgId"], "orgId") if "orgId" in body else None
    made = await _losant(request).applications.create(caller, name, description, org)
    return json_reply(shown_application(made), 201)


async def view_application(request: web.Request) -> web.StreamResponse:
    """``GET /applications/<id>``."""
    found = await permitted(request, "application.get", GroupRole.VIEWER)
    return json_reply(shown_application(found.application))


async def remove_application(request: web.Request) -> web.StreamResponse:
    """``DELETE /applications/<id>``: with its tokens and files."""
    found = await permitted(request, "application.delete", GroupRole.ADMIN)
    await skip_body(request)
    await _losant(request).applications.remove(found.caller, found.application.id)
    return json_reply({"success": True})


async def list_tokens(request: web.Request) -> web.StreamResponse:
    """``GET /applications/<id>/tokens``."""
    found = await permitted(request, "applicationApiTokens.get", GroupRole.ADMIN)
    asked = list_query(request, _TOKEN_ORDERS, "name", ("name", "status"))
    active = None
    if asked.filter_field == "status" and asked.filter:
        active = _active(asked.filter)
    page = await _losant(request).tokens.list(found.application, asked.wanted, active=active)
    items = [shown_token(token) for token in page.items]
    owner = {"ownerId": found.application.id, "ownerType": "application"}
    return json_reply(asked.shown(items, page.total) | owner)


async def create_token(request: web.Request) -> web.StreamResponse:
    """``POST /applications/<id>/tokens``: a new one, 201; its text is shown this once."""
    found = await permitted(request, "applicationApiTokens.post", GroupRole.ADMIN)
    body = await read_object(request, _TOKEN)
    scopes = check_scopes(body.get("scope", [ALL_APPLICATION]))
    check_of_application(scopes)
    check_passed_on(found.caller.scopes, scopes)
    draft = TokenDraft(
        name=text_member(body, "name", 255, least=1, required=True) or "",
        description=text_member(body, "description", 32_767) or "",
        scopes=scopes,
        active=_active(body.get("status", "active")),
        expires_at=_ending(found, body),
    )
    token, text = await _losant(request).tokens.create(found.caller, found.application, draft)
    return json_reply(shown_token(token, text), 201)


async def view_token(request: web.Request) -> web.StreamResponse:
    """``GET /applications/<id>/tokens/<tokenId>``."""
    wanted = path_id(request, "token")
    found = await permitted(request, "applicationApiToken.get", GroupRole.ADMIN)
    token = await _losant(request).tokens.find(found.application, wanted)
    return json_reply(shown_token(token))


async def update_token(request: web.Request) -> web.StreamResponse:
    """``PATCH /applications/<id>/tokens/<tokenId>``: another name, or active or not."""
    wanted = path_id(request, "token")
    found = await permitted(request, "applicationApiToken.patch", GroupRole.ADMIN)
    body = await read_object(request, ("name", "description", "status"))
    token = await _losant(request).tokens.amend(
        found.application,
        wanted,
        actor=found.caller.id,
        name=text_member(body, "name", 255, least=1),
        description=text_member(body, "description", 32_767),
        active=_active(body["status"]) if "status" in body else None,
    )
    return json_reply(shown_token(token))


async def remove_token(request: web.Request) -> web.StreamResponse:
    """``DELETE /applications/<id>/tokens/<tokenId>``: it ends at once, everywhere."""
    wanted = path_id(request, "token")
    found = await permitted(request, "applicationApiToken.delete", GroupRole.ADMIN)
    await skip_body(request)
    await _losant(request).tokens.remove(found.application, wanted, actor=found.caller.id)
    return json_reply({"success": True})


def _active(value: object) -> bool:
    if not isinstance(value, str) or value not in _STATUSES:
        raise Malformed("status is not one of active, inactive")
    return _STATUSES[value]


def _ending(found: Permitted, body: Mapping[str, Any]) -> datetime | None:
    """When the new token is over; one that a token makes is over with it at the latest."""
    latest = found.caller.valid_until if found.caller.application else None
    if "expirationDate" not in body:
        return None if latest is None else datetime.fromtimestamp(latest, UTC)
    text = text_member(body, "expirationDate", 64) or ""
    try:
        end = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Malformed("expirationDate is not a date") from exc
    if end.tzinfo is None or not 1970 < end.year < 9999:
        raise Malformed("expirationDate is not a date with a time zone")
    if latest is not None and end.timestamp() > latest:
        raise Forbidden("a token makes none that outlives it")
    return end


def _losant(request: web.Request) -> Losant:
    return request.app[LOSANT]


_APPLICATIONS: Final = "/applications"
_APPLICATION: Final = _APPLICATIONS + "/{application}"
_TOKENS: Final = _APPLICATION + "/tokens"
_ONE_TOKEN: Final = _TOKENS + "/{token}"
ROUTES: Final = (
    Route("POST", "/auth/user", log_in, needs_room=False),
    Route("GET", _APPLICATIONS, list_applications),
    Route("POST", _APPLICATIONS, create_application),
    Route("GET", _APPLICATION, view_application),
    Route("DELETE", _APPLICATION, remove_application, alters_rights=True),
    Route("GET", _TOKENS, list_tokens),
    Route("POST", _TOKENS, create_token),
    Route("GET", _ONE_TOKEN, view_token),
    Route("PATCH", _ONE_TOKEN, update_token, alters_rights=True),
    Route("DELETE", _ONE_TOKEN, remove_token, alters_rights=True),
)
