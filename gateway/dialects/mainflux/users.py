"""Mainflux users: register, log in, see, amend, change the password."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    listing_of,
    location_of,
    metadata_of,
    page_of,
    path_id,
    read_object,
    read_small_object,
    shown_page,
    text_of,
    with_metadata,
)
from gateway.identity.records.users import User
from gateway.identity.users import Users
from gateway.web.authentication import CALLERS, bearer, logging_in
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply


async def register(request: web.Request) -> web.StreamResponse:
    """``POST /users``: a new account, 201. Open to anybody, or (a setting) to admins only."""
    users = _users(request)
    creator = None if users.open_registration else await bearer(request)
    users.check_creator(creator)
    body = await (read_object(request) if creator else read_small_object(request))
    if creator is None:
        callers = request.app[CALLERS]
        callers.attempts.registration(callers.proxies.address_of(request))
    user = await users.register(
        text_of(body, "email"), text_of(body, "password"), metadata_of(body), creator=creator
    )
    return empty_reply(201, location_of("users", user.id))


async def log_in(request: web.Request) -> web.StreamResponse:
    """``POST /tokens``: a token for an e-mail and password, 201."""
    body = await read_small_object(request)
    email, password = text_of(body, "email"), text_of(body, "password")
    with logging_in(request, email):
        token = await _users(request).log_in(email, password)
    return json_reply({"token": token}, 201)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /users/{id}``."""
    caller = await bearer(request)
    return json_reply(shown_user(await _users(request).get(caller, path_id(request))))


async def list_users(request: web.Request) -> web.StreamResponse:
    """``GET /users``: the accounts that the caller may see, under both documented keys."""
    caller = await bearer(request)
    _, listing = listing_of(request, name="email")
    page, listing = await page_of(listing, _users(request).list, caller)
    shown = [shown_user(user) for user in page.items]
    return json_reply({**shown_page(page, listing), "Users": shown, "users": shown})


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /users``: the caller's own metadata, 200."""
    caller = await bearer(request)
    await _users(request).amend(caller, metadata_of(await read_object(request)))
    return empty_reply(200)


async def change_password(request: web.Request) -> web.StreamResponse:
    """``PATCH /password``: the caller's own password, 201."""
    caller = await bearer(request)
    body = await read_object(request)
    old, new = text_of(body, "old_password"), text_of(body, "password")
    with logging_in(request, caller.email):
        await _users(request).change_password(caller, old, new)
    return json_reply({}, 201)


async def enable(request: web.Request) -> web.StreamResponse:
    """``POST /users/{id}/enable``: an administrator unlocks an account, 204."""
    caller = await bearer(request)
    await _users(request).lock(caller, path_id(request), locked=False)
    return empty_reply(204)


async def disable(request: web.Request) -> web.StreamResponse:
    """``POST /users/{id}/disable``: an administrator locks an account; all it has ends, 204."""
    caller = await bearer(request)
    await _users(request).lock(caller, path_id(request), locked=True)
    return empty_reply(204)


def _users(request: web.Request) -> Users:
    return request.app[CALLERS].registry.users


def shown_user(user: User) -> Shown:
    """An account."""
    return with_metadata({"id": str(user.id), "email": user.email}, user.metadata)


ROUTES: Final = (
    Route("POST", "/users", register),
    Route("GET", "/users", list_users),
    Route("PUT", "/users", update),
    Route("GET", "/users/{id}", view),
    Route("POST", "/users/{id}/enable", enable, needs_room=False),
    Route("POST", "/users/{id}/disable", disable, needs_room=False),
    Route("POST", "/tokens", log_in, needs_room=False),
    Route("PATCH", "/password", change_password, needs_room=False),
)
