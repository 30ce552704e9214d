"""The storage, described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.dialects.losant.storage.rendering import XML
from gateway.web.openapi.files import DOWNLOAD, DOWNLOADED
from gateway.web.openapi.vocabulary import (
    BYTES,
    COUNT,
    FORM,
    TEXT,
    Chapter,
    Description,
    Operation,
    Parameter,
    Response,
    Schema,
    named,
    record,
)

_ELEMENT: Final = {"type": "object", "properties": {"Code": TEXT, "Message": TEXT}}
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "LosantStorageError": {**_ELEMENT, "xml": {"name": "Error"}},
    "LosantStored": {
        "type": "object",
        "properties": {"Location": TEXT, "Bucket": TEXT, "Key": TEXT, "ETag": TEXT},
        "xml": {"name": "PostResponse"},
    },
    "LosantStorageForm": record(
        {
            "key": TEXT,
            "X-Amz-Algorithm": {"const": "AWS4-HMAC-SHA256"},
            "X-Amz-Credential": TEXT,
            "X-Amz-Date": TEXT,
            "Policy": TEXT,
            "X-Amz-Signature": TEXT,
            "file": BYTES,
        },
        {
            "bucket": TEXT,
            "Content-Type": TEXT,
            "success_action_status": {"enum": ["200", "201", "204"]},
            "success_action_redirect": TEXT,
        },
    ),
}
_STORED_HEADERS: Final[Mapping[str, Schema]] = {"ETag": TEXT, "Location": TEXT}
_STORED: Final = "The file is stored, durably"

_UPLOAD: Final = Operation(
    "Upload the bytes of a private file by the form that was given for it",
    responses={
        200: Response(_STORED, headers=_STORED_HEADERS),
        201: Response(_STORED, {XML: named("LosantStored")}, _STORED_HEADERS),
        204: Response(_STORED, headers=_STORED_HEADERS),
        303: Response("The same, and the browser is sent on", headers=_STORED_HEADERS),
    },
    refusals=(403, 409, 507),
    body={FORM: named("LosantStorageForm")},
    description="As an S3 POST with Signature Version 4: the fields together are 20 KB at most, "
    "and what is behind the file is ignored.",
)
_DOWNLOAD: Final = Operation(
    "Download a private file, or one range of it, by a signed link",
    responses=DOWNLOADED,
    refusals=(403, 404, 412, 416),
    parameters=(
        *DOWNLOAD,
        Parameter("expires", "query", COUNT, "Until when the link is good, in Unix seconds."),
        Parameter("version", "query", TEXT, "Which bytes it is for."),
        Parameter("signature", "query", TEXT),
    ),
    description="The link comes from the API as `url`, and needs no other credential.",
)

DESCRIPTION: Final = Description(
    chapters=(
        Chapter(
            "Losant-storage forms and links",
            "Where private files are uploaded to and downloaded from; refusals are XML, as S3's.",
            {
                "POST /private-files": _UPLOAD,
                "POST /private-files/": _UPLOAD,
                "GET,HEAD /private-files/{application}/{file}/{name}": _DOWNLOAD,
            },
        ),
    ),
    schemas=_SCHEMAS,
    refusal=named("LosantStorageError"),
    refusal_type=XML,
    reading_body=(408,),
)
