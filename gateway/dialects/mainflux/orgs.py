"""Mainflux orgs: create, see, amend, remove; their members, their groups, memberships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    as_list,
    as_object,
    ids_of,
    listing_of,
    location_of,
    metadata_of,
    page_of,
    path_id,
    read_object,
    role_of,
    shown_page,
    shown_time,
    text_of,
    with_metadata,
)
from gateway.dialects.mainflux.groups import shown_group, shown_user_member
from gateway.dialects.mainflux.invitations import waiting_reply
from gateway.identity.orgs import Orgs
from gateway.identity.records.orgs import Org, OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Malformed
from gateway.model.label import check_label
from gateway.model.paging import Page
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /orgs``: a new org, 201."""
    caller = await bearer(request)
    body = await read_object(request)
    draft = OrgDraft(
        name=check_label(body.get("name"), "name", required=True),
        description=check_label(body.get("description"), "description", lines=True),
        metadata=metadata_of(body),
    )
    return empty_reply(201, location_of("orgs", await _orgs(request).create(caller, draft)))


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /orgs/{id}``."""
    caller = await bearer(request)
    return json_reply(_shown(await _orgs(request).get(caller, path_id(request))))


async def list_orgs(request: web.Request) -> web.StreamResponse:
    """``GET /orgs``: the orgs that the caller is in; all of them, for an admin."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _orgs(request).list, caller)
    return _orgs_page(page, listing)


async def list_memberships(request: web.Request) -> web.StreamResponse:
    """``GET /members/{id}/orgs``: the orgs that a user is in."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _orgs(request).list_of_member, caller, path_id(request))
    return _orgs_page(page, listing)


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /orgs/{id}``: the name, description or metadata that the body has, 200."""
    caller, org = await _permitted(request, GroupRole.ADMIN)
    body = await read_object(request)
    has = {field for field in ("name", "description", "metadata") if body.get(field) is not None}
    await _orgs(request).amend(
        caller,
        org,
        name=check_label(body["name"], "name", required=True) if "name" in has else None,
        description=(
            check_label(body["description"], "description", lines=True)
            if "description" in has
            else None
        ),
        metadata=metadata_of(body) if "metadata" in has else None,
    )
    return empty_reply(200)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /orgs/{id}``: 204."""
    caller = await bearer(request)
    await _orgs(request).remove(caller, path_id(request))
    return empty_reply(204)


async def list_members(request: web.Request) -> web.StreamResponse:
    """``GET /orgs/{id}/members``, with their roles."""
    caller = await bearer(request)
    _, listing = listing_of(request, name="email")
    page, listing = await page_of(listing, _orgs(request).list_members, caller, path_id(request))
    shown = [shown_user_member(member) for member in page.items]
    return json_reply({**shown_page(page, listing), "name": listing.name, "members": shown})


async def assign(request: web.Request) -> web.StreamResponse:
    """``POST /orgs/{id}/members``: all of the users or none, by e-mail, 200."""
    caller, org = await _permitted(request, GroupRole.ADMIN)
    roles = _roles(await read_object(request))
    return waiting_reply(await _orgs(request).assign(caller, org, roles))


async def update_members(request: web.Request) -> web.StreamResponse:
    """``PUT /orgs/{id}/members``: other roles for all of the members or none, 200."""
    caller, org = await _permitted(request, GroupRole.ADMIN)
    roles = _roles(await read_object(request))
    await _orgs(request).assign(caller, org, roles, members_only=True)
    return empty_reply(200)


async def unassign(request: web.Request) -> web.StreamResponse:
    """``DELETE /orgs/{id}/members``: 204, whether or not they were in it."""
    caller, org = await _permitted(request, GroupRole.VIEWER)
    await _orgs(request).unassign(caller, org, ids_of(await read_object(request), "member_ids"))
    return empty_reply(204)


async def list_groups(request: web.Request) -> web.StreamResponse:
    """``GET /orgs/{id}/groups``."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _orgs(request).list_groups, caller, path_id(request))
    shown = [shown_group(group) for group in page.items]
    return json_reply({**shown_page(page, listing), "name": listing.name, "groups": shown})


async def assign_groups(request: web.Request) -> web.StreamResponse:
    """``POST /orgs/{id}/groups``: all of the groups or none, 200."""
    caller, org = await _permitted(request, GroupRole.EDITOR)
    groups = ids_of(await read_object(request), "group_ids")
    await _orgs(request).assign_groups(caller, org, groups)
    return empty_reply(200)


async def unassign_groups(request: web.Request) -> web.StreamResponse:
    """``DELETE /orgs/{id}/groups``: 204, whether or not they were in it."""
    caller, org = await bearer(request), path_id(request)
    try:
        groups = ids_of(await read_object(request), "group_ids")
    except Malformed:
        await _orgs(request).check_role(caller, org, GroupRole.EDITOR)
        raise
    await _orgs(request).unassign_groups(caller, org, groups)
    return empty_reply(204)


async def _permitted(request: web.Request, needed: GroupRole) -> tuple[Principal, UUID]:
    """The caller and the org of the path, checked before the body is looked at."""
    caller, org = await bearer(request), path_id(request)
    await _orgs(request).check_role(caller, org, needed)
    return caller, org


def _orgs_page(page: Page[Org], listing: EntityListing) -> web.StreamResponse:
    shown = [_shown(org) for org in page.items]
    return json_reply({**shown_page(page, listing), "name": listing.name, "orgs": shown})


def _shown(org: Org) -> Shown:
    shown: dict[str, object] = {
        "id": str(org.id),
        "name": org.name,
        "owner_id": str(org.owner_id),
        "description": org.description,
        "created_at": shown_time(org.created_at),
        "updated_at": shown_time(org.updated_at),
    }
    return with_metadata(shown, org.metadata)


def _roles(body: Mapping[str, Any]) -> dict[str, GroupRole]:
    """The roles by e-mail. Raises ``Malformed``, for an e-mail that is there twice too."""
    roles: dict[str, GroupRole] = {}
    for item in as_list(body.get("members"), "members"):
        member = as_object(item, "a member")
        email = text_of(member, "email").lower()
        if not email or email in roles:
            raise Malformed("each member has an e-mail, and is there once")
        roles[email] = role_of(text_of(member, "role"))
    return roles


def _orgs(request: web.Request) -> Orgs:
    return request.app[CALLERS].registry.orgs


ROUTES: Final = (
    Route("POST", "/orgs", create),
    Route("GET", "/orgs", list_orgs),
    Route("GET", "/orgs/{id}", view),
    Route("PUT", "/orgs/{id}", update),
    Route("DELETE", "/orgs/{id}", remove),
    Route("GET", "/orgs/{id}/members", list_members),
    Route("POST", "/orgs/{id}/members", assign),
    Route("PUT", "/orgs/{id}/members", update_members),
    Route("DELETE", "/orgs/{id}/members", unassign),
    Route("GET", "/orgs/{id}/groups", list_groups),
    Route("POST", "/orgs/{id}/groups", assign_groups),
    Route("DELETE", "/orgs/{id}/groups", unassign_groups),
    Route("GET", "/members/{id}/orgs", list_memberships),
)
