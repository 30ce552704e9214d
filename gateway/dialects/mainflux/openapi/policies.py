"""Mainflux policies, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import REMOVED
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    JSON,
    TEXT,
    Chapter,
    Operation,
    Schema,
    array,
    json_response,
    named,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Policies": record(
        {
            "subjects": {**array(TEXT), "minItems": 1},
            "object": TEXT,
            "policies": {
                "type": "array",
                "minItems": 1,
                "items": {"enum": ["create", "member", "access", "read", "write", "delete"]},
            },
        }
    )
}

CHAPTER: Final = Chapter(
    "Mainflux policies",
    "What administrators grant: authorities and users (member, create), things and channels "
    "(read, write, delete), groups (member, access).",
    {
        "POST /policies": Operation(
            "Grant every policy to every subject, or none",
            responses={201: json_response("Granted", record({}))},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("Policies")},
        ),
        "PUT /policies": Operation(
            "Take every policy from every subject, or none",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
            body={JSON: named("Policies")},
        ),
    },
)
