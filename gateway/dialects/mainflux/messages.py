"""Mainflux messages: a thing sends SenML to its channel; it and the owner read it back."""

from __future__ import annotations

import math
import time
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import path_id
from gateway.dialects.mainflux.query import (
    BadQuery,
    asks_for_all,
    query_flag,
    query_number,
    query_offset,
    query_value,
)
from gateway.messaging.records import Comparator, MessageQuery, Origin, SentMessage
from gateway.messaging.render import shown_message
from gateway.model.errors import Forbidden, Malformed
from gateway.web.authentication import CALLERS, bearer, has_scheme, thing_key
from gateway.web.context import MESSAGING
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json_text

_FORMAT: Final = "messages"
_DEFAULT_LIMIT: Final = 10
_MOST: Final = 1000
_MOST_PASSED: Final = 100_000  # further back one pages by `to`, which costs nothing
_SUBTOPIC_CHARACTERS: Final = 1024


async def send(request: web.Request) -> web.StreamResponse:
    """``POST /http/channels/{id}/messages[/[{subtopic}]]``: a SenML pack, 202."""
    channel_id = path_id(request)
    publisher = await _connected_thing(request, channel_id)
    origin = Origin(channel_id, publisher, subtopic=_subtopic_of(request))
    body = await read_json_text(request)
    await request.app[MESSAGING].messages.publish(SentMessage(origin, time.time(), body))
    return empty_reply(202)


async def read(request: web.Request) -> web.StreamResponse:
    """``GET /channels/{id}/messages``: a page, the latest first."""
    channel_id = path_id(request)
    await _check_readable(request, channel_id)
    wanted = _wanted(request)
    page = await request.app[MESSAGING].messages.read(channel_id, wanted)
    shown = [shown_message(m.origin, m.record) for m in page.messages]
    return json_reply(
        {
            "offset": wanted.offset,
            "limit": wanted.limit,
            "format": _FORMAT,
            "total": page.total,
            "messages": shown,
        }
    )


async def _connected_thing(request: web.Request, channel_id: UUID) -> UUID:
    """The calling thing. Raises ``Forbidden`` alike for no such channel and no connection."""
    thing_id = UUID((await thing_key(request)).id)
    if not await request.app[CALLERS].registry.channels.connected(channel_id, thing_id):
        raise Forbidden()
    return thing_id


async def _check_readable(request: web.Request, channel_id: UUID) -> None:
    """Let a connected thing and whoever may see the channel pass."""
    if not has_scheme(request, "bearer"):
        await _connected_thing(request, channel_id)
        return
    caller = await bearer(request)
    await request.app[CALLERS].registry.channels.get(caller, channel_id)


def _subtopic_of(request: web.Request) -> str:
    """The rest of the path with dots for slashes, as in the field's own topics."""
    parts = request.match_info.get("subtopic", "").strip("/").split("/")
    subtopic = ".".join(parts)
    if len(subtopic) > _SUBTOPIC_CHARACTERS or not subtopic.isprintable():
        raise Malformed("the subtopic is too long, or contains a control")
    if parts != [""] and not all(parts):
        raise Malformed("a part of the subtopic is empty")
    if any(c in subtopic for c in "*>"):
        raise Malformed("a subtopic that is sent to has no wildcards")
    return subtopic


def _wanted(request: web.Request) -> MessageQuery:
    if query_value(request, "format", _FORMAT) != _FORMAT:
        raise BadQuery()
    # -1 asks for all: as many as a page can have.
    limit = _MOST if asks_for_all(request) else query_number(request, "limit", 0) or _DEFAULT_LIMIT
    if limit > _MOST:
        raise BadQuery()
    return MessageQuery(
        offset=query_offset(request, _MOST_PASSED),
        limit=limit,
        name=query_value(request, "name") or None,
        publisher=_id(request, "publisher"),
        # The Go SDK asks as the path was written; none that is kept has a slash.
        subtopic=query_value(request, "subtopic").replace("/", ".") or None,
        protocol=query_value(request, "protocol") or None,
        since=_number(request, "from"),
        until=_number(request, "to"),
        value=_number(request, "v"),
        comparator=_comparator(request),
        bool_value=query_flag(request, "vb"),
        string_value=_text(request, "vs"),
        data_value=_text(request, "vd"),
    )


def _text(request: web.Request, key: str) -> str | None:
    """The parameter, which may be the empty string."""
    return query_value(request, key) if key in request.query else None


def _id(request: web.Request, key: str) -> UUID | None:
    text = query_value(request, key)
    try:
        return UUID(text) if text else None
    except ValueError as exc:
        raise BadQuery() from exc


def _number(request: web.Request, key: str) -> float | None:
    text = query_value(request, key)
    try:
        number = float(text) if text else None
    except ValueError as exc:
        raise BadQuery() from exc
    if number is not None and not math.isfinite(number):
        raise BadQuery()
    return number


def _comparator(request: web.Request) -> Comparator:
    try:
        return Comparator(query_value(request, "comparator") or Comparator.EQUAL)
    except ValueError as exc:
        raise BadQuery() from exc


ROUTES: Final = (
    Route("POST", "/http/channels/{id}/messages", send),
    Route("POST", "/http/channels/{id}/messages/{subtopic:.*}", send),
    Route("GET", "/channels/{id}/messages", read),
)
