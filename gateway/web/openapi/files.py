"""What every dialect's file routes have in common: conditions, ranges, digests, validators.

They are what ``web.downloads`` and ``web.uploads`` do, whichever API asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.web.openapi.vocabulary import (
    ANY_BYTES,
    BYTES,
    COUNT,
    OCTETS,
    TEXT,
    Parameter,
    Response,
    Schema,
    header,
    query,
)

_DATE: Final[Schema] = {"type": "string", "examples": ["Tue, 15 Nov 1994 08:12:31 GMT"]}
_TAGS: Final[Schema] = {"type": "string", "examples": ["*"]}

RANGE: Final = header(
    "Range",
    {"type": "string", "examples": ["bytes=0-1023"]},
    "One range of bytes (RFC 9110, 14.2). One that cannot be parsed is a 400. So are several, "
    "except where GATEWAY_SEVERAL_RANGES is on: there up to 256 that do not overlap are a 206 of "
    "`multipart/byteranges`, and what is beyond that is the whole file. Never on `/v1/file`.",
)
IF_RANGE: Final = header("If-Range", TEXT, "The ETag or date for which the range is meant.")
WRITE_CONDITIONS: Final = (
    header("If-Match", _TAGS, "Change only these bytes, by ETag."),
    header("If-None-Match", _TAGS, "`*`: only if there is no such file."),
    header("If-Unmodified-Since", _DATE),
)
READ_CONDITIONS: Final = (
    header("If-Match", _TAGS),
    header("If-None-Match", _TAGS, "ETags that the client has: 304 if it has the present bytes."),
    header("If-Modified-Since", _DATE),
    header("If-Unmodified-Since", _DATE),
)
DOWNLOAD: Final[tuple[Parameter, ...]] = (
    *READ_CONDITIONS,
    RANGE,
    IF_RANGE,
    header("Want-Digest", TEXT, "With `SHA-256` the response has a Digest (RFC 3230) too."),
    query(
        "sha256",
        {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
        "Only this version: the If-Match of clients that can send none.",
    ),
)
CLAIMS: Final = (
    header(
        "Content-Digest",
        {"type": "string", "examples": []},
        "`sha-256=:...:` or `sha-512=:...:` of the body (RFC 9530); refused unless it holds.",
    ),
)

_VALIDATORS: Final[Mapping[str, Schema]] = {
    "ETag": {"type": "string", "pattern": '^"[A-Za-z0-9_-]{43}"$'},
}
_FILE_HEADERS: Final[Mapping[str, Schema]] = {
    **_VALIDATORS,
    "Accept-Ranges": {"const": "bytes"},
    "Repr-Digest": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
    "Content-Disposition": {"type": "string", "pattern": "^attachment; "},
    "Content-Length": COUNT,
}
_CONTENT_RANGE: Final[Mapping[str, Schema]] = {
    "Content-Range": {"type": "string", "pattern": "^bytes [0-9]+-[0-9]+/[0-9]+$"},
}
# The type is the file's own. Generators know what to do with the first, not with a pattern.
_ITS_BYTES: Final[Mapping[str, Schema]] = {OCTETS: BYTES, ANY_BYTES: BYTES}

DOWNLOADED: Final[Mapping[int, Response]] = {
    200: Response("The whole file", _ITS_BYTES, _FILE_HEADERS),
    206: Response(
        "One range of it; or several: `multipart/byteranges`, whose parts have the Content-Range",
        _ITS_BYTES,
        {**_FILE_HEADERS, **_CONTENT_RANGE},
    ),
    307: Response("The bytes are at another address: where `GATEWAY_S3_REDIRECT` says so"),
    304: Response("The client has these bytes already", headers=_VALIDATORS),
}
UPLOAD_REFUSALS: Final = (409, 507)
