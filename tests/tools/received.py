"""What the gateway makes of a form that it is sent, with its file in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from gateway.blobs.memory import MemoryBlobStore
from gateway.model.errors import GatewayError
from gateway.model.file import Blob, Scope
from gateway.traffic.limits import ConcurrencyLimit
from gateway.web.uploads.context import UPLOADS, Limits, Uploads
from gateway.web.uploads.form import FormLimits, open_form

SCOPE = Scope("things", "t1")


@dataclass(frozen=True, slots=True)
class Received:
    """A form's fields and the bytes of its file; or why it was refused."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytes | None = None
    content_type: str = "application/octet-stream"
    fault: str = ""


def uploading_app(store: MemoryBlobStore | None = None) -> web.Application:
    """An application that has what uploads need, and a bound of 1 GiB."""
    app = web.Application()
    limits = Limits(2**30, stall_seconds=60, min_upload_bytes_per_second=1)
    app[UPLOADS] = Uploads(store or MemoryBlobStore(), limits, ConcurrencyLimit(10))
    return app


async def received(request: web.Request, limits: FormLimits | None = None) -> Received:
    """The request's form."""
    try:
        async with open_form(request, limits) as form:
            upload = await form.read_file(SCOPE)
            content = await _taken(request.app[UPLOADS].files, await upload.writer.seal())
    except GatewayError as fault:
        return Received(fault=str(fault))
    return Received(dict(form.fields), content, upload.content_type)


async def _taken(store: object, blob: Blob) -> bytes:
    """A blob's bytes, which are not kept any longer."""
    assert isinstance(store, MemoryBlobStore)
    reader = await store.open(blob)
    content = await reader.read(0, blob.size)
    await store.remove(blob.scope, blob.id)
    return content
