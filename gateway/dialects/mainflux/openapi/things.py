"""Mainflux things, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    LABEL,
    METADATA_OR_NULL,
    NAMED_LISTING,
    REMOVED,
    TEXT_OR_NULL,
    page,
)
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
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

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Thing": record({"id": UUID, "name": TEXT}, {"key": TEXT, "metadata": named("Metadata")}),
    "Things": record({"things": array(named("Thing"))}),
    "ThingPage": page({"things": named("Thing")}, {"order": TEXT, "direction": TEXT}),
    "ThingDraft": record(
        {},
        {
            "name": LABEL,
            "metadata": METADATA_OR_NULL,
            "id": {"type": ["string", "null"], "description": "A UUID of version 4."},
            "key": TEXT_OR_NULL,
        },
    ),
    "ThingChange": record({}, {"name": LABEL, "metadata": METADATA_OR_NULL, "key": TEXT_OR_NULL}),
}

CHAPTER: Final = Chapter(
    "Mainflux things",
    "Devices, each with a key of its own.",
    {
        "POST /things": Operation(
            "Create one thing or several, all or none",
            {201: json_answer("Created; one alone has a Location", named("Things"))},
            (401, 403, 409),
            USER,
            body={
                JSON: {
                    "anyOf": [
                        named("ThingDraft"),
                        {"type": "array", "items": named("ThingDraft"), "minItems": 1},
                    ]
                }
            },
        ),
        "GET /things": Operation(
            "List the things that the caller may see",
            {200: json_answer("One page", named("ThingPage"))},
            (401,),
            USER,
            NAMED_LISTING,
        ),
        "GET /things/{id}": Operation(
            "See a thing, with its key",
            {200: json_answer("The thing", named("Thing"))},
            (401, 404),
            USER,
        ),
        "PUT /things/{id}": Operation(
            "Change what the body has",
            {200: EMPTY},
            (401, 403, 404, 409),
            USER,
            body={JSON: named("ThingChange")},
        ),
        "DELETE /things/{id}": Operation(
            "Remove a thing and its files", {204: REMOVED}, (401, 403, 404), USER
        ),
        "GET /things/{id}/groups": Operation(
            "List the groups that the thing is in",
            {200: json_answer("One page", named("GroupPage"))},
            (401, 404),
            USER,
            NAMED_LISTING,
        ),
    },
)
