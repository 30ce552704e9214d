"""Mainflux webhooks: who is told what a thing says, and what becomes of its files."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from aiohttp import web

from gateway.dialects.mainflux.fields import (
    Shown,
    as_list,
    as_object,
    ids_of,
    path_id,
    read_object,
)
from gateway.identity.things import may_see_key
from gateway.messaging.records import Event, Format, Webhook, WebhookDraft
from gateway.messaging.targets import parse_target
from gateway.messaging.webhooks import Webhooks
from gateway.model.access import Principal
from gateway.model.errors import Forbidden, Malformed, NotFound
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.context import MESSAGING
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json

E = TypeVar("E", bound=StrEnum)


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /webhooks/{id of a thing}``: one or several, all or none, 201."""
    thing_id = path_id(request)
    await _check_owner(request, await bearer(request), thing_id)
    body = await read_json(request)
    if isinstance(body, dict):
        body = body.get("webhooks", [body])
    drafts = [_draft(as_object(item, "a webhook")) for item in as_list(body, "the body")]
    await _webhooks(request).create(thing_id, drafts)
    return empty_reply(201)


async def view(request: web.Request) -> web.StreamResponse:
    """``GET /webhooks/{id}``: all webhooks of the thing of that id, or the webhook of it."""
    caller, asked = await bearer(request), path_id(request)
    webhook = await _webhooks(request).find(asked)
    if webhook is not None:
        await _check_owner(request, caller, webhook.thing_id)
        return json_reply(shown_webhook(webhook))
    await _check_owner(request, caller, asked)
    webhooks = await _webhooks(request).of_thing(asked)
    return json_reply({"webhooks": [shown_webhook(webhook) for webhook in webhooks]})


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /webhooks/{id}``: what the body has, 200."""
    webhook = await _own(request, await bearer(request), path_id(request))
    body = await read_object(request)
    present = {name: value for name, value in body.items() if value is not None}
    await _webhooks(request).amend(webhook.id, _draft({**_fields(webhook), **present}))
    return empty_reply(200)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /webhooks/{id}``: 204."""
    webhook = await _own(request, await bearer(request), path_id(request))
    await _webhooks(request).remove([webhook.id])
    return empty_reply(204)


async def remove_several(request: web.Request) -> web.StreamResponse:
    """``PATCH /webhooks`` with ``webhook_ids``: all of them, or none, 204."""
    caller = await bearer(request)
    ids = ids_of(await read_object(request), "webhook_ids")
    for webhook_id in ids:
        await _own(request, caller, webhook_id)
    await _webhooks(request).remove(ids)
    return empty_reply(204)


def shown_webhook(webhook: Webhook) -> Shown:
    """A webhook as the thing's owner sees it."""
    return {
        "id": str(webhook.id),
        "thing_id": str(webhook.thing_id),
        **_fields(webhook),
        "failures": webhook.failures,
        "waiting": webhook.waiting,
        "dead": webhook.dead,
    }


def _fields(webhook: Webhook) -> dict[str, object]:
    return {
        "name": webhook.name,
        "format": webhook.format,
        "url": webhook.url,
        "events": sorted(webhook.events),
    }


async def _check_owner(request: web.Request, caller: Principal, thing_id: UUID) -> None:
    """Webhooks are the thing's owner's alone, whatever else is granted to others.

    Raises ``NotFound``, and ``Forbidden`` for a thing that may only be seen.
    """
    thing = await request.app[CALLERS].registry.things.get(caller, thing_id)
    if not may_see_key(caller, thing):
        raise Forbidden()


async def _own(request: web.Request, caller: Principal, webhook_id: UUID) -> Webhook:
    webhook = await _webhooks(request).find(webhook_id)
    if webhook is None:
        raise NotFound()
    await _check_owner(request, caller, webhook.thing_id)
    return webhook


def _draft(body: Mapping[str, Any]) -> WebhookDraft:
    events = body.get("events")
    if events is None:
        events = [Event.MESSAGES]
    return WebhookDraft(
        name=check_label(body.get("name"), "name", required=True),
        target=parse_target(body.get("url")),
        format=_word(Format, body.get("format") or Format.JSON, "format"),
        events=frozenset(_word(Event, event, "events") for event in as_list(events, "events")),
    )


def _word(words: type[E], value: object, field: str) -> E:
    try:
        return words(value if isinstance(value, str) else "")
    except ValueError as exc:
        raise Malformed(f"{field} is none of {', '.join(words)}") from exc


def _webhooks(request: web.Request) -> Webhooks:
    return request.app[MESSAGING].webhooks


ROUTES: Final = (
    Route("POST", "/webhooks/{id}", create),
    Route("GET", "/webhooks/{id}", view),
    Route("PUT", "/webhooks/{id}", update),
    Route("DELETE", "/webhooks/{id}", remove),
    Route("PATCH", "/webhooks", remove_several, needs_room=False),
)
