"""The Losant API, described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.dialects.losant.scopes import ACCEPTED
from gateway.web.openapi.credentials import USER
from gateway.web.openapi.vocabulary import (
    BYTES,
    COUNT,
    FORM,
    INTEGER,
    JSON,
    MOMENT,
    NUMBER,
    TEXT,
    Chapter,
    Description,
    Operation,
    Parameter,
    Response,
    Schema,
    array,
    json_response,
    named,
    query,
    record,
)

_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9A-Fa-f]{24}$"}
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 1024}
_PATH: Final[Schema] = {"type": "string", "maxLength": 1024}
_SIDES: Final = record({}, {"width": NUMBER, "height": NUMBER})


def _one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def _closed(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object that may have no other member."""
    return {**record(required, optional), "additionalProperties": False}


_FILE: Final[Mapping[str, Schema]] = {
    "id": _ID,
    "applicationId": _ID,
    "creationDate": MOMENT,
    "lastUpdated": MOMENT,
    "authorId": _ID,
    "authorType": _one_of("user", "apiToken"),
    "status": _one_of("pending", "completed", "moving", "deleting"),
    "name": _NAME,
    "type": _one_of("file", "directory"),
    "parentDirectory": TEXT,
}
_FILE_MORE: Final[Mapping[str, Schema]] = {
    "fileSize": COUNT,
    "contentType": TEXT,
    "fileDimensions": _SIDES,
    "s3etag": TEXT,
    "sha256": TEXT,
    "moveIntoId": _ID,
    "url": {"type": "string", "format": "uri"},
}
_DECLARED: Final[Mapping[str, Schema]] = {
    "fileSize": COUNT,
    "contentType": {"type": "string", "maxLength": 1024},
    "fileDimensions": {**_SIDES, "additionalProperties": False},
}
_LIST: Final[Mapping[str, Schema]] = {
    "count": COUNT,
    "totalCount": COUNT,
    "perPage": INTEGER,
    "page": COUNT,
    "filter": TEXT,
    "filterField": TEXT,
    "sortField": TEXT,
    "sortDirection": _one_of("asc", "desc"),
}
_TOKEN: Final[Mapping[str, Schema]] = {
    "id": _ID,
    "apiTokenId": _ID,
    "ownerId": _ID,
    "ownerType": _one_of("application"),
    "creatorId": _ID,
    "creatorType": _one_of("user", "apiToken"),
    "name": TEXT,
    "description": TEXT,
    "creationDate": MOMENT,
    "lastUpdated": MOMENT,
    "scope": array(TEXT),
    "status": _one_of("active", "inactive"),
}
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "LosantError": record({"type": TEXT, "message": TEXT}),
    "LosantSuccess": record({"success": {"const": True}}),
    "LosantCredentials": _closed(
        {"email": TEXT, "password": TEXT},
        {"twoFactorCode": TEXT, "requestedScopes": array(TEXT), "tokenTTL": COUNT},
    ),
    "LosantLogIn": record({"userId": _ID, "token": TEXT}),
    "LosantApplicationPost": _closed(
        {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
        {"description": {"type": "string", "maxLength": 1024}, "orgId": _ID},
    ),
    "LosantApplication": record(
        {
            "id": _ID,
            "applicationId": _ID,
            "creationDate": MOMENT,
            "lastUpdated": MOMENT,
            "ownerId": _ID,
            "ownerType": _one_of("user", "organization"),
            "name": TEXT,
            "description": TEXT,
        }
    ),
    "LosantApplications": record({"items": array(named("LosantApplication")), **_LIST}),
    "LosantTokenPost": _closed(
        {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
        {
            "description": TEXT,
            "expirationDate": MOMENT,
            "scope": array(TEXT),
            "status": _one_of("active", "inactive"),
        },
    ),
    "LosantTokenPatch": _closed(
        {},
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": TEXT,
            "status": _one_of("active", "inactive"),
        },
    ),
    "LosantToken": record(_TOKEN, {"expirationDate": MOMENT, "token": TEXT}),
    "LosantTokens": record(
        {
            "items": array(named("LosantToken")),
            **_LIST,
            "ownerId": _ID,
            "ownerType": _one_of("application"),
        }
    ),
    "LosantFilePost": _closed(
        {"name": _NAME, "type": _one_of("file", "directory")},
        {"parentDirectory": _PATH, **_DECLARED},
    ),
    "LosantFilePatch": _closed({}, _DECLARED),
    "LosantFile": record(_FILE, _FILE_MORE),
    "LosantUpload": record(
        {"url": TEXT, "fields": {"type": "object", "additionalProperties": TEXT}}
    ),
    "LosantFileToUpload": record(_FILE, {**_FILE_MORE, "upload": named("LosantUpload")}),
    "LosantFiles": record(
        {
            "items": array(named("LosantFile")),
            **_LIST,
            "parentExists": {"type": "boolean"},
            "applicationId": _ID,
        },
        {"directory": TEXT},
    ),
}
_REFUSALS: Final = (401, 403, 404)
_TTL: Final = query(
    "urlTTL",
    {"type": "integer", "minimum": 0, "maximum": 604_800, "default": 900},
    "Seconds for which links are good; 0: no links.",
)


def _listing(
    orders: tuple[str, ...], default: str, filters: tuple[str, ...]
) -> tuple[Parameter, ...]:
    return (
        query("sortField", {"enum": list(orders), "default": default}),
        query("sortDirection", {"enum": ["asc", "desc"], "default": "asc"}),
        query("page", {**COUNT, "default": 0, "maximum": 10**9}),
        query("perPage", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        query("filterField", {"enum": list(filters)}),
        query("filter", TEXT, "`*` is any characters, `?` any one; the whole name must match."),
    )


def _operation(
    endpoint: str,
    summary: str,
    response: tuple[int, str],
    *,
    body: str | None = None,
    parameters: tuple[Parameter, ...] = (),
    refusals: tuple[int, ...] = (),
) -> Operation:
    """One route; the scopes that it accepts are in its description."""
    status, schema = response
    scopes = ", ".join(f"`{scope}`" for scope in sorted(ACCEPTED[endpoint]))
    return Operation(
        summary,
        responses={status: json_response("Done", named(schema))},
        refusals=(*_REFUSALS, *refusals),
        credentials=USER,
        parameters=parameters,
        body=None if body is None else {JSON: named(body)},
        description=f"The token has one of these scopes: {scopes}.",
    )


_APPLICATION_LIST: Final = _listing(
    ("name", "id", "creationDate", "ownerId", "lastUpdated"), "name", ("name",)
)
_TOKEN_LIST: Final = _listing(
    ("name", "status", "id", "creationDate", "lastUpdated", "expirationDate"),
    "name",
    ("name", "status"),
)
_FILE_LIST: Final = (
    *_listing(("lastUpdated", "type", "name", "creationDate"), "lastUpdated", ("name",)),
    query("type", {"enum": ["file", "directory"]}),
    query("status", {"enum": ["completed", "pending"]}),
    query("directory", TEXT, "The path of the directory to list; without it, all are listed."),
    _TTL,
)
_MOVE: Final = (
    query("name", TEXT, "The new name, of at most 1,024 characters; without it, it stays."),
    query("parentDirectory", TEXT, "The path of the directory to move to; without it, it stays."),
    _TTL,
)
_LOG_IN: Final = Operation(
    "Log in",
    responses={200: Response("The user and a token", {JSON: named("LosantLogIn")})},
    refusals=(401, 403),
    body={JSON: named("LosantCredentials")},
)
_APPLICATION: Final = "/applications/{application}"
_ONE: Final = f"{_APPLICATION}/privateFiles/{{file}}"

DESCRIPTION: Final = Description(
    chapters=(
        Chapter(
            "Losant applications",
            "Applications own private files; their tokens have scopes.",
            {
                "POST /auth/user": _LOG_IN,
                "GET /applications": _operation(
                    "applications.get",
                    "List applications",
                    (200, "LosantApplications"),
                    parameters=(
                        *_APPLICATION_LIST,
                        query("orgId", TEXT, "Of that org only; blank: the caller's own only."),
                    ),
                ),
                "POST /applications": _operation(
                    "applications.post",
                    "Make an application",
                    (201, "LosantApplication"),
                    body="LosantApplicationPost",
                ),
                f"GET {_APPLICATION}": _operation(
                    "application.get", "See an application", (200, "LosantApplication")
                ),
                f"DELETE {_APPLICATION}": _operation(
                    "application.delete",
                    "Remove an application with its tokens and files",
                    (200, "LosantSuccess"),
                ),
                f"GET {_APPLICATION}/tokens": _operation(
                    "applicationApiTokens.get",
                    "List an application's tokens",
                    (200, "LosantTokens"),
                    parameters=_TOKEN_LIST,
                ),
                f"POST {_APPLICATION}/tokens": _operation(
                    "applicationApiTokens.post",
                    "Make a token, which is shown this once",
                    (201, "LosantToken"),
                    body="LosantTokenPost",
                ),
                f"GET {_APPLICATION}/tokens/{{token}}": _operation(
                    "applicationApiToken.get", "See a token", (200, "LosantToken")
                ),
                f"PATCH {_APPLICATION}/tokens/{{token}}": _operation(
                    "applicationApiToken.patch",
                    "Rename a token, or make it inactive",
                    (200, "LosantToken"),
                    body="LosantTokenPatch",
                ),
                f"DELETE {_APPLICATION}/tokens/{{token}}": _operation(
                    "applicationApiToken.delete", "End a token", (200, "LosantSuccess")
                ),
            },
        ),
        Chapter(
            "Losant private files",
            "Directories, and files whose bytes come in a second step.",
            {
                f"GET {_APPLICATION}/privateFiles": _operation(
                    "privateFiles.get",
                    "List private files",
                    (200, "LosantFiles"),
                    parameters=_FILE_LIST,
                ),
                f"POST {_APPLICATION}/privateFiles": _operation(
                    "privateFiles.post",
                    "Make a directory, or a file that waits for its bytes",
                    (201, "LosantFileToUpload"),
                    body="LosantFilePost",
                    refusals=(409, 507),
                ),
                f"GET {_ONE}": _operation(
                    "privateFile.get",
                    "See a private file",
                    (200, "LosantFile"),
                    parameters=(_TTL,),
                ),
                f"PATCH {_ONE}": _operation(
                    "privateFile.patch",
                    "Begin to replace a file's bytes",
                    (201, "LosantFileToUpload"),
                    body="LosantFilePatch",
                    refusals=(409,),
                ),
                f"DELETE {_ONE}": _operation(
                    "privateFile.delete",
                    "Remove a file, or a directory with all that is in it",
                    (200, "LosantSuccess"),
                    refusals=(409,),
                ),
                f"POST {_ONE}/move": _operation(
                    "privateFile.move",
                    "Move or rename a file or directory",
                    (201, "LosantFile"),
                    parameters=_MOVE,
                    refusals=(409,),
                ),
                f"POST {_ONE}/upload": replace(
                    _operation(
                        "privateFile.upload",
                        "Upload a file's bytes in one step",
                        (200, "LosantFile"),
                        parameters=(_TTL,),
                        refusals=(409, 507),
                    ),
                    body={FORM: record({"privateFile": BYTES})},
                ),
            },
        ),
    ),
    schemas=_SCHEMAS,
    refusal=named("LosantError"),
    always=(400, 417, 429, 500, 503),
    path_parameters={"application": _ID, "file": _ID, "token": _ID},
)
