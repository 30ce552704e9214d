"""Mainflux identify: whose key is this? Asked by other services, with the key in the body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.dialects.mainflux.fields import read_object, text_of
from gateway.model.errors import NotFound, Unauthenticated
from gateway.web.context import GATEWAY
from gateway.web.dialect import Route
from gateway.web.reply import json_reply

_INTERNAL: Final = "internal"


async def identify(request: web.Request) -> web.StreamResponse:
    """``POST /identify``: the id of the thing that has the key, 200."""
    key = _key_of(await read_object(request))
    thing = await request.app[GATEWAY].registry.things.find_by_key(key)
    if thing is None:
        raise NotFound()
    return json_reply({"id": str(thing.id)})


def _key_of(body: Mapping[str, Any]) -> str:
    """The key of ``{"token"}``, or of ``{"type", "value"}``; we issue internal keys only."""
    key = text_of(body, "token") or text_of(body, "value")
    if not key:
        raise Unauthenticated()
    if (text_of(body, "type") or _INTERNAL) != _INTERNAL:
        raise NotFound()
    return key


ROUTES: Final = (Route("POST", "/identify", identify),)
