"""The digest beside a file: ``<address>.sha256`` and ``.md5``, where there is no such file.

It is a line that ``sha256sum -c`` and ``md5sum -c`` take, and whose first 32 or 64 characters are
the digest alone, which is all that ESPHome reads. Two columns could not be told from one if the
name had a backslash, which those programs escape, or a slash; then the digest stands alone.

Knows names, not addresses: what a name's address is, and who may read it, the dialect says. Does
not know how bytes are sent, for a line is sent whole.

Rule: a file that has the name comes first; else whoever may read the file next to it, and nobody
else, reads its digest. It has validators of its own, is never kept, and the cache headers are those
of the file. MD5 that was not computed at the upload is computed once and remembered, off the loop,
for few files at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.filestore import Filestore
from gateway.model.access import Access
from gateway.model.byterange import ByteRange
from gateway.model.digest import MD5, SHA256, Digest
from gateway.model.errors import GatewayError, Malformed, NotFound
from gateway.model.file import Blob, FileRecord
from gateway.traffic.cache import BoundedCache
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.singleflight import SingleFlight
from gateway.web import edge
from gateway.web.downloads.asked import STANDARD, ReadRules, asked_by
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.downloads.decide import PARTIAL, check_pins, decide
from gateway.web.downloads.headers import IMMUTABLE, REVALIDATED, version_of
from gateway.web.downloads.serve import serve_file
from gateway.web.seen import note_principal

ResolveNamed = Callable[[web.Request, str], Awaitable[tuple[Access, FileRecord]]]

TYPE: Final = "text/plain; charset=utf-8"
ABSENT: Final[tuple[type[GatewayError], ...]] = (NotFound, Malformed)
"""What says that there is no file of a name: with its suffix it may be too long for one."""

_ALGORITHMS: Final = (SHA256, MD5)
_NEVER_ALONE: Final = "/\\"
_REMEMBERED: Final = 4096
_AT_ONCE: Final = 2
_WAITING: Final = 64


class Digests:
    """The digests of files, as text. At most two files are hashed at once, per worker."""

    def __init__(self, files: Filestore) -> None:
        self._files = files
        self._md5: BoundedCache[UUID, str] = BoundedCache(_REMEMBERED)
        self._flights: SingleFlight[str] = SingleFlight()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._places = ConcurrencyLimit(_WAITING)

    async def text(self, record: FileRecord, algorithm: str, shown_name: str) -> bytes:
        """The line of ``sha256sum`` or ``md5sum`` about the file.

        Raises ``NotFound`` if it has no bytes, ``TooMany`` if too many wait for theirs to be
        hashed, ``BlobMissing`` and ``StorageFailed``.
        """
        blob = record.content
        digest = blob.digest.hex if algorithm == SHA256 else await self._md5_of(record, blob)
        alone = any(sign in shown_name for sign in _NEVER_ALONE)
        return f"{digest}\n".encode() if alone else f"{digest}  {shown_name}\n".encode()

    async def _md5_of(self, record: FileRecord, blob: Blob) -> str:
        known = blob.md5 or self._md5.find(blob.id)
        if known is not None:
            return known
        return await self._flights.join(blob.id, partial(self._in_turn, record, blob))

    async def _in_turn(self, record: FileRecord, blob: Blob) -> str:
        with self._places.taken(record.scope):
            async with self._turns:
                digest = await self._hashed(record, blob)
        self._md5.keep(blob.id, digest)
        return digest

    async def _hashed(self, record: FileRecord, blob: Blob) -> str:
        hasher = hashlib.md5(usedforsecurity=False)
        with closing(await self._files.open(record)) as reader:
            async with aclosing(reader.chunks(ByteRange(0, blob.size))) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(hasher.update, piece)
        return hasher.hexdigest()


async def serve_named(
    request: web.Request,
    name: str,
    resolve: ResolveNamed,
    rules: ReadRules = STANDARD,
    *,
    absent: tuple[type[GatewayError], ...] = ABSENT,
) -> web.StreamResponse:
    """The response to a GET or HEAD of the file ``name``, or of the digest beside another.

    ``resolve`` is that of ``serve_file``, for a name; what it raises of ``absent`` means that there
    is no such file. An nginx in edge mode is told to pass the request on. Raises as ``serve_file``.
    """
    try:
        return await serve_file(request, partial(_resolved, resolve, name), rules)
    except absent:
        found = await _found(request, name, resolve, absent)
        if found is None:
            raise
    return await _serve(request, found, rules)


async def _resolved(
    resolve: ResolveNamed, name: str, request: web.Request
) -> tuple[Access, FileRecord]:
    return await resolve(request, name)


@dataclass(frozen=True, slots=True)
class _Beside:
    """A file whose digest is asked for, by somebody who may read it."""

    access: Access
    record: FileRecord
    algorithm: str


async def _found(
    request: web.Request, name: str, resolve: ResolveNamed, absent: tuple[type[GatewayError], ...]
) -> _Beside | None:
    """The file whose digest the name means, if it is there and has bytes."""
    of, _, algorithm = name.rpartition(".")
    if not of or algorithm not in _ALGORITHMS or not _is_said(request):
        return None
    with contextlib.suppress(*absent):
        access, record = await resolve(request, of)
        return None if record.blob is None else _Beside(access, record, algorithm)
    return None


def _is_said(request: web.Request) -> bool:
    return request.app[DOWNLOADS].digests is not None and not edge.is_asked(request)


async def _serve(request: web.Request, beside: _Beside, rules: ReadRules) -> web.Response:
    digests, record = request.app[DOWNLOADS].digests, beside.record
    assert digests is not None, "asked before"
    note_principal(request, beside.access.principal)
    name = rules.shown_name(record)
    text = await digests.text(record, beside.algorithm, name)
    return _response(request, record, text, f"{name}.{beside.algorithm}", rules)


def _response(
    request: web.Request, record: FileRecord, text: bytes, name: str, rules: ReadRules
) -> web.Response:
    """``text`` as a file of its own would be sent; a pin in the address is of the file's bytes."""
    asked = asked_by(request, rules)
    check_pins(asked, version_of(record, name))
    digest = Digest(hashlib.sha256(text).hexdigest())
    content = Blob(record.content.id, record.content.scope, len(text), digest)
    version = version_of(
        replace(record, blob=content, content_type=TYPE),
        name,
        cache_control=IMMUTABLE if asked.pins else REVALIDATED,
    )
    shown = decide(replace(asked, pins=()), version, lambda _: False)
    if request.method == "HEAD" or shown.span is None:
        return web.Response(status=shown.status, headers=shown.headers)
    response = web.Response(
        status=shown.status, headers=shown.headers, body=text[shown.span.start : shown.span.stop]
    )
    if shown.status == PARTIAL:
        last = shown.span.stop - 1
        response.headers["Content-Range"] = f"bytes {shown.span.start}-{last}/{len(text)}"
    return response
