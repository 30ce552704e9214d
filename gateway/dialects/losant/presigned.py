"""What a client is given to move bytes with: the form of an awaited upload, and signed links."""

from __future__ import annotations

import math
import time
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.dialects.losant.records import AwaitedUpload
from gateway.dialects.losant.storage.context import (
    STORAGE,
    UPLOAD_PATH,
    link_path,
    now,
    version_of,
)
from gateway.model.file import FileRecord
from gateway.web.addresses import absolute_url
from gateway.web.signing.sigv4 import SizeRange, Terms, make_form
from gateway.web.uploads.context import UPLOADS

_FREE: Final = ("success_action_status",)
_FREE_WITH_REDIRECTS: Final = (*_FREE, "success_action_redirect")


def upload_form(request: web.Request, awaited: AwaitedUpload) -> dict[str, object]:
    """The member ``upload``: where the form is sent, and its fields.

    The file may have exactly the size that was declared, or any if none was.
    """
    storage, size = request.app[STORAGE], awaited.declared.size
    sizes = SizeRange(0, request.app[UPLOADS].limits.file_bytes)
    terms = Terms(
        awaited.key,
        awaited.content_type,
        sizes if size is None else SizeRange(size, size),
        _FREE_WITH_REDIRECTS if storage.redirects else _FREE,
    )
    seconds = min(storage.form_seconds, awaited.expires_at - time.time())
    fields = make_form(storage.authority, terms, now=now(), seconds=max(seconds, 0))
    return {"url": absolute_url(request, UPLOAD_PATH), "fields": fields}


def link_of(request: web.Request, record: FileRecord, seconds: int) -> str | None:
    """A link to the bytes of a file, or ``None`` if it has none or ``seconds`` is 0."""
    if record.blob is None or seconds <= 0:
        return None
    path, expires = link_path(record), math.ceil(time.time()) + seconds
    query = request.app[STORAGE].links.query(path, version_of(record), expires)
    return f"{absolute_url(request, quote(path))}?{query}"
