"""What the gateway makes of a form that it is sent, with its file in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobWriter
from gateway.model.errors import GatewayError
from gateway.model.file import Scope
from gateway.web.context import Limits
from gateway.web.uploads.form import receive_form_parts

SCOPE = Scope("things", "t1")
LIMITS = Limits(2**30, stall_seconds=60, min_upload_bytes_per_second=1)


@dataclass(frozen=True, slots=True)
class Received:
    """A form's fields and the bytes of its file; or why it was refused."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytes | None = None
    content_type: str = "application/octet-stream"
    fault: str = ""


async def received(request: web.Request, limits: Limits = LIMITS) -> Received:
    """The request's form."""
    store = MemoryBlobStore()

    @asynccontextmanager
    async def stage(
        *, algorithms: Collection[str], expected_bytes: int | None
    ) -> AsyncIterator[BlobWriter]:
        async with store.stage(SCOPE, algorithms=algorithms) as writer:
            yield writer

    try:
        async with receive_form_parts(request, limits, stage, "file") as form:
            blob = await form.file.writer.seal()
            reader = await store.open(blob)
            content = await reader.read(0, blob.size)
    except GatewayError as fault:
        return Received(fault=str(fault))
    return Received(form.fields, content, form.file.content_type)
