"""The Gravwell user files and their surroundings, described."""

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
    JSON,
    MOMENT,
    TEXT,
    UUID,
    Chapter,
    Credentials,
    Description,
    Operation,
    Response,
    Schema,
    Security,
    array,
    json_response,
    named,
    query,
    record,
)

_TOKEN: Final = Security(
    "gravwellToken",
    {
        "type": "apiKey",
        "in": "header",
        "name": "Gravwell-Token",
        "description": "One of the caller's API keys, from `POST /keys`.",
    },
)
_CALLERS: Final[Credentials] = ((BEARER,), (_TOKEN,))
_TRUTH: Final[Schema] = {"type": "boolean"}
_NUMBERS: Final[Schema] = {"type": ["array", "null"], "items": INTEGER}
_ACCESS: Final[Schema] = record({"Global": _TRUTH, "GIDs": array(INTEGER)})
_DETAILS: Final[Mapping[str, Schema]] = {
    "GUID": UUID,
    "ThingUUID": UUID,
    "UID": INTEGER,
    "GIDs": _NUMBERS,
    "Global": _TRUTH,
    "WriteAccess": _ACCESS,
    "Size": COUNT,
    "Type": TEXT,
    "SHA256": TEXT,
    "Name": TEXT,
    "Desc": TEXT,
    "Updated": MOMENT,
    "Labels": array(TEXT),
}
_SAID: Final[Mapping[str, Schema]] = {
    "UID": INTEGER,
    "GIDs": _NUMBERS,
    "Global": _TRUTH,
    "WriteAccess": record({}, {"Global": _TRUTH, "GIDs": _NUMBERS}),
    "Name": TEXT,
    "Desc": TEXT,
    "Labels": {"type": ["array", "null"], "items": TEXT},
}
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "GravwellFile": record(_DETAILS),
    "GravwellChange": record({}, _SAID),
    "GravwellForm": record(
        {"file": BYTES},
        {"name": TEXT, "desc": TEXT, "guid": UUID, "meta": TEXT, "sha256": TEXT},
    ),
    "GravwellContents": record({"file": BYTES}, {"sha256": TEXT}),
    "GravwellLogin": record(
        {
            "LoginStatus": _TRUTH,
            "Reason": TEXT,
            "Admin": _TRUTH,
            "JWT": TEXT,
            "MFARequired": _TRUTH,
            "MFASetupRequired": _TRUTH,
        }
    ),
    "GravwellVersion": record(
        {
            "API": record({"Major": INTEGER, "Minor": INTEGER}),
            "Build": record(
                {
                    "Major": INTEGER,
                    "Minor": INTEGER,
                    "Point": INTEGER,
                    "BuildDate": MOMENT,
                    "BuildID": TEXT,
                }
            ),
        }
    ),
    "GravwellUser": record(
        {
            "UID": INTEGER,
            "User": TEXT,
            "Name": TEXT,
            "Email": TEXT,
            "Admin": _TRUTH,
            "Locked": _TRUTH,
            "TS": MOMENT,
            "DefaultGID": INTEGER,
            "Groups": array(record({"GID": INTEGER, "Name": TEXT, "Desc": TEXT})),
        }
    ),
    "GravwellSettings": record(
        {
            "MaxFileSize": COUNT,
            "MaxResourceSize": COUNT,
            "ServerTime": MOMENT,
            "ServerTimezone": TEXT,
            "ServerTimezoneOffset": INTEGER,
        }
    ),
}
_ADMIN: Final = query(
    "admin", {"type": "string", "examples": ["false"]}, "`true`: an administrator means any file."
)
_SHOWN: Final = {200: json_response("The file's record", named("GravwellFile"))}
_DONE: Final = {200: Response("Done")}
_LOGGED_IN: Final = {200: json_response("A token", named("GravwellLogin"))}

_CREATE: Final = Operation(
    "Upload a new file",
    responses=_SHOWN,
    refusals=(401, 403, 507),
    credentials=_CALLERS,
    parameters=(_ADMIN, *CLAIMS),
    body={FORM: named("GravwellForm")},
    description="Described by `name`, `desc` and `guid`, or by `meta`, a record as JSON.",
)
_UPDATE: Final = Operation(
    "Replace a file's contents",
    responses=_SHOWN,
    refusals=(401, 403, 404, 412, 507),
    credentials=_CALLERS,
    parameters=(_ADMIN, *WRITE_CONDITIONS, *CLAIMS),
    body={FORM: named("GravwellContents")},
)
_SESSION: Final = {
    "GET /api/version": Operation(
        "The version of the API",
        responses={200: json_response("Versions", named("GravwellVersion"))},
    ),
    "GET /api/test": Operation("Whether there is a service", responses=_DONE),
    "GET /api/testauth": Operation(
        "Whether the credential holds", responses=_DONE, refusals=(401,), credentials=_CALLERS
    ),
    "POST /api/login": Operation(
        "Log in",
        responses=_LOGGED_IN,
        refusals=(422, 423),
        body={"application/x-www-form-urlencoded": record({"User": TEXT, "Pass": TEXT})},
    ),
    "GET /api/login/refreshtoken": Operation(
        "A token that lasts longer",
        responses=_LOGGED_IN,
        refusals=(401,),
        credentials=((BEARER,),),
    ),
    "PUT /api/logout": Operation(
        "End this session", responses=_DONE, refusals=(401,), credentials=((BEARER,),)
    ),
    "DELETE /api/logout": Operation(
        "End all of one's sessions", responses=_DONE, refusals=(401,), credentials=((BEARER,),)
    ),
    "GET /api/info/whoami": Operation(
        "The caller",
        responses={200: json_response("The caller", named("GravwellUser"))},
        refusals=(401,),
        credentials=_CALLERS,
    ),
    "GET /api/settings": Operation(
        "What a client may want to know",
        responses={200: json_response("Settings", named("GravwellSettings"))},
        refusals=(401,),
        credentials=_CALLERS,
    ),
}
_FILES: Final = {
    "POST /api/files": _CREATE,
    "GET /api/files": Operation(
        "The files that the caller may see",
        responses={200: json_response("Their records", array(named("GravwellFile")))},
        refusals=(401, 403),
        credentials=_CALLERS,
        parameters=(_ADMIN,),
    ),
    "GET,HEAD /api/files/{id}": Operation(
        "Download a file, or one range of it",
        responses=DOWNLOADED,
        refusals=(401, 403, 404, 412, 416),
        credentials=_CALLERS,
        parameters=(_ADMIN, *DOWNLOAD),
    ),
    "POST /api/files/{id}": _UPDATE,
    "PUT /api/files/{id}": _UPDATE,
    "PATCH /api/files/{id}": Operation(
        "Change what a file is called and with whom it is shared",
        responses=_SHOWN,
        refusals=(401, 403, 404),
        credentials=_CALLERS,
        parameters=(_ADMIN,),
        body={JSON: named("GravwellChange")},
    ),
    "DELETE /api/files/{id}": Operation(
        "Remove a file",
        responses=_DONE,
        refusals=(401, 403, 404, 412),
        credentials=_CALLERS,
        parameters=(_ADMIN, *WRITE_CONDITIONS),
    ),
    "GET /api/files/{id}/details": Operation(
        "A file's record",
        responses=_SHOWN,
        refusals=(401, 403, 404),
        credentials=_CALLERS,
        parameters=(_ADMIN,),
    ),
}

DESCRIPTION: Final = Description(
    chapters=(
        Chapter(
            "Gravwell user files",
            "Files of users, by GUID: own ones first, then shared, then global.",
            _FILES,
        ),
        Chapter("Gravwell sessions", "What the product's own client asks beside files.", _SESSION),
    ),
    schemas=_SCHEMAS,
    refusal=TEXT,
    refusal_type="text/plain",
    path_parameters={"id": UUID},
)
