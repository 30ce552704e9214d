"""What a client is given to move bytes with: the form of an awaited upload, and signed links."""

from __future__ import annotations

from aiohttp import web

from gateway.dialects.losant.records import AwaitedUpload
from gateway.model.file import FileRecord


def upload_form(_: web.Request, awaited: AwaitedUpload) -> dict[str, object]:
    """The member ``upload``: where the form is sent, and its fields."""
    return {"url": "", "fields": {"key": awaited.key}}


def link_of(_: web.Request, _record: FileRecord, _seconds: int) -> str | None:
    """A link to the bytes of a file, or ``None`` if it has none or the seconds are 0."""
    return None
