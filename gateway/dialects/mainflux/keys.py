"""Mainflux API keys: issue, see, list, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    entity_id,
    flag_of,
    listing_of,
    page_of,
    path_id,
    read_object,
    shown_page,
    shown_time,
)
from gateway.identity.keys import LONGEST_SECONDS, Keys
from gateway.identity.records.keys import ApiKey, KeyDraft, KeyType
from gateway.model.access import KeyLimits
from gateway.model.errors import Malformed
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_NANO: Final = 10**9


async def issue(request: web.Request) -> web.StreamResponse:
    """``POST /keys``: a new key, whose value is shown only here, 201."""
    caller = await bearer(request)
    body = await read_object(request)
    draft = KeyDraft(
        _type(body), _duration(body), check_label(body.get("name"), "name"), _limits(body)
    )
    key, value = await _keys(request).issue(caller, draft)
    shown = {"id": str(key.id), "value": value, **_shown_limits(key), **_shown_times(key)}
    return json_reply(shown, 201)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /keys/{id}``, in force or not."""
    caller = await bearer(request)
    return json_reply(_shown(await _keys(request).get(caller, path_id(request))))


async def list_keys(request: web.Request) -> web.StreamResponse:
    """``GET /keys``: the caller's own keys."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _keys(request).list, caller)
    return json_reply({**shown_page(page, listing), "keys": [_shown(key) for key in page.items]})


async def list_keys_of(request: web.Request) -> web.StreamResponse:
    """``GET /users/{id}/keys``: a user's keys, for themselves and administrators."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _keys(request).list_of, caller, path_id(request))
    return json_reply({**shown_page(page, listing), "keys": [_shown(key) for key in page.items]})


async def revoke(request: web.Request) -> web.StreamResponse:
    """``DELETE /keys/{id}``: 204."""
    caller = await bearer(request)
    await _keys(request).revoke(caller, path_id(request))
    return empty_reply(204)


def _shown(key: ApiKey) -> Shown:
    """A key without its value; ``type`` is left out when it is 0, as in the real API."""
    shown: dict[str, object] = {
        "id": str(key.id),
        "issuer_id": str(key.user_id),
        "subject": key.email,
    }
    if key.type is not KeyType.LOGIN:
        shown["type"] = key.type.value
    return {**shown, **_shown_limits(key), **_shown_times(key)}


def _shown_times(key: ApiKey) -> Shown:
    times = {
        "issued_at": key.issued_at,
        "expires_at": key.expires_at,
        "last_used_at": key.used_at,
    }
    return {name: shown_time(time) for name, time in times.items() if time is not None}


def _shown_limits(key: ApiKey) -> Shown:
    """What was said of it beside its type, as far as anything was."""
    limits = key.limits or KeyLimits()
    said = {
        "name": key.label,
        "read_only": limits.read_only,
        "group_id": limits.group,
        "thing_id": limits.thing,
    }
    return {name: value for name, value in said.items() if value}


def _limits(body: Mapping[str, Any]) -> KeyLimits | None:
    group, thing = (
        str(entity_id(body[name])) if body.get(name) else "" for name in ("group_id", "thing_id")
    )
    limits = KeyLimits(flag_of(body, "read_only"), group, thing)
    return None if limits == KeyLimits() else limits


def _type(body: Mapping[str, Any]) -> KeyType:
    value = body.get("type") or 0
    if not _is_whole(value) or value not in set(KeyType):
        raise Malformed("a key's type is 0, 1 or 2")
    return KeyType(value)


def _duration(body: Mapping[str, Any]) -> int:
    """Seconds, as published; or nanoseconds, as the Go clients write a duration.

    What they write is a multiple of 10^9, or more than there are seconds in a century.
    """
    value = body.get("duration") or 0
    if not _is_whole(value) or not 0 <= value <= LONGEST_SECONDS * _NANO:
        raise Malformed("duration is not a number of seconds")
    in_nanoseconds = value > LONGEST_SECONDS or value % _NANO == 0
    return int(value // _NANO if in_nanoseconds else value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _keys(request: web.Request) -> Keys:
    return request.app[CALLERS].registry.keys


ROUTES: Final = (
    Route("POST", "/keys", issue),
    Route("GET", "/keys", list_keys),
    Route("GET", "/keys/{id}", view),
    Route("DELETE", "/keys/{id}", revoke),
    Route("GET", "/users/{id}/keys", list_keys_of),
)
