"""What clients of other generations of the same APIs ask for, in their own words.

Mainflux 0.10 to 0.13 (bulk creation, trees of groups), MainfluxLabs of 2023 (``/register``,
search, a thing's new key), and the user interfaces of both. All of it is another word for a route
that the published page has, so nothing is decided here.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux import channels, things, users
from gateway.dialects.mainflux.fields import (
    listing_of,
    metadata_of,
    page_of,
    path_id,
    read_object,
    shown_listing,
    shown_page,
    text_of,
)
from gateway.dialects.mainflux.groups import shown_group
from gateway.dialects.mainflux.query import MOST_PASSED, BadQuery, query_number
from gateway.dialects.mainflux.users import shown_user
from gateway.identity.records.groups import Group, MemberKind
from gateway.identity.records.paging import EntityListing, EntityOrder
from gateway.identity.registry import Registry
from gateway.model.access import GroupRole
from gateway.model.errors import Malformed
from gateway.model.paging import Page
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_LEVELS: Final = 5
_MOST: Final = 200
_DIRECTIONS: Final = {"": False, "asc": False, "desc": True}


async def view_profile(request: web.Request) -> web.StreamResponse:
    """``GET /users/profile``: the caller's own account."""
    caller = await bearer(request)
    user = await _registry(request).users.get(caller, UUID(caller.id))
    return json_reply(shown_user(user))


async def change_key(request: web.Request) -> web.StreamResponse:
    """``PATCH /things/{id}/key``: another key, 200."""
    caller, own = await bearer(request), _registry(request).things
    thing = await own.get_to_change(caller, path_id(request))
    key = text_of(await read_object(request), "key")
    if not key:
        raise Malformed("key is missing")
    await own.amend(caller, thing.id, key=key)
    return empty_reply(200)


async def search_things(request: web.Request) -> web.StreamResponse:
    """``POST /things/search``: as ``GET /things``, asked in a JSON body."""
    caller, registry = await bearer(request), _registry(request)
    listing = _listing(await read_object(request))
    page, listing = await page_of(listing, registry.things.list, caller)
    shown = [things.shown_thing(thing, caller, registry.things) for thing in page.items]
    return json_reply({**_found_page(page, listing), "things": shown})


async def search_channels(request: web.Request) -> web.StreamResponse:
    """``POST /channels/search``: as ``GET /channels``, asked in a JSON body."""
    caller, registry = await bearer(request), _registry(request)
    listing = _listing(await read_object(request))
    page, listing = await page_of(listing, registry.channels.list, caller)
    shown = [channels.shown_channel(channel) for channel in page.items]
    return json_reply({**_found_page(page, listing), "channels": shown})


async def list_children(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}/children``: the group, and those below it."""
    return await _related(request, above=False)


async def list_parents(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}/parents``: the group, and those above it."""
    return await _related(request, above=True)


async def list_things_of_group(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}/things``: the things among its members."""
    caller, registry = await bearer(request), _registry(request)
    paging, listing = listing_of(request)
    listed, group = registry.groups.list_members, path_id(request)
    page, listing = await page_of(listing, listed, caller, group, MemberKind.THINGS)
    members = [member.thing for member in page.items if member.thing is not None]
    shown = [things.shown_thing(thing, caller, registry.things) for thing in members]
    return json_reply({**shown_listing(page, listing, paging), "things": shown})


async def list_channels_of_group(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}/channels``: none, for no channel is in a group here."""
    caller, (paging, listing) = await bearer(request), listing_of(request)
    await _registry(request).groups.check_role(caller, path_id(request), GroupRole.VIEWER)
    return json_reply({**shown_listing(Page(0, []), listing, paging), "channels": []})


async def list_memberships(request: web.Request) -> web.StreamResponse:
    """``GET /members/{id}/groups``: the groups of a user or thing."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    listed = _registry(request).groups.list_of_member
    page, listing = await page_of(listing, listed, caller, path_id(request))
    return _groups_page(page, listing)


async def _related(request: web.Request, *, above: bool) -> web.StreamResponse:
    caller = await bearer(request)
    _, listing = listing_of(request)
    levels = query_number(request, "level", _LEVELS) or _LEVELS
    if levels > _LEVELS:
        raise BadQuery()
    listed = partial(_registry(request).groups.list_related, above=above, levels=levels)
    page, listing = await page_of(listing, listed, caller, path_id(request))
    return _groups_page(page, listing)


def _groups_page(page: Page[Group], listing: EntityListing) -> web.StreamResponse:
    return json_reply({**shown_page(page, listing), "groups": [shown_group(g) for g in page.items]})


def _found_page(page: Page[Any], listing: EntityListing) -> dict[str, object]:
    direction = "desc" if listing.descending else "asc"
    return {**shown_page(page, listing), "order": str(listing.order), "direction": direction}


def _listing(body: dict[str, Any]) -> EntityListing:
    """What a search asks for. Raises ``BadQuery`` or ``Malformed``."""
    order, direction = text_of(body, "order"), text_of(body, "dir")
    limit = _count(body, "limit", 10)
    if limit > _MOST or direction not in _DIRECTIONS or order not in ("", "name", "id"):
        raise BadQuery()
    return EntityListing(
        offset=_offset(body),
        limit=limit or None,
        order=EntityOrder(order or EntityOrder.CREATED),
        descending=_DIRECTIONS[direction],
        name=text_of(body, "name"),
        metadata=metadata_of(body),
    )


def _offset(body: dict[str, Any]) -> int:
    offset = _count(body, "offset", 0)
    if offset > MOST_PASSED:
        raise BadQuery()
    return offset


def _count(body: dict[str, Any], field: str, default: int) -> int:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise BadQuery()
    return value


def _registry(request: web.Request) -> Registry:
    return request.app[CALLERS].registry


ROUTES: Final = (
    Route("POST", "/register", users.register),
    Route("GET", "/users/profile", view_profile),
    Route("POST", "/things/bulk", things.create),
    Route("POST", "/things/search", search_things, needs_room=False, reads=True),
    Route("PATCH", "/things/{id}/key", change_key),
    Route("POST", "/channels/bulk", channels.create),
    Route("POST", "/channels/search", search_channels, needs_room=False, reads=True),
    Route("GET", "/groups/{id}/children", list_children),
    Route("GET", "/groups/{id}/parents", list_parents),
    Route("GET", "/groups/{id}/things", list_things_of_group),
    Route("GET", "/groups/{id}/channels", list_channels_of_group),
    Route("GET", "/members/{id}/groups", list_memberships),
)
