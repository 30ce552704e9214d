"""The Hasura filestore, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.web.openapi.credentials import BEARER
from gateway.web.openapi.files import CLAIMS, DOWNLOAD, DOWNLOADED, WRITE_CONDITIONS
from gateway.web.openapi.vocabulary import (
    BYTES,
    COUNT,
    FORM,
    INTEGER,
    MOMENT,
    OCTETS,
    TEXT,
    Chapter,
    Credentials,
    Description,
    Operation,
    Schema,
    Security,
    header,
    json_response,
    named,
    record,
)


def _asserted(name: str, header_name: str, description: str) -> Security:
    scheme = {"type": "apiKey", "in": "header", "name": header_name, "description": description}
    return Security(name, scheme)


_USER_ID: Final = _asserted(
    "hasuraUserId", "X-Hasura-User-Id", "An integer; believed from trusted proxies only."
)
_ROLE: Final = _asserted(
    "hasuraRole", "X-Hasura-Role", "Believed from trusted proxies only; or X-Hasura-User-Role."
)
_WRITERS: Final[Credentials] = ((BEARER,), (_USER_ID, _ROLE))
_READERS: Final[Credentials] = (*_WRITERS, ())

_SCHEMAS: Final[Mapping[str, Schema]] = {
    "HasuraError": record(
        {
            "code": {
                "enum": [
                    "bad_request",
                    "unauthorized",
                    "access_denied",
                    "not_found",
                    "fatal_internal_error",
                ]
            },
            "message": TEXT,
        }
    ),
    "HasuraFile": record(
        {
            "file_id": TEXT,
            "content_type": TEXT,
            "file_status": {"const": "uploaded"},
            "file_size": COUNT,
            "user_id": INTEGER,
            "user_role": TEXT,
            "created_at": MOMENT,
        }
    ),
    "HasuraDeleted": record({"file_id": TEXT, "status": {"const": "deleted"}}),
    "HasuraForm": record({"file": BYTES}),
}
_RANGE: Final = header(
    "X-Hasura-Filestore-Range",
    {"type": "string", "examples": ["bytes=0-1023"]},
    "Instead of Range; if both are there they must agree.",
)
_BODY: Final[Mapping[str, Schema]] = {OCTETS: BYTES, FORM: named("HasuraForm")}
_SHA256: Final = {"X-Filestore-Sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
_STORED: Final = {
    200: json_response("The file is stored, durably", named("HasuraFile"), headers=_SHA256)
}
_REFUSALS: Final = (401, 403)

_CREATE: Final = Operation(
    "Upload a new file",
    responses=_STORED,
    refusals=(*_REFUSALS, 412),
    credentials=_WRITERS,
    parameters=(*WRITE_CONDITIONS, *CLAIMS),
    body=_BODY,
)
_CREATE_ANEW: Final = Operation(
    "Upload a new file under an id of the gateway's",
    responses=_STORED,
    refusals=(*_REFUSALS, 412),
    credentials=_WRITERS,
    parameters=(*WRITE_CONDITIONS, *CLAIMS),
    body=_BODY,
)
_UPSERT: Final = Operation(
    "Upload a file, new or not",
    responses=_STORED,
    refusals=(*_REFUSALS, 404, 412),
    credentials=_WRITERS,
    parameters=(*WRITE_CONDITIONS, *CLAIMS),
    body=_BODY,
)
_DOWNLOAD: Final = Operation(
    "Download a file, or one range of it",
    responses=DOWNLOADED,
    refusals=(*_REFUSALS, 404, 412),
    credentials=_READERS,
    parameters=(*DOWNLOAD, _RANGE),
    description="A range outside the file is a 400 here, as Hasura's clients expect.",
)
_REMOVE: Final = Operation(
    "Remove a file",
    responses={200: json_response("Removed", named("HasuraDeleted"))},
    refusals=(*_REFUSALS, 404, 412),
    credentials=_WRITERS,
    parameters=WRITE_CONDITIONS,
)
_NO_ID: Final = Operation("Says that the file's id is missing", responses={})

DESCRIPTION: Final = Description(
    chapters=(
        Chapter(
            "Hasura filestore",
            "One space of ids for the whole deployment; every error has a code.",
            {
                "POST /v1/file": _CREATE_ANEW,
                "POST /v1/file/": _CREATE_ANEW,
                "GET,HEAD,PUT,DELETE /v1/file": _NO_ID,
                "GET,HEAD,PUT,DELETE /v1/file/": _NO_ID,
                "POST /v1/file/{file_id}": _CREATE,
                "PUT /v1/file/{file_id}": _UPSERT,
                "GET,HEAD /v1/file/{file_id}": _DOWNLOAD,
                "DELETE /v1/file/{file_id}": _REMOVE,
            },
        ),
    ),
    schemas=_SCHEMAS,
    refusal=named("HasuraError"),
    always=(400, 417, 429, 500),
    path_parameters={"file_id": {"type": "string", "minLength": 1, "maxLength": 255}},
)
