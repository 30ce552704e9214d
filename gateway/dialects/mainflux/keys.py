"""Mainflux API keys: issue, see, list, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    listing_of,
    page_of,
    path_id,
    read_object,
    shown_page,
    shown_time,
)
from gateway.identity.keys import LONGEST_SECONDS, Keys
from gateway.identity.records.keys import ApiKey, KeyType
from gateway.model.errors import Malformed
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_NANO: Final = 10**9


async def issue(request: web.Request) -> web.StreamResponse:
    """``POST /keys``: a new key, whose value is shown only here, 201."""
    caller = await bearer(request)
    body = await read_object(request)
    key, value = await _keys(request).issue(caller, _type(body), _duration(body))
    return json_reply({"id": str(key.id), "value": value, **_shown_times(key)}, 201)


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
    return {**shown, **_shown_times(key)}


def _shown_times(key: ApiKey) -> Shown:
    shown = {"issued_at": shown_time(key.issued_at)}
    return {**shown, "expires_at": shown_time(key.expires_at)} if key.expires_at else shown


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
)
