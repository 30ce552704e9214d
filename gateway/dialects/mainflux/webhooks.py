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
from gateway.messaging.headers import check_headers
from gateway.messaging.records import Event, Format, Webhook, WebhookDraft
from gateway.messaging.targets import parse_target
from gateway.messaging.webhooks import LONGEST_OVERLAP_SECONDS, Webhooks
from gateway.model.access import Principal
from gateway.model.errors import Forbidden, Malformed, NotFound
from gateway.model.label import check_label
from gateway.web.authentication import CALLERS, bearer
from gateway.web.context import MESSAGING
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply
from gateway.web.uploads.body import read_json

E = TypeVar("E", bound=StrEnum)
_DAY_SECONDS: Final = 86_400
_NEVER_KEPT: Final = {"Cache-Control": "no-store"}


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /webhooks/{id of a thing}``: one or several, all or none, 201 without a body.

    If one of them is signed, 200 with all of them and, this once, the secrets.
    """
    thing_id = path_id(request)
    caller = await bearer(request)
    await _check_owner(request, caller, thing_id)
    body = await read_json(request)
    if isinstance(body, dict):
        body = body.get("webhooks", [body])
    drafts = [_draft(as_object(item, "a webhook")) for item in as_list(body, "the body")]
    made = await _webhooks(request).create(thing_id, drafts, actor=caller.id)
    if not any(made.values()):
        return empty_reply(201)
    shown = [shown_webhook(w) for w in await _webhooks(request).of_thing(thing_id) if w.id in made]
    secrets = {str(webhook_id): {"secret": secret} for webhook_id, secret in made.items() if secret}
    told = [{**webhook, **secrets.get(str(webhook["id"]), {})} for webhook in shown]
    return json_reply({"webhooks": told}, headers=_NEVER_KEPT)


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
    caller = await bearer(request)
    webhook = await _own(request, caller, path_id(request))
    body = await read_object(request)
    present = {name: value for name, value in body.items() if value is not None}
    draft = _draft({**_fields(webhook), **present}, webhook.headers)
    await _webhooks(request).amend(webhook.id, draft, actor=caller.id)
    return empty_reply(200)


async def rotate(request: web.Request) -> web.StreamResponse:
    """``POST /webhooks/{id}/secret``: a new secret, shown this once, 201.

    The one until now signs as well for ``overlap_seconds``, a day unless the body says otherwise.
    """
    caller = await bearer(request)
    webhook = await _own(request, caller, path_id(request))
    body = await read_object(request) if request.body_exists else {}
    overlap = _overlap(body.get("overlap_seconds"))
    secret = await _webhooks(request).rotate(webhook.id, overlap_seconds=overlap, actor=caller.id)
    shown = {"secret": secret, "overlap_seconds": overlap if webhook.signed else 0}
    return json_reply(shown, status=201, headers=_NEVER_KEPT)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /webhooks/{id}``: 204."""
    caller = await bearer(request)
    webhook = await _own(request, caller, path_id(request))
    await _webhooks(request).remove([webhook.id], actor=caller.id)
    return empty_reply(204)


async def remove_several(request: web.Request) -> web.StreamResponse:
    """``PATCH /webhooks`` with ``webhook_ids``: all of them, or none, 204."""
    caller = await bearer(request)
    ids = ids_of(await read_object(request), "webhook_ids")
    for webhook_id in ids:
        await _own(request, caller, webhook_id)
    await _webhooks(request).remove(ids, actor=caller.id)
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
        **({"signed": True} if webhook.signed else {}),
        **({"unconfirmed": True} if webhook.unconfirmed else {}),
        **({"disabled": webhook.disabled} if webhook.disabled else {}),
    }


def _fields(webhook: Webhook) -> dict[str, object]:
    """What can be given as well. Of headers no value is shown: ``null`` leaves one as it is."""
    own = {"headers": dict.fromkeys(webhook.headers)} if webhook.headers else {}
    return {
        "name": webhook.name,
        "format": webhook.format,
        "url": webhook.url,
        "events": sorted(webhook.events),
        **own,
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


def _draft(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> WebhookDraft:
    """What the body says. ``headers`` are those that the webhook has."""
    events = body.get("events")
    if events is None:
        events = [Event.MESSAGES]
    return WebhookDraft(
        name=check_label(body.get("name"), "name", required=True),
        target=parse_target(body.get("url")),
        format=_word(Format, body.get("format") or Format.JSON, "format"),
        events=frozenset(_word(Event, event, "events") for event in as_list(events, "events")),
        headers=check_headers(body.get("headers") or {}, headers or {}),
        signed=_flag(body, "signed"),
    )


def _flag(body: Mapping[str, Any], field: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"{field} is neither true nor false")
    return bool(value)


def _overlap(value: object) -> int:
    seconds = _DAY_SECONDS if value is None else value
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise Malformed("overlap_seconds is not a whole number")
    if not 0 <= seconds <= LONGEST_OVERLAP_SECONDS:
        raise Malformed(f"overlap_seconds is not 0 to {LONGEST_OVERLAP_SECONDS}")
    return seconds


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
    Route("POST", "/webhooks/{id}/secret", rotate),
    Route("DELETE", "/webhooks/{id}", remove),
    Route("PATCH", "/webhooks", remove_several, needs_room=False),
)
