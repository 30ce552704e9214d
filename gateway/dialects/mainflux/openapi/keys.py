"""Mainflux API keys, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    FLAG_OR_NULL,
    LABEL,
    LIMIT,
    OFFSET,
    REMOVED,
    page,
)
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    JSON,
    MOMENT,
    TEXT,
    UUID,
    Chapter,
    Operation,
    Schema,
    json_response,
    named,
    record,
)

_GROUP: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The group that the key is limited to, if it is: its files, and seeing it.",
}
_THING: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The thing that the key is limited to, if it is.",
}
_LIMITS: Final[Mapping[str, Schema]] = {
    "name": TEXT,
    "read_only": {"type": "boolean"},
    "group_id": UUID,
    "thing_id": UUID,
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "KeyDraft": record(
        {},
        {
            "type": {
                "enum": [0, 1, 2, None],
                "description": "0 login (the default), 1 recovery, 2 API.",
            },
            "duration": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Seconds; 0: as long as the type allows, an API key for ever.",
            },
            "name": LABEL,
            "read_only": FLAG_OR_NULL,
            "group_id": _GROUP,
            "thing_id": _THING,
        },
    ),
    "IssuedKey": record(
        {"id": UUID, "value": TEXT, "issued_at": MOMENT}, {"expires_at": MOMENT, **_LIMITS}
    ),
    "Key": record(
        {"id": UUID, "issuer_id": UUID, "subject": TEXT, "issued_at": MOMENT},
        {"type": {"enum": [1, 2]}, "expires_at": MOMENT, "last_used_at": MOMENT, **_LIMITS},
    ),
    "KeyPage": page({"keys": named("Key")}),
}

CHAPTER: Final = Chapter(
    "Mainflux API keys",
    "Tokens for programs, which work wherever a user's token does until they are revoked.",
    {
        "POST /keys": Operation(
            "Issue a key; its value is shown only now",
            responses={201: json_response("The key", named("IssuedKey"))},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("KeyDraft")},
            description="A key that is limited, in what it may or reaches, issues none.",
        ),
        "GET /keys": Operation(
            "List the caller's own keys",
            responses={200: json_response("One page", named("KeyPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=(LIMIT, OFFSET),
        ),
        "GET /keys/{id}": Operation(
            "See a key",
            responses={200: json_response("The key, without its value", named("Key"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "DELETE /keys/{id}": Operation(
            "Revoke a key, and those issued with it",
            responses={204: REMOVED},
            refusals=(401, 404),
            credentials=USER,
        ),
    },
)
