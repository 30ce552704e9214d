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
    "headers": {
        "type": ["object", "null"],
        "maxProperties": 16,
        "additionalProperties": {"type": ["string", "null"], "maxLength": 1024},
        "description": "Sent with each delivery. Values are not shown again; `null` leaves one as "
        "it is.",
    },
}
_SIGNED: Final[Schema] = {
    "type": ["boolean", "null"],
    "description": "Made with a secret, which is shown in this response and never again.",
}
_SECRET: Final[Schema] = {"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{43}=$"}
_OVERLAP: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 2_592_000}
_WEBHOOK: Final[Mapping[str, Schema]] = {
    **dict.fromkeys(("id", "thing_id"), UUID),
    "name": TEXT,
    "format": _FORMAT,
    "url": TEXT,
    "events": _EVENTS,
    "failures": {**COUNT, "description": "Attempts in a row that failed."},
    "waiting": {**COUNT, "description": "Deliveries that wait, counted up to 1000."},
    "dead": {**COUNT, "description": "Deliveries given up, counted up to 1000."},
}
_WEBHOOK_MORE: Final[Mapping[str, Schema]] = {
    "headers": {
        "type": "object",
        "additionalProperties": {"type": "null"},
        "description": "Names of its own headers.",
    },
    "signed": {"type": "boolean", "description": "It has a secret."},
    "unconfirmed": {
        "type": "boolean",
        "description": "The host is asked first whether it wants to hear of us.",
    },
    "disabled": {
        "enum": ["gone", "unconfirmed"],
        "description": "Nothing is delivered any more: the receiver said 410, or never confirmed.",
    },
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Webhook": record(_WEBHOOK, _WEBHOOK_MORE),
    "WebhookMade": record(_WEBHOOK, {**_WEBHOOK_MORE, "secret": _SECRET}),
    "WebhooksMade": record({"webhooks": array(named("WebhookMade"))}),
    "WebhookSecret": record({"secret": _SECRET, "overlap_seconds": _OVERLAP}),
    "WebhookRotation": record(
        {}, {"overlap_seconds": {**_OVERLAP, "type": ["integer", "null"], "default": 86_400}}
    ),
    "Webhooks": record({"webhooks": array(named("Webhook"))}),
    "WebhookDraft": record(
        {"name": TEXT, "url": TEXT}, {**_CHANGE, "name": TEXT, "url": TEXT, "signed": _SIGNED}
    ),
    "WebhookDrafts": {**array(named("WebhookDraft")), "minItems": 1, "maxItems": 20},
    "WebhookChange": record({}, _CHANGE),
}

CHAPTER: Final = Chapter(
    "Mainflux webhooks",
    "Who is told what a thing says, and what becomes of its files.",
    {
        "POST /webhooks/{id}": Operation(
            "Create one webhook or several for a thing, all or none",
            responses={
                200: json_response("If one is signed: they, with secrets", named("WebhooksMade")),
                201: EMPTY,
            },
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
            "the receiver answers 2xx, in order, at least once. 410 ends the webhook.",
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
        "POST /webhooks/{id}/secret": Operation(
            "Give a webhook a new secret, shown this once",
            responses={201: json_response("The secret", named("WebhookSecret"))},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("WebhookRotation")},
            body_required=False,
            description="Deliveries are signed by Standard Webhooks. The secret until now signs as "
            "well for `overlap_seconds`, a day unless the body says otherwise.",
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
