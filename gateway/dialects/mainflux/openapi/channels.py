"""Mainflux channels and connections, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    EMPTY,
    LABEL,
    METADATA_OR_NULL,
    NAMED_LISTING,
    REMOVED,
    page,
)
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    JSON,
    TEXT,
    UUID,
    Answer,
    Chapter,
    Operation,
    Schema,
    array,
    json_answer,
    named,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Channel": record({"id": UUID, "name": TEXT}, {"metadata": named("Metadata")}),
    "Channels": record({"channels": array(named("Channel"))}),
    "ChannelPage": page({"channels": named("Channel")}, {"order": TEXT, "direction": TEXT}),
    "ChannelDraft": record(
        {},
        {
            "name": LABEL,
            "metadata": METADATA_OR_NULL,
            "id": {"type": ["string", "null"], "description": "A UUID of version 4."},
        },
    ),
    "ChannelChange": record({}, {"name": LABEL, "metadata": METADATA_OR_NULL}),
    "Connections": record(
        {
            "channel_ids": {**array(TEXT), "minItems": 1},
            "thing_ids": {**array(TEXT), "minItems": 1},
        }
    ),
    "ThingToAccess": record({"thing_id": TEXT}),
}

CHAPTER: Final = Chapter(
    "Mainflux channels",
    "What things are connected to, and which are connected to which.",
    {
        "POST /channels": Operation(
            "Create one channel or several, all or none",
            {201: json_answer("Created; one alone has a Location", named("Channels"))},
            (401, 403, 409),
            USER,
            body={
                JSON: {
                    "anyOf": [
                        named("ChannelDraft"),
                        {"type": "array", "items": named("ChannelDraft"), "minItems": 1},
                    ]
                }
            },
        ),
        "GET /channels": Operation(
            "List the channels that the caller may see",
            {200: json_answer("One page", named("ChannelPage"))},
            (401,),
            USER,
            NAMED_LISTING,
        ),
        "GET /channels/{id}": Operation(
            "See a channel",
            {200: json_answer("The channel", named("Channel"))},
            (401, 404),
            USER,
        ),
        "PUT /channels/{id}": Operation(
            "Change what the body has",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("ChannelChange")},
        ),
        "DELETE /channels/{id}": Operation(
            "Remove a channel and its connections", {204: REMOVED}, (401, 403, 404), USER
        ),
        "POST /connect": Operation(
            "Connect every thing to every channel, or none",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("Connections")},
        ),
        "PUT /disconnect": Operation(
            "Disconnect every thing from every channel",
            {200: EMPTY},
            (401, 403, 404),
            USER,
            body={JSON: named("Connections")},
        ),
        "PUT /channels/{id}/things/{thing_id}": Operation(
            "Connect one thing to one channel",
            {200: Answer("Done", headers={"Warning-Deprecated": TEXT})},
            (401, 403, 404),
            USER,
        ),
        "DELETE /channels/{id}/things/{thing_id}": Operation(
            "Disconnect one thing from one channel", {204: REMOVED}, (401, 403, 404), USER
        ),
        "GET /things/{id}/channels": Operation(
            "List the channels that a thing is connected to",
            {200: json_answer("One page", named("ChannelPage"))},
            (401, 404),
            USER,
            NAMED_LISTING,
        ),
        "GET /channels/{id}/things": Operation(
            "List the things connected to a channel",
            {200: json_answer("One page", named("ThingPage"))},
            (401, 404),
            USER,
            NAMED_LISTING,
        ),
        "POST /identify/channels/{id}/access-by-key": Operation(
            "Find out whose key this is, and whether it may use the channel",
            {200: json_answer("The thing", named("Identity"))},
            (401, 403, 404),
            body={JSON: named("Identification")},
        ),
        "POST /identify/channels/{id}/access-by-id": Operation(
            "Find out whether a thing may use the channel",
            {200: EMPTY},
            (403, 404),
            body={JSON: named("ThingToAccess")},
        ),
    },
)
