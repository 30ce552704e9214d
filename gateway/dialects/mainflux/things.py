"""Mainflux things: create one or many, see, amend, remove; the groups that one is in."""

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
    shown_page,
    text_of,
    with_metadata,
)
from gateway.dialects.mainflux.groups import shown_group
from gateway.identity.records.things import Thing, ThingDraft
from gateway.identity.registry import Registry
from gateway.identity.things import Things, may_see_key
from gateway.model.access import Principal
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /things``: all of a list of things or none (or a single object), 201."""
    caller, things = await bearer(request), _things(request)
    body = await read_json(request)
    items = [body] if isinstance(body, dict) else as_list(body, "the body")
    made = await things.create(caller, [_draft(item) for item in items])
    headers = location_of("things", made[0].id) if len(made) == 1 else {}
    return json_reply({"things": [shown_thing(t, caller, things) for t in made]}, 201, headers)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /things/{id}``, with its key."""
    caller, things = await bearer(request), _things(request)
    return json_reply(shown_thing(await things.get(caller, path_id(request)), caller, things))


async def list_things(request: web.Request) -> web.StreamResponse:
    """``GET /things``: the things that the caller may see."""
    caller, things = await bearer(request), _things(request)
    paging, listing = listing_of(request)
    page, listing = await page_of(listing, things.list, caller)
    return json_reply(
        {
            **shown_listing(page, listing, paging),
            "things": [shown_thing(t, caller, things) for t in page.items],
        }
    )


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /things/{id}``: the name, metadata or key that the body has, 200."""
    caller, things = await bearer(request), _things(request)
    thing = await things.get_to_change(caller, path_id(request))
    body = await read_object(request)
    await things.amend(
        caller,
        thing.id,
        name=check_label(body["name"], "name") if body.get("name") is not None else None,
        metadata=metadata_of(body) if body.get("metadata") is not None else None,
        key=text_of(body, "key") or None,
    )
    return empty_reply(200)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /things/{id}``: the thing and its files, 204."""
    caller = await bearer(request)
    await _things(request).remove(caller, path_id(request))
    return empty_reply(204)


async def list_groups(request: web.Request) -> web.StreamResponse:
    """``GET /things/{id}/groups``: the groups that the thing and the caller are in."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    groups = _registry(request).groups
    page, listing = await page_of(listing, groups.list_of_thing, caller, path_id(request))
    shown = [shown_group(group) for group in page.items]
    return json_reply({**shown_page(page, listing), "groups": shown})


def shown_thing(thing: Thing, caller: Principal, things: Things) -> Shown:
    """A thing. Its key is for its owner, not for everybody who may see it."""
    shown: dict[str, object] = {"id": str(thing.id), "name": thing.name}
    if may_see_key(caller, thing):
        shown["key"] = things.key_of(thing)
    return with_metadata(shown, thing.metadata)


def _draft(item: object) -> ThingDraft:
    body = as_object(item, "a thing")
    return ThingDraft(
        name=check_label(body.get("name"), "name"),
        metadata=metadata_of(body),
        id=external_id(body),
        key=text_of(body, "key") or None,
    )


def _registry(request: web.Request) -> Registry:
    return request.app[CALLERS].registry


def _things(request: web.Request) -> Things:
    return _registry(request).things


ROUTES: Final = (
    Route("POST", "/things", create),
    Route("GET", "/things", list_things),
    Route("GET", "/things/{id}", view, entity="things"),
    Route("PUT", "/things/{id}", update, entity="things"),
    Route("DELETE", "/things/{id}", remove),
    Route("GET", "/things/{id}/groups", list_groups, entity="things"),
)
