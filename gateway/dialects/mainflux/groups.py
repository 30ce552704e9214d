"""Mainflux groups: create, see, amend, remove; assign, list and unassign members.

Members are named by id, as published; a user may also be given as an object with an
``id`` or ``email`` and a ``role``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    as_list,
    as_object,
    entity_id,
    flag_of,
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
from gateway.dialects.mainflux.invitations import waiting_reply
from gateway.dialects.mainflux.query import BadQuery, query_value
from gateway.identity.groups import Groups
from gateway.identity.records.groups import Candidate, Group, GroupDraft, Member, MemberKind
from gateway.identity.things import Things, may_see_key
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Malformed
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /groups``: a new group, 201; or, as since April 2024, all of a list or none."""
    caller, groups = await bearer(request), _groups(request)
    body = await read_json(request)
    if isinstance(body, list):
        drafts = [_draft(as_object(item, "a group")) for item in as_list(body, "the body")]
        made = await groups.create_several(caller, drafts)
        shown = [shown_group(await groups.get(caller, group)) for group in made]
        return json_reply({"groups": shown}, 201)
    draft = _draft(as_object(body, "the body"))
    return empty_reply(201, location_of("groups", await groups.create(caller, draft)))


def _draft(body: Mapping[str, Any]) -> GroupDraft:
    return GroupDraft(
        name=check_label(body.get("name"), "name", required=True),
        description=check_label(body.get("description"), "description", lines=True),
        metadata=metadata_of(body),
        parent_id=entity_id(parent) if (parent := text_of(body, "parent_id")) else None,
    )


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}``."""
    caller = await bearer(request)
    return json_reply(shown_group(await _groups(request).get(caller, path_id(request))))


async def list_groups(request: web.Request) -> web.StreamResponse:
    """``GET /groups``: the groups that the caller is in."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _groups(request).list, caller)
    shown = [shown_group(group) for group in page.items]
    return json_reply({**shown_page(page, listing), "groups": shown})


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /groups/{id}``: the name, description or metadata that the body has, 200."""
    caller, group = await _permitted(request, GroupRole.ADMIN)
    body = await read_object(request)
    has = {field for field in ("name", "description", "metadata") if body.get(field) is not None}
    await _groups(request).amend(
        caller,
        group,
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
    """``DELETE /groups/{id}``: the group and its files, 204."""
    caller = await bearer(request)
    await _groups(request).remove(caller, path_id(request))
    return empty_reply(204)


async def list_members(request: web.Request) -> web.StreamResponse:
    """``GET /groups/{id}/members``: things, then users; ``type`` asks for one of the two."""
    caller, things = await bearer(request), request.app[CALLERS].registry.things
    _, listing = listing_of(request)
    group, kind = path_id(request), _kind(request)
    page, listing = await page_of(listing, _groups(request).list_members, caller, group, kind)
    shown = [_shown_member(member, caller, things) for member in page.items]
    return json_reply({**shown_page(page, listing), "name": "", "members": shown})


async def assign(request: web.Request) -> web.StreamResponse:
    """``POST /groups/{id}/members``: all of the members or none, 200."""
    caller, group = await _permitted(request, GroupRole.ADMIN)
    members = as_list((await read_object(request)).get("members"), "members")
    candidates = [_candidate(member) for member in members]
    return waiting_reply(await _groups(request).assign(caller, group, candidates))


async def unassign(request: web.Request) -> web.StreamResponse:
    """``DELETE /groups/{id}/members``: 204, whether or not they were in it.

    With users go their things, unless ``keep_things`` is said by who leaves or by an admin.
    """
    caller, group = await bearer(request), path_id(request)
    try:
        ids, keep = _leaving(await read_object(request))
    except Malformed:
        await _groups(request).check_role(caller, group, GroupRole.VIEWER)
        raise
    await _groups(request).unassign(caller, group, ids, keep_things=keep)
    return empty_reply(204)


def _leaving(body: Mapping[str, Any]) -> tuple[list[UUID], bool]:
    """Who goes, and whether their things stay."""
    members = as_list(body.get("members") or body.get("member_ids"), "members")
    return [_member_id(member) for member in members], flag_of(body, "keep_things")


def shown_group(group: Group) -> Shown:
    """A group as its members see it."""
    shown: dict[str, object] = {
        "id": str(group.id),
        "name": group.name,
        "owner_id": str(group.owner_id),
        "description": group.description,
        "created_at": shown_time(group.created_at),
        "updated_at": shown_time(group.updated_at),
        "level": len(group.path),
        "path": ".".join(str(ancestor) for ancestor in group.path),
    }
    if group.parent_id is not None:
        shown["parent_id"] = str(group.parent_id)
    return with_metadata(shown, group.metadata)


async def _permitted(request: web.Request, needed: GroupRole) -> tuple[Principal, UUID]:
    """The caller and the group of the path, checked before the body is looked at."""
    caller, group = await bearer(request), path_id(request)
    await _groups(request).check_role(caller, group, needed)
    return caller, group


def shown_user_member(member: Member) -> Shown:
    """A user with a role; that it waits, or comes from an org, if it does."""
    role = member.role.name.lower() if member.role is not None else ""
    shown = {"id": str(member.id), "email": member.email, "role": role}
    more = {"pending": member.pending, "org_id": member.org_id and str(member.org_id)}
    return {**shown, **{name: value for name, value in more.items() if value}}


def _shown_member(member: Member, caller: Principal, things: Things) -> Shown:
    """A member. The key of a thing is for its owner, not for everybody in the group."""
    if member.thing is None:
        return shown_user_member(member)
    thing = member.thing
    shown: dict[str, object] = {"id": str(thing.id), "name": thing.name}
    if may_see_key(caller, thing):
        shown["key"] = things.key_of(thing)
    return {**shown, "metadata": thing.metadata}


def _candidate(member: object) -> Candidate:
    if isinstance(member, str):
        return Candidate(id=entity_id(member))
    body = as_object(member, "a member")
    role = role_of(text_of(body, "role"))
    if email := text_of(body, "email"):
        return Candidate(email=email, role=role)
    return Candidate(id=entity_id(body.get("id")), role=role)


def _member_id(member: Any) -> UUID:
    return entity_id(member.get("id") if isinstance(member, dict) else member)


def _kind(request: web.Request) -> MemberKind:
    try:
        return MemberKind(query_value(request, "type"))
    except ValueError as exc:
        raise BadQuery() from exc


def _groups(request: web.Request) -> Groups:
    return request.app[CALLERS].registry.groups


ROUTES: Final = (
    Route("POST", "/groups", create),
    Route("GET", "/groups", list_groups),
    Route("GET", "/groups/{id}", view, entity="groups"),
    Route("PUT", "/groups/{id}", update),
    Route("DELETE", "/groups/{id}", remove),
    Route("GET", "/groups/{id}/members", list_members, entity="groups"),
    Route("POST", "/groups/{id}/members", assign),
    Route("DELETE", "/groups/{id}/members", unassign),
)
