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
    json_answer,
    named,
    record,
)

_FORMAT: Final[Schema] = {"enum": ["senml", "json"]}
_EVENTS: Final[Schema] = array({"enum": ["messages", "files"]})
_CHANGE: Final[Mapping[str, Schema]] = {
    "name": {"type": ["string", "null"], "maxLength": 1024},
    "url": {"type": ["string", "null"], "maxLength": 2048},
    "format": {"enum": ["senml", "json", "", None], "default": "json"},
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
            {201: EMPTY},
            (401, 403, 404),
            USER,
            body={
                JSON: {
                    "anyOf": [
                        named("WebhookDrafts"),
                        named("WebhookDraft"),
                        record({"webhooks": named("WebhookDrafts")}),
                    ]
                }
            },
            description="Each message of the thing is posted to the URL as SenML or JSON until "
            "the receiver answers 2xx, in order, at least once.",
        ),
        "GET /webhooks/{id}": Operation(
            "List the webhooks of a thing, or see one by its own id",
            {200: json_answer("They", {"anyOf": [named("Webhooks"), named("Webhook")]})},
            (401, 403, 404),
            USER,
        ),
        "PUT /webhooks/{id}": Operation(
            "Change what the body has",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("WebhookChange")},
        ),
        "DELETE /webhooks/{id}": Operation(
            "Remove a webhook and what it was not told", {204: REMOVED}, (401, 403, 404), USER
        ),
        "PATCH /webhooks": Operation(
            "Remove several webhooks",
            {204: REMOVED},
            (401, 403, 404),
            USER,
            body={JSON: record({"webhook_ids": {**array(TEXT), "minItems": 1}})},
        ),
    },
)
