"""Uploads of parts that were never finished: the library makes them and cannot list them.

Requests of our own, signed here; so they need a credential that was given to us. With one that is
lent to the machine (instance role, web identity) they are left to a rule of the bucket's lifecycle.

Knows the list's form. Rule: what is listed and cannot be understood is left alone.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Final

from gateway.blobs.s3.keys import blobs_of
from gateway.blobs.s3.options import S3Options
from gateway.blobs.s3.signing import Credential, UnsignedRequest, signed_headers
from gateway.http_client import Unreachable, ask_once
from gateway.model.errors import StorageUnavailable

_MOST_BYTES: Final = 4 * 1024 * 1024
_SECONDS: Final = 30.0
_UPLOAD: Final = re.compile(r"<Upload>(.*?)</Upload>", re.DOTALL)
_GONE: Final = 404


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """Parts that nobody has made an object of."""

    key: str
    upload_id: str
    begun_at: datetime


class PlainRequests:
    """Requests that the client library does not make. Each raises ``StorageUnavailable``."""

    def __init__(self, options: S3Options, credential: Credential) -> None:
        self._options = options
        self._credential = credential

    async def unfinished(self) -> AsyncIterator[UnfinishedUpload]:
        """Every unfinished upload of ours, a page of the store's at a time."""
        key_marker = id_marker = ""
        while True:
            query = {
                "uploads": "",
                "prefix": blobs_of(self._options.within),
                **({"key-marker": key_marker} if key_marker else {}),
                **({"upload-id-marker": id_marker} if id_marker else {}),
            }
            page = await self._listed(query)
            for found in parsed(page):
                yield found
            key_marker, id_marker = _of(page, "NextKeyMarker"), _of(page, "NextUploadIdMarker")
            if _of(page, "IsTruncated") != "true" or not key_marker:
                return

    async def abort(self, upload: UnfinishedUpload) -> None:
        """Remove its parts. Absence is success."""
        status, _ = await self.ask("DELETE", upload.key, {"uploadId": upload.upload_id})
        if status >= 300 and status != _GONE:
            raise StorageUnavailable(f"an unfinished upload cannot be removed: {status}")

    async def ask(
        self,
        method: str,
        key: str,
        query: dict[str, str],
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, str]:
        """One signed request: its status and body."""
        options = self._options
        url = f"{options.bucket_url}/{key}"
        asked = UnsignedRequest(method, url, query, headers or {})
        signed = signed_headers(
            asked, self._credential, region=options.region, now=datetime.now(UTC)
        )
        try:
            status, content = await ask_once(
                method,
                asked.target,
                signed,
                body,
                timeout_seconds=_SECONDS,
                most_bytes=_MOST_BYTES,
                authorities=options.authorities,
            )
        except Unreachable as exc:
            raise StorageUnavailable() from exc
        return status, content.decode("utf-8", "replace")

    async def _listed(self, query: dict[str, str]) -> str:
        status, page = await self.ask("GET", "", query)
        if status != 200:
            raise StorageUnavailable(f"unfinished uploads cannot be listed: {status}")
        return page


def parsed(page: str) -> list[UnfinishedUpload]:
    """The uploads of one answer."""
    found = []
    for match in _UPLOAD.finditer(page):
        key, upload_id, begun = (_of(match[1], n) for n in ("Key", "UploadId", "Initiated"))
        try:
            begun_at = datetime.fromisoformat(begun)
        except ValueError:
            continue
        if key and upload_id and begun_at.tzinfo is not None:
            found.append(UnfinishedUpload(key, upload_id, begun_at))
    return found


def _of(text: str, name: str) -> str:
    """What stands in the first element of that name; empty if there is none."""
    match = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(match[1]) if match else ""
