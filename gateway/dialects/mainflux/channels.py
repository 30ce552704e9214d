"""Mainflux channels: create one or many, see, amend, remove."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    as_list,
    as_object,
    external_id,
    listing_of,
    location_of,
    metadata_of,
    page_of,
    path_id,
    read_object,
    shown_listing,
    with_metadata,
)
from gateway.identity.channels import Channels
from gateway.identity.records.channels import Channel, ChannelDraft
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /channels``: all of a list of channels or none (or a single object), 201."""
    caller = await bearer(request)
    body = await read_json(request)
    items = [body] if isinstance(body, dict) else as_list(body, "the body")
    made = await _channels(request).create(caller, [_draft(item) for item in items])
    headers = location_of("channels", made[0].id) if len(made) == 1 else {}
    return json_reply({"channels": [shown_channel(c) for c in made]}, 201, headers)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /channels/{id}``."""
    caller = await bearer(request)
    return json_reply(shown_channel(await _channels(request).get(caller, path_id(request))))


async def list_channels(request: web.Request) -> web.StreamResponse:
    """``GET /channels``: the channels that the caller may see."""
    caller = await bearer(request)
    paging, listing = listing_of(request)
    page, listing = await page_of(listing, _channels(request).list, caller)
    shown = [shown_channel(channel) for channel in page.items]
    return json_reply({**shown_listing(page, listing, paging), "channels": shown})


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /channels/{id}``: the name or metadata that the body has, 200."""
    caller = await bearer(request)
    channel = await _channels(request).get_to_change(caller, path_id(request))
    body = await read_object(request)
    await _channels(request).amend(
        caller,
        channel.id,
        name=check_label(body["name"], "name") if body.get("name") is not None else None,
        metadata=metadata_of(body) if body.get("metadata") is not None else None,
    )
    return empty_reply(200)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /channels/{id}``: 204."""
    caller = await bearer(request)
    await _channels(request).remove(caller, path_id(request))
    return empty_reply(204)


def shown_channel(channel: Channel) -> Shown:
    """A channel."""
    return with_metadata({"id": str(channel.id), "name": channel.name}, channel.metadata)


def _draft(item: object) -> ChannelDraft:
    body = as_object(item, "a channel")
    name = check_label(body.get("name"), "name")
    return ChannelDraft(name, metadata_of(body), external_id(body))


def _channels(request: web.Request) -> Channels:
    return request.app[CALLERS].registry.channels


ROUTES: Final = (
    Route("POST", "/channels", create),
    Route("GET", "/channels", list_channels),
    Route("GET", "/channels/{id}", view),
    Route("PUT", "/channels/{id}", update),
    Route("DELETE", "/channels/{id}", remove),
)
