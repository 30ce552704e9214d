"""Mainflux users: register, log in, see, amend, change the password."""

from __future__ import annotations

import contextlib
from typing import Final

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    flag_of,
    listing_of,
    location_of,
    metadata_of,
    page_of,
    path_id,
    read_object,
    read_small_object,
    shown_page,
    shown_time,
    text_of,
    with_metadata,
)
from gateway.identity.records.users import User
from gateway.identity.rights import check_admin
from gateway.identity.users import Users, may_make_accounts
from gateway.model.access import Principal
from gateway.model.errors import Malformed, Unauthenticated
from gateway.web.authentication import CALLERS, bearer, logging_in
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply


async def register(request: web.Request) -> web.StreamResponse:
    """``POST /users``: a new account, 201. Open to anybody, or (a setting) to those who may.

    And to whoever has an ``invitation``.
    """
    users = _users(request)
    creator = await _creator(request)
    body = await (read_object(request) if creator else read_small_object(request))
    invitation = text_of(body, "invitation")
    if not invitation:
        users.check_creator(creator)
    if creator is None:
        await count_stranger(request)
    user = await users.register(
        text_of(body, "email"),
        text_of(body, "password"),
        metadata_of(body),
        creator=creator,
        invitation=invitation,
    )
    return empty_reply(201, location_of("users", user.id))


async def _creator(request: web.Request) -> Principal | None:
    """Who makes the account for another; ``None`` for who shows no credential.

    And, where anybody may register, for who may not make accounts; else that is ``Forbidden``.
    """
    users = _users(request)
    if "Authorization" not in request.headers:
        return None
    if users.open_registration:
        with contextlib.suppress(Unauthenticated):
            creator = await bearer(request)
            return creator if may_make_accounts(creator) else None
        return None
    creator = await bearer(request)
    users.check_creator(creator)
    return creator


async def count_stranger(request: web.Request) -> None:
    """Somebody asks whom nobody knows. Raises ``TooMany`` after too many of the same address."""
    callers = request.app[CALLERS]
    await callers.attempts.registration(callers.proxies.address_of(request))


async def log_in(request: web.Request) -> web.StreamResponse:
    """``POST /tokens``: a token for an e-mail and password, 201."""
    body = await read_small_object(request)
    email, password = text_of(body, "email"), text_of(body, "password")
    async with logging_in(request, email):
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
    """``PATCH /password``: the caller's own password, 201; with ``end_keys`` their keys end."""
    caller = await bearer(request)
    body = await read_object(request)
    old, new = text_of(body, "old_password"), text_of(body, "password")
    async with logging_in(request, caller.email):
        await _users(request).change_password(caller, old, new, end_keys=flag_of(body, "end_keys"))
    return json_reply({}, 201)


async def enable(request: web.Request) -> web.StreamResponse:
    """``POST /users/{id}/enable``: an administrator unlocks an account, 204."""
    caller = await bearer(request)
    await _users(request).lock(caller, path_id(request), locked=False)
    return empty_reply(204)


async def disable(request: web.Request) -> web.StreamResponse:
    """``POST /users/{id}/disable``: an administrator locks an account, 204.

    No token and no key of it proves anything then; with ``things`` in a JSON body, neither do the
    keys of its things.
    """
    caller, wanted = await bearer(request), path_id(request)
    body = await read_object(request) if request.can_read_body else {}
    await _users(request).lock(caller, wanted, locked=True, things=flag_of(body, "things"))
    return empty_reply(204)


async def end_all(request: web.Request) -> web.StreamResponse:
    """``POST /users/{id}/end-sessions``: all logins and keys end, one's own or any's, 204."""
    caller = await bearer(request)
    await _users(request).end_all(caller, path_id(request))
    return empty_reply(204)


async def ask_for_reset(request: web.Request) -> web.StreamResponse:
    """``POST /password/reset-request``: an administrator gets a token for an account, 201.

    Anybody else leaves word that they lost their password, and learns nothing by it.
    """
    recovery = request.app[CALLERS].registry.recovery
    if "Authorization" in request.headers:
        caller = await bearer(request)
        check_admin(caller)
        email = text_of(await read_object(request), "email")
        user, token, expires_at = await recovery.issue(caller, email)
        shown = {"user_id": str(user.id), "token": token, "expires_at": shown_time(expires_at)}
        return json_reply(shown, 201)
    email = text_of(await read_small_object(request), "email")
    await count_stranger(request)
    await recovery.ask(email)
    return json_reply({"msg": "an administrator has to make the token for a new password"}, 201)


async def reset(request: web.Request) -> web.StreamResponse:
    """``PUT /password/reset``: a new password for whom the token was made, 201."""
    body = await read_small_object(request)
    await count_stranger(request)
    password = text_of(body, "password")
    if body.get("confirm_password") not in (None, password):
        raise Malformed("confirm_password is not the password")
    await request.app[CALLERS].registry.recovery.reset(
        text_of(body, "token"), password, end_keys=flag_of(body, "end_keys")
    )
    return json_reply({}, 201)


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
    Route("POST", "/users/{id}/end-sessions", end_all, needs_room=False),
    Route("POST", "/tokens", log_in, needs_room=False),
    Route("PATCH", "/password", change_password, needs_room=False),
    Route("POST", "/password/reset-request", ask_for_reset, needs_room=False),
    Route("PUT", "/password/reset", reset, needs_room=False),
)
