"""Mainflux identify: whose a key is, and whether it may use a channel.

Asked by other services, without a credential of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import entity_id, path_id, read_small_object, text_of
from gateway.identity.records.things import Thing
from gateway.model.errors import Forbidden, Malformed, NotFound, Unauthenticated
from gateway.web.authentication import CALLERS
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_INTERNAL: Final = "internal"


async def identify(request: web.Request) -> web.StreamResponse:
    """``POST /identify``: the id of the thing that has the key, 200."""
    thing = await _identified(request)
    return json_reply({"id": str(thing.id)})


async def access_by_key(request: web.Request) -> web.StreamResponse:
    """``POST /identify/channels/{id}/access-by-key``: as ``identify``, if it is connected."""
    thing = await _identified(request)
    await _check_connected(request, thing.id)
    return json_reply({"id": str(thing.id)})


async def access_by_id(request: web.Request) -> web.StreamResponse:
    """``POST /identify/channels/{id}/access-by-id``: an empty 200 if it is connected."""
    body = await read_small_object(request)
    if not text_of(body, "thing_id"):
        raise Malformed("thing_id is missing")
    await _check_connected(request, entity_id(body["thing_id"]))
    return empty_reply(200)


async def _identified(request: web.Request) -> Thing:
    key, callers = _key_of(await read_small_object(request)), request.app[CALLERS]
    with callers.attempts.question(callers.proxies.address_of(request)):
        thing = await callers.registry.find_thing_by_key(key)
        if thing is None:
            raise NotFound()
        return thing


async def _check_connected(request: web.Request, thing_id: UUID) -> None:
    """Raise ``Forbidden``, alike for a channel without the thing and for none at all."""
    channels = request.app[CALLERS].registry.channels
    if not await channels.connected(path_id(request), thing_id):
        raise Forbidden()


def _key_of(body: Mapping[str, Any]) -> str:
    """The key of ``{"token"}``, or of ``{"type", "value"}``; we issue internal keys only."""
    key = text_of(body, "token") or text_of(body, "value")
    if not key:
        raise Unauthenticated()
    if (text_of(body, "type") or _INTERNAL) != _INTERNAL:
        raise NotFound()
    return key


ROUTES: Final = (
    Route("POST", "/identify", identify, needs_room=False),
    Route("POST", "/identify/channels/{id}/access-by-key", access_by_key, needs_room=False),
    Route("POST", "/identify/channels/{id}/access-by-id", access_by_id, needs_room=False),
)
