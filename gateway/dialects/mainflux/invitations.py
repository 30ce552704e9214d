"""Invitations to accounts, and roles that wait for whoever has the e-mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    text_of,
)
from gateway.identity.invitations import INVITATION_SECONDS, LONGEST_SECONDS, Invitations
from gateway.identity.records.invitations import Invitation, Issued
from gateway.model.errors import Malformed
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply


async def invite(request: web.Request) -> web.StreamResponse:
    """``POST /invitations``: an invitation to an account; its token is shown only here, 201."""
    caller = await bearer(request)
    body = await read_object(request)
    issued = await _invitations(request).invite(caller, text_of(body, "email"), _duration(body))
    return json_reply(shown_issued(issued), 201)


async def list_invitations(request: web.Request) -> web.StreamResponse:
    """``GET /invitations``: those that the caller made or that are to them; all, for an admin."""
    caller = await bearer(request)
    _, listing = listing_of(request)
    page, listing = await page_of(listing, _invitations(request).list, caller)
    shown = [_shown(invitation) for invitation in page.items]
    return json_reply({**shown_page(page, listing), "invitations": shown})


async def accept(request: web.Request) -> web.StreamResponse:
    """``POST /invitations/accept``: the caller has what the token gives, 200."""
    caller = await bearer(request)
    token = text_of(await read_object(request), "token")
    return json_reply(_shown(await _invitations(request).accept(caller, token)))


async def revoke(request: web.Request) -> web.StreamResponse:
    """``DELETE /invitations/{id}``: 204."""
    caller = await bearer(request)
    await _invitations(request).revoke(caller, path_id(request))
    return empty_reply(204)


def waiting_reply(waiting: Sequence[Issued]) -> web.StreamResponse:
    """200: empty, or with the roles that wait, each with the token to send to its e-mail."""
    if not waiting:
        return empty_reply(200)
    return json_reply({"pending": [shown_issued(issued) for issued in waiting]})


def shown_issued(issued: Issued) -> Shown:
    """An invitation with its token."""
    return {**_shown(issued.invitation), "token": issued.token}


def _shown(invitation: Invitation) -> Shown:
    """An invitation; what it is to, if it is not to an account."""
    to: Mapping[str, object] = {
        "user_id": invitation.user_id and str(invitation.user_id),
        "group_id": invitation.group_id and str(invitation.group_id),
        "org_id": invitation.org_id and str(invitation.org_id),
        "role": invitation.role and invitation.role.name.lower(),
        "inviter": invitation.inviter,
    }
    return {
        "id": str(invitation.id),
        "email": invitation.email,
        **{name: value for name, value in to.items() if value},
        "created_at": shown_time(invitation.created_at),
        "expires_at": shown_time(invitation.expires_at),
    }


def _duration(body: Mapping[str, Any]) -> float:
    value = body.get("duration") or INVITATION_SECONDS
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed("duration is not a number of seconds")
    if not 1 <= value <= LONGEST_SECONDS:
        raise Malformed(f"duration is not between 1 and {LONGEST_SECONDS} seconds")
    return float(value)


def _invitations(request: web.Request) -> Invitations:
    return request.app[CALLERS].registry.invitations


ROUTES: Final = (
    Route("POST", "/invitations", invite),
    Route("GET", "/invitations", list_invitations),
    Route("POST", "/invitations/accept", accept),
    Route("DELETE", "/invitations/{id}", revoke),
)
