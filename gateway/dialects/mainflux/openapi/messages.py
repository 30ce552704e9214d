"""Mainflux messages, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import OFFSET
from gateway.web.openapi.credentials import THING, USER_OR_THING
from gateway.web.openapi.vocabulary import (
    COUNT,
    JSON,
    NUMBER,
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

_SENML: Final = "application/senml+json"
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "SenmlRecord": record(
        {},
        {
            "bver": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
            **dict.fromkeys(("bn", "bu", "n", "u", "vs", "vd"), _TEXT_OR_NULL),
            **dict.fromkeys(("bt", "bv", "bs", "t", "v", "s", "ut"), _NUMBER_OR_NULL),
            "vb": {"type": ["boolean", "null"]},
        },
    ),
    "SenmlPack": {**array(named("SenmlRecord")), "minItems": 1, "maxItems": 10_000},
    "Message": record(
        {
            **dict.fromkeys(("channel", "channel_name", "publisher"), UUID),
            "protocol": TEXT,
            "name": TEXT,
            "time": NUMBER,
        },
        {
            **dict.fromkeys(("subtopic", "unit", "string_value", "data_value"), TEXT),
            **dict.fromkeys(("update_time", "value", "sum"), NUMBER),
            "bool_value": {"type": "boolean"},
        },
    ),
    "MessagePage": record(
        {
            "offset": COUNT,
            "limit": COUNT,
            "format": {"const": "messages"},
            "total": {**COUNT, "description": "Exact up to 10,000 beyond the page."},
            "messages": array(named("Message")),
        }
    ),
}

_SEND: Final = Operation(
    "Send a SenML pack to a channel",
    responses={202: Response("Accepted: kept, and queued for the thing's webhooks")},
    refusals=(401, 403, 404),
    credentials=THING,
    body={JSON: named("SenmlPack"), _SENML: named("SenmlPack")},
    description="Base fields are resolved, relative times count from now (RFC 8428). A pack is "
    "taken whole or refused whole.",
)
CHAPTER: Final = Chapter(
    "Mainflux messages",
    "What things send to the channels that they are connected to.",
    {
        "POST /http/channels/{id}/messages": _SEND,
        "POST /http/channels/{id}/messages/{subtopic}": _SEND,
        "GET /channels/{id}/messages": Operation(
            "Read a channel's messages, the latest first",
            responses={200: json_response("One page", named("MessagePage"))},
            refusals=(401, 403, 404),
            credentials=USER_OR_THING,
            parameters=(
                query("limit", {"type": "integer", "minimum": 0, "maximum": 1000, "default": 10}),
                OFFSET,
                query("format", {"const": "messages"}),
                query("subtopic", TEXT, "Parts are joined by dots."),
                query("publisher", UUID, "The thing that sent it."),
                query("protocol", TEXT),
                query("name", TEXT),
                query("v", NUMBER, "The value, compared as `comparator` says."),
                query("comparator", {"enum": ["eq", "lt", "le", "gt", "ge"], "default": "eq"}),
                query("vb", {"type": "boolean"}),
                query("vs", TEXT),
                query("vd", TEXT),
                query("from", NUMBER, "Seconds; this time and later ones."),
                query("to", NUMBER, "Seconds; earlier times only."),
            ),
        ),
    },
)
