"""The audit, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    ANY_OBJECT,
    COUNT,
    MOMENT,
    TEXT,
    UUID,
    Chapter,
    Operation,
    Schema,
    array,
    json_response,
    named,
    query,
    record,
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "AuditEvent": record(
        {"id": COUNT, "at": MOMENT, "event": TEXT, "kind": TEXT},
        {
            "owner": TEXT,
            "name": TEXT,
            "blob_id": UUID,
            "actor": TEXT,
            "address": TEXT,
            "detail": ANY_OBJECT,
        },
    ),
    "AuditPage": record({"events": array(named("AuditEvent"))}, {"next": TEXT}),
}

CHAPTER: Final = Chapter(
    "Audit",
    "Who did what, from where, for administrators.",
    {
        "GET /audit": Operation(
            "See what happened, newest first",
            responses={200: json_response("One page", named("AuditPage"))},
            refusals=(401, 403),
            credentials=USER,
            parameters=(
                query("limit", {"type": "integer", "minimum": 0, "maximum": 200, "default": 100}),
                query("before", TEXT, "The `next` of the page before."),
                query("since", TEXT, "RFC 3339."),
                query("until", TEXT, "RFC 3339."),
                query("event", TEXT),
                query("kind", TEXT, "Of what it happened to: `users`, `keys`, `things` ..."),
                query("owner", TEXT, "The id of what it happened to."),
                query("actor", TEXT, "The id of who did it."),
                query("address", TEXT, "Where from."),
            ),
            description="All that is given must agree. A page looks at so many rows at most, so it "
            "may be empty and have a `next` all the same.",
        ),
    },
)
