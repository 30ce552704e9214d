"""The quarantine, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
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
    "QuarantinedFile": record(
        {
            "scope": TEXT,
            "name": TEXT,
            "what": {
                "type": "string",
                "enum": ["missing", "wrong size", "damaged", "unreadable"],
            },
            "detail": TEXT,
            "found_by": {"type": "string", "enum": ["scrub", "read", "check"]},
            "found_at": MOMENT,
            "blob": UUID,
            "size": COUNT,
            "sha256": TEXT,
        }
    ),
    "QuarantinePage": record(
        {"total": COUNT, "files": array(named("QuarantinedFile"))}, {"next": TEXT}
    ),
}

CHAPTER: Final = Chapter(
    "Quarantine",
    "Files whose bytes are not those that were uploaded, for administrators.",
    {
        "GET /quarantine": Operation(
            "See which files are damaged, the longest known first",
            responses={200: json_response("One page", named("QuarantinePage"))},
            refusals=(401, 403),
            credentials=USER,
            parameters=(
                query("limit", {"type": "integer", "minimum": 0, "maximum": 200, "default": 100}),
                query("after", TEXT, "The `next` of the page before."),
            ),
            description="A read of one of these is answered with 500 until its bytes are right "
            "again or it is uploaded again. `total` is counted up to 10,000.",
        ),
    },
)
