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
    json_response,
    named,
    record,
)

_USE: Final[Schema] = {
    "enum": ["key", "alone"],
    "description": "Beside the thing's key, which is nothing without it; or enough alone.",
}
_USE_OR_NULL: Final[Schema] = {"enum": ["key", "alone", "", None]}

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
    "Certificate": record(
        {"id": UUID, "thing_id": UUID, "use": _USE, "confirmed": {"type": "boolean"}},
        {"sha256": TEXT, "subject": TEXT},
    ),
    "Certificates": record({"certificates": array(named("Certificate"))}),
    "CertificateDraft": record(
        {},
        {
            "sha256": TEXT_OR_NULL,
            "certificate": TEXT_OR_NULL,
            "subject": TEXT_OR_NULL,
            "use": _USE_OR_NULL,
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
            responses={201: json_response("Created; one alone has a Location", named("Things"))},
            refusals=(401, 403, 409),
            credentials=USER,
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
            responses={200: json_response("One page", named("ThingPage"))},
            refusals=(401,),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
        "GET /things/{id}": Operation(
            "See a thing, with its key",
            responses={200: json_response("The thing", named("Thing"))},
            refusals=(401, 404),
            credentials=USER,
        ),
        "PUT /things/{id}": Operation(
            "Change what the body has",
            responses={200: EMPTY},
            refusals=(401, 403, 404, 409),
            credentials=USER,
            body={JSON: named("ThingChange")},
        ),
        "DELETE /things/{id}": Operation(
            "Remove a thing and its files",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "POST /things/{id}/certificates": Operation(
            "Know the thing by a client certificate, beside its key or alone",
            responses={201: json_response("Bound", named("Certificate"))},
            refusals=(401, 403, 404, 409),
            credentials=USER,
            body={JSON: named("CertificateDraft")},
        ),
        "GET /things/{id}/certificates": Operation(
            "List the certificates that the thing is known by",
            responses={200: json_response("All", named("Certificates"))},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "DELETE /things/{id}/certificates/{certificate}": Operation(
            "Know the thing by a certificate no longer",
            responses={204: REMOVED},
            refusals=(401, 403, 404),
            credentials=USER,
        ),
        "GET /things/{id}/groups": Operation(
            "List the groups that the thing is in",
            responses={200: json_response("One page", named("GroupPage"))},
            refusals=(401, 404),
            credentials=USER,
            parameters=NAMED_LISTING,
        ),
    },
)
