"""Raw uploads: the whole body is the file, staged where a dialect says, counted and limited.

Knows where HTTP declares lengths and digests. Does not know names, rights or rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.model.claims import Claims
from gateway.model.digest import claims_of
from gateway.model.file import Scope
from gateway.model.media import stored_content_type
from gateway.web import metrics
from gateway.web.errors import MissingField
from gateway.web.uploads.body import Body
from gateway.web.uploads.context import FILE_SETTING, UPLOADS, Upload, too_large
from gateway.web.uploads.reserving import reserved


@asynccontextmanager
async def receive_raw(
    request: web.Request, scope: Scope, *, default_type: str | None = None
) -> AsyncIterator[Upload]:
    """The whole body as a file staged in ``scope``; whole when the block begins.

    Raises ``MissingField`` without a Content-Type and a ``default_type``, ``Malformed``,
    ``TooMany``, and what a body and the blob writer raise. Digests are checked when the file is
    deposited.
    """
    uploads = request.app[UPLOADS]
    declared_type = request.headers.get("Content-Type") or default_type
    if not declared_type:
        raise MissingField("header", "Content-Type")
    content_type, claims = stored_content_type(declared_type), Claims()
    claims.add(*claims_of(request.headers.items()))
    with reserved(request, uploads):
        most = uploads.limits.file_bytes
        sentence = too_large("the file", most, FILE_SETTING)
        body = Body(request, uploads.limits, limit_bytes=most, sentence=sentence)
        async with uploads.stage(scope, claims, body.declared) as writer:
            with body.paced():
                while chunk := await body.next_chunk():
                    metrics.received_bytes.inc(len(chunk))
                    await writer.write(chunk)
            yield Upload("", content_type, claims, writer)
