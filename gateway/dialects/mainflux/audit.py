"""The audit, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from gateway.dialects.mainflux.fields import Shown
from gateway.dialects.mainflux.query import MOST_SHOWN, BadQuery, query_number, query_value
from gateway.identity.records.events import AuditEvent, EventPlace, EventQuery
from gateway.identity.rights import check_admin
from gateway.web.authentication import CALLERS, bearer
from gateway.web.dialect import Route
from gateway.web.responses import json_reply

_DEFAULT: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_events(request: web.Request) -> web.StreamResponse:
    """``GET /audit``: what happened, newest first; ``next`` is where the page after it begins."""
    caller = await bearer(request)
    check_admin(caller)
    page = await request.app[CALLERS].registry.audit.list(caller, _wanted(request))
    shown: dict[str, object] = {"events": [shown_event(event) for event in page.events]}
    if page.following is not None:
        shown["next"] = _written(page.following)
    return json_reply(shown)


def shown_event(event: AuditEvent) -> Shown:
    """What happened, as far as there is something to say of it."""
    said = {
        "id": event.id,
        "at": event.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event": event.event,
        "kind": event.kind,
        "owner": event.owner,
        "name": event.name,
        "blob_id": event.blob_id and str(event.blob_id),
        "actor": event.actor,
        "address": event.address,
        "detail": event.detail,
    }
    return {name: value for name, value in said.items() if value}


def _wanted(request: web.Request) -> EventQuery:
    limit = query_number(request, "limit", _DEFAULT) or _DEFAULT
    if limit > MOST_SHOWN:
        raise BadQuery()
    until, place = _moment(request, "until"), query_value(request, "before")
    return EventQuery(
        since=_moment(request, "since"),
        before=_place(place) if place else EventPlace(until, 0) if until else None,
        event=query_value(request, "event") or None,
        kind=query_value(request, "kind") or None,
        owner=query_value(request, "owner") or None,
        actor=query_value(request, "actor") or None,
        address=query_value(request, "address") or None,
        limit=limit,
    )


def _moment(request: web.Request, name: str) -> datetime | None:
    """RFC 3339, as it is shown. Raises ``BadQuery``."""
    text = query_value(request, name)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError as exc:
        raise BadQuery() from exc
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _written(place: EventPlace) -> str:
    return f"{(place.at - _EPOCH) // timedelta(microseconds=1)}-{place.id}"


def _place(text: str) -> EventPlace:
    """What ``_written`` has written. Raises ``BadQuery``."""
    try:
        at, event_id = (int(part) for part in text.split("-"))
        place = EventPlace(_EPOCH + timedelta(microseconds=at), event_id)
    except (ValueError, OverflowError) as exc:
        raise BadQuery() from exc
    if not 0 <= place.id < 2**63:
        raise BadQuery()
    return place


ROUTES: Final = (Route("GET", "/audit", list_events),)
