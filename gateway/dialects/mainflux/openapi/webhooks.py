"""Mainflux webhooks, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import EMPTY, REMOVED
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    COUNT,
    JSON,
    TEXT,
    UUID,
    Chapter,
    Operation,
    Schema,
    array,
    json_response,
    named,
    record,
)

_FORMATS: Final = ("senml", "json", "records", "resolved")
_FORMAT: Final[Schema] = {
    "enum": list(_FORMATS),
    "description": "`senml` and `json`: the message as the thing sent it. `records`: a list of "
    "messages as they are read back. `resolved`: a SenML pack without base fields.",
}
_EVENTS: Final[Schema] = array({"enum": ["messages", "files"]})
_CHANGE: Final[Mapping[str, Schema]] = {
    "name": {"type": ["string", "null"], "maxLength": 1024},
    "url": {"type": ["string", "null"], "maxLength": 2048},
    "format": {"enum": [*_FORMATS, "", None], "description": "`json` unless it is given."},
    "events": {**_EVENTS, "type": ["array", "null"], "minItems": 1, "default": ["messages"]},
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Webhook": record(
        {
            **dict.fromkeys(("id", "thing_id"), UUID),
            "name": TEXT,
            "format": _FORMAT,
            "url": TEXT,
            "events": _EVENTS,
            "failures": {**COUNT, "description": "Attempts in a row that failed."},
            "waiting": {**COUNT, "description": "Deliveries that wait, counted up to 1000."},
            "dead": {**COUNT, "description": "Deliveries given up, counted up to 1000."},
        }
    ),
    "Webhooks": record({"webhooks": array(named("Webhook"))}),
    "WebhookDraft": record({"name": TEXT, "url": TEXT}, {**_CHANGE, "name": TEXT, "url": TEXT}),
    "WebhookDrafts": {**array(named("WebhookDraft")), "minItems": 1, "maxItems": 20},
    "WebhookChange": record({}, _CHANGE),
}

CHAPTER: Final = Chapter(
    "Mainflux webhooks",
    "Who is told what a thing says, and what becomes of its files.",
    {
        "POST /webhooks/{id}": Operation(
            "Create one webhook or several for a thing, all or none",
            responses={201: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={
                JSON: {
                    "anyOf": [
                        named("WebhookDrafts"),
                        named("WebhookDraft"),
                        record({"webhooks": named("WebhookDrafts")}),
                    ]
                }
            },
            description="Each message of the thing is posted to the URL, in its format, until "
            "the receiver answers 2xx, in order, at least once.",
        ),
        "GET /webhooks/{id}": Operation(
            "List the webhooks of a thing, or see one by its own id",
            responses={
                200: json_response("They", {"anyOf": [named("Webhooks"), named("Webhook")]})
            },
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "PUT /webhooks/{id}": Operation(
            "Change what the body has",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("WebhookChange")},
        ),
        "DELETE /webhooks/{id}": Operation(
            "Remove a webhook and what it was not told",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "PATCH /webhooks": Operation(
            "Remove several webhooks",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: record({"webhook_ids": {**array(TEXT), "minItems": 1}})},
        ),
    },
)
