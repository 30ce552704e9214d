"""The Mainflux filestore, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.mainflux.openapi.common import (
    DIRECTION,
    LIMIT,
    METADATA,
    OFFSET,
    REMOVED,
    page,
)
from gateway.web.openapi.credentials import THING, USER, USER_OR_THING
from gateway.web.openapi.files import (
    CLAIMS,
    DOWNLOAD,
    DOWNLOADED,
    UPLOAD_REFUSALS,
    WRITE_CONDITIONS,
)
from gateway.web.openapi.vocabulary import (
    ANY_OBJECT,
    BYTES,
    COUNT,
    FORM,
    JSON,
    TEXT,
    UUID,
    Chapter,
    Credentials,
    Operation,
    Schema,
    json_response,
    named,
    query,
    record,
)

_FILTERS: Final = (
    LIMIT,
    OFFSET,
    query("order", {"enum": ["time", "name", "class", "format"]}),
    DIRECTION,
    METADATA,
    query("name", TEXT, "A part of the name, in either case."),
    query("class", TEXT),
    query("format", TEXT),
)
_TIME: Final[Schema] = {"type": ["number", "null"], "description": "Unix time in seconds."}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "FileForm": record(
        {"file": BYTES},
        {
            # A contentMediaType would make a page ask for a file.
            "metadata": {**TEXT, "examples": [""], "description": "A JSON object."},
            # Pages fill in what a pattern or a type suggests, unless there is an example: none.
            "time": {
                "type": "string",
                "pattern": "^([0-9]{1,10}([.][0-9]{1,6})?)?$",
                "examples": [""],
                "description": "Unix time in seconds; empty or absent: now.",
            },
            "sha256": {
                "type": "string",
                "pattern": "^([0-9a-fA-F]{64})?$",
                "examples": [""],
                "description": "The file's digest in hex, to be checked; empty or absent: not.",
            },
        },
    ),
    "StoredFile": record(
        {"name": TEXT, "content_type": TEXT, "size": COUNT, "sha256": TEXT},
        {"thing_id": UUID, "group_id": UUID},
    ),
    "FileInfo": record(
        {
            "name": TEXT,
            "content_type": TEXT,
            "size": COUNT,
            "sha256": TEXT,
            "class": TEXT,
            "format": TEXT,
            "time": _TIME,
            "metadata": ANY_OBJECT,
        },
        {"group_id": UUID},
    ),
    "FilePage": page(
        {"files": named("FileInfo"), "files_info": named("FileInfo")},
        {"order": TEXT, "dir": {"enum": ["asc", "desc"]}},
    ),
    "FileLink": record({"url": TEXT, "expires": COUNT}),
    "LinkRequest": record(
        {}, {"seconds": {"type": "integer", "minimum": 1, "maximum": 604_800, "examples": [3600]}}
    ),
    "FileChange": record({}, {"metadata": {"type": ["object", "null"]}, "time": _TIME}),
}


def _collection(path: str, readers: Credentials, writers: Credentials) -> Mapping[str, Operation]:
    """The routes of one collection of files."""
    stored = named("StoredFile")
    return {
        f"POST {path}": Operation(
            "Upload a file",
            responses={201: json_response("The file is stored, durably", stored)},
            refusals=(401, 403, 404, *UPLOAD_REFUSALS),
            credentials=writers,
            parameters=CLAIMS,
            body={FORM: named("FileForm")},
        ),
        f"GET {path}": Operation(
            "List the files",
            responses={200: json_response("One page", named("FilePage"))},
            refusals=(401, 403, 404),
            credentials=readers,
            parameters=_FILTERS,
        ),
        f"GET,HEAD {path}/{{name}}": _download("Download a file, or one range of it", readers),
        f"GET,HEAD {path}/sha256/{{digest}}/{{name}}": _download(
            "The same of one version, at an address that may be kept for ever", readers
        ),
        f"PUT {path}/{{name}}": _replacement(writers),
        f"DELETE {path}/{{name}}": Operation(
            "Remove a file",
            responses={204: REMOVED},
            refusals=(401, 403, 404, 412),
            credentials=writers,
            parameters=WRITE_CONDITIONS,
        ),
    }


def _replacement(writers: Credentials) -> Operation:
    stored = named("StoredFile")
    return Operation(
        "Replace a file's bytes, or amend its metadata",
        responses={
            200: json_response("The file as it is now", stored),
            201: json_response("Of bytes as they are: a new file", stored),
        },
        refusals=(401, 403, 404, 412, *UPLOAD_REFUSALS),
        credentials=writers,
        parameters=(*WRITE_CONDITIONS, *CLAIMS),
        body={
            FORM: named("FileForm"),
            JSON: named("FileChange"),
            "application/octet-stream": BYTES,
        },
    )


def _download(summary: str, readers: Credentials) -> Operation:
    return Operation(
        summary,
        responses=DOWNLOADED,
        refusals=(401, 403, 404, 412, 416),
        credentials=readers,
        parameters=DOWNLOAD,
    )


CHAPTER: Final = Chapter(
    "Mainflux filestore",
    "Files of things and of groups.",
    {
        **_collection("/files", THING, THING),
        **_collection("/groups/{id}/files", USER_OR_THING, USER),
        "GET /groupfiles": Operation(
            "List what the thing's groups offer it, one group's files after another's",
            responses={200: json_response("One page", named("FilePage"))},
            refusals=(401, 403),
            credentials=THING,
            parameters=_FILTERS,
        ),
        "GET,HEAD /groupfiles/{name}": _download("Download a file of the thing's groups", THING),
        "GET,HEAD /groupfiles/sha256/{digest}/{name}": _download(
            "The same of one version, at an address that may be kept for ever", THING
        ),
        "POST /groups/{id}/files/sha256/{digest}/{name}": Operation(
            "Make a link under which a CDN has that version for a while",
            responses={201: json_response("The link", named("FileLink"))},
            refusals=(400, 401, 403, 404, 412, 413, 415),
            credentials=USER_OR_THING,
            body={JSON: named("LinkRequest")},
            body_required=False,
        ),
    },
)
