"""Mainflux connections: things to channels, many at once or one by one, and who has which."""

from __future__ import annotations

from functools import partial
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.channels import shown_channel
from gateway.dialects.mainflux.fields import (
    entity_id,
    ids_of,
    listing_of,
    page_of,
    path_id,
    path_thing,
    read_object,
    shown_listing,
)
from gateway.dialects.mainflux.query import query_flag
from gateway.dialects.mainflux.things import shown_thing
from gateway.identity.registry import Registry
from gateway.model.errors import TooLarge
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_MOST_CONNECTIONS: Final = 10_000
_DEPRECATED: Final = {
    "Warning-Deprecated": "This endpoint will be depreciated in v1.0.0. "
    "It will be replaced with the bulk endpoint found at /connect."
}


async def connect(request: web.Request) -> web.StreamResponse:
    """``POST /connect``: every thing to every channel, or none, 200."""
    caller = await bearer(request)
    await _registry(request).channels.connect(caller, *await _both(request))
    return empty_reply(200)


async def disconnect(request: web.Request) -> web.StreamResponse:
    """``PUT /disconnect``: every thing from every channel, 200."""
    caller = await bearer(request)
    await _registry(request).channels.disconnect(caller, *await _both(request))
    return empty_reply(200)


async def connect_one(request: web.Request) -> web.StreamResponse:
    """``PUT /channels/{id}/things/{thing_id}``: 200, with the published warning."""
    caller = await bearer(request)
    channel, thing = path_id(request), path_thing(request)
    await _registry(request).channels.connect(caller, [channel], [thing])
    return empty_reply(200, _DEPRECATED)


async def disconnect_one(request: web.Request) -> web.StreamResponse:
    """``DELETE /channels/{id}/things/{thing_id}``: 204."""
    caller = await bearer(request)
    channel, thing = path_id(request), path_thing(request)
    await _registry(request).channels.disconnect(caller, [channel], [thing])
    return empty_reply(204)


async def list_channels(request: web.Request) -> web.StreamResponse:
    """``GET /things/{id}/channels``, in order of connection; the others, if it is so asked."""
    caller = await bearer(request)
    paging, listing = listing_of(request)
    connected = not query_flag(request, "disconnected")
    listed = partial(_registry(request).channels.list_of_thing, connected=connected)
    page, listing = await page_of(listing, listed, caller, path_id(request))
    shown = [shown_channel(channel) for channel in page.items]
    return json_reply({**shown_listing(page, listing, paging), "channels": shown})


async def list_things(request: web.Request) -> web.StreamResponse:
    """``GET /channels/{id}/things``, in order of connection; the others, if it is so asked."""
    caller, things = await bearer(request), _registry(request).things
    paging, listing = listing_of(request)
    connected = not query_flag(request, "disconnected")
    listed = partial(_registry(request).channels.list_things, connected=connected)
    page, listing = await page_of(listing, listed, caller, path_id(request))
    shown = [shown_thing(thing, caller, things) for thing in page.items]
    return json_reply({**shown_listing(page, listing, paging), "things": shown})


async def _both(request: web.Request) -> tuple[list[UUID], list[UUID]]:
    body = await read_object(request)
    alone = body.get("channel_id")  # as since April 2024
    channels = [entity_id(alone)] if alone else ids_of(body, "channel_ids")
    things = ids_of(body, "thing_ids")
    if len(channels) * len(things) > _MOST_CONNECTIONS:
        raise TooLarge(f"these are more than {_MOST_CONNECTIONS} connections")
    return channels, things


def _registry(request: web.Request) -> Registry:
    return request.app[CALLERS].registry


ROUTES: Final = (
    Route("POST", "/connect", connect),
    Route("PUT", "/disconnect", disconnect, needs_room=False),
    Route("PUT", "/channels/{id}/things/{thing_id}", connect_one),
    Route("DELETE", "/channels/{id}/things/{thing_id}", disconnect_one),
    Route("GET", "/things/{id}/channels", list_channels, entity="things"),
    Route("GET", "/channels/{id}/things", list_things),
)
