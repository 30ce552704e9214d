"""The headers of a file: built once for each version that is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from gateway.model.disposition import attachment
from gateway.model.file import FileRecord
from gateway.model.precondition import Validators
from gateway.traffic.resolved import Version
from gateway.web.server.exchange import header_lines

REVALIDATED: Final = "no-cache"
"""Under one name there are new bytes at any time; without this a cache may make up a freshness."""

IMMUTABLE: Final = "private, max-age=31536000, immutable"
"""For an address that names its bytes by their digest: they are never others."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def version_of(
    record: FileRecord,
    name: str,
    always: Mapping[str, str] = NOTHING,
    *,
    cache_control: str = REVALIDATED,
) -> Version:
    """The record's bytes as responses show them, called ``name``; ``always`` is of every response.

    Raises ``NotFound`` if it has none.
    """
    headers = {**file_headers(record, name), "Cache-Control": cache_control, **always}
    return Version(record.content, validators_of(record), headers, header_lines(headers))


def validators_of(record: FileRecord) -> Validators:
    """What identifies the record's bytes."""
    return Validators(record.content.digest.etag, record.modified_at)


def file_headers(record: FileRecord, name: str) -> dict[str, str]:
    """The same on 200, 206 and HEAD; few, because some devices hold 2 KB in all."""
    headers = validator_headers(validators_of(record))
    headers["Content-Type"] = record.content_type
    headers["Accept-Ranges"] = "bytes"
    headers["Repr-Digest"] = record.content.digest.repr_digest
    headers["Content-Disposition"] = attachment(name)
    headers["X-Content-Type-Options"] = "nosniff"
    if record.content.md5 is not None:
        headers["x-MD5"] = record.content.md5
    return headers


def validator_headers(validators: Validators) -> dict[str, str]:
    """What a 304 has."""
    headers = {"ETag": validators.etag}
    if validators.is_settled(datetime.now(UTC)):
        headers["Last-Modified"] = validators.last_modified
    return headers
