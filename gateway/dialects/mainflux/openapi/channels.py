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
    Chapter,
    Operation,
    Response,
    Schema,
    array,
    json_response,
    named,
    query,
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

_DISCONNECTED: Final = query(
    "disconnected", {"type": "boolean"}, "Those that are not connected instead."
)

CHAPTER: Final = Chapter(
    "Mainflux channels",
    "What things are connected to, and which are connected to which.",
    {
        "POST /channels": Operation(
            "Create one channel or several, all or none",
            responses={201: json_response("Created; one alone has a Location", named("Channels"))},
            refusals=(401, 403, 409),
            credentials=USER,
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
            responses={200: json_response("One page", named("ChannelPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
        "GET /channels/{id}": Operation(
            "See a channel",
            responses={200: json_response("The channel", named("Channel"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "PUT /channels/{id}": Operation(
            "Change what the body has",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("ChannelChange")},
        ),
        "DELETE /channels/{id}": Operation(
            "Remove a channel and its connections",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "POST /connect": Operation(
            "Connect every thing to every channel, or none",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("Connections")},
        ),
        "PUT /disconnect": Operation(
            "Disconnect every thing from every channel",
            responses={200: EMPTY},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("Connections")},
        ),
        "PUT /channels/{id}/things/{thing_id}": Operation(
            "Connect one thing to one channel",
            responses={200: Response("Done", headers={"Warning-Deprecated": TEXT})},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "DELETE /channels/{id}/things/{thing_id}": Operation(
            "Disconnect one thing from one channel",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "GET /things/{id}/channels": Operation(
            "List the channels that a thing is connected to",
            responses={200: json_response("One page", named("ChannelPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=(*NAMED_LISTING, _DISCONNECTED),
        ),
        "GET /channels/{id}/things": Operation(
            "List the things connected to a channel",
            responses={200: json_response("One page", named("ThingPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=(*NAMED_LISTING, _DISCONNECTED),
        ),
        "POST /identify/channels/{id}/access-by-key": Operation(
            "Find out whose key this is, and whether it may use the channel",
            responses={200: json_response("The thing", named("Identity"))},
            refusals=(401, 403, 404),
            body={JSON: named("Identification")},
        ),
        "POST /identify/channels/{id}/access-by-id": Operation(
            "Find out whether a thing may use the channel",
            responses={200: EMPTY},
            refusals=(403, 404),
            body={JSON: named("ThingToAccess")},
        ),
    },
)
