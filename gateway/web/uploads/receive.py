"""Uploads in: a form or a raw body, staged where a dialect says, counted and limited.

Knows where HTTP declares lengths and digests. Does not know names, rights or rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from gateway.blobs.port import BlobWriter
from gateway.model.digest import MD5, check_claims, claims_of
from gateway.model.file import Scope
from gateway.model.media import check_content_type
from gateway.web import metrics
from gateway.web.context import GATEWAY, Gateway
from gateway.web.errors import MissingField
from gateway.web.server.exchange import read_ahead
from gateway.web.uploads.body import chunks, declared_length
from gateway.web.uploads.form import Form, Stage, Upload, receive_form_parts

_AHEAD_BYTES: Final = 1024 * 1024
_LEAST_AHEAD: Final = 64 * 1024
_MOST_AHEAD: Final = 512 * 1024


@asynccontextmanager
async def receive_form(
    request: web.Request, scope: Scope, *, file_field: str = "file"
) -> AsyncIterator[Form]:
    """A multipart form whose file part is staged in ``scope``; whole when the block begins.

    Digest fields of the request itself promise the whole body, those of the file part
    promise the file. Raises what ``form`` raises, ``TooMany`` and ``DigestMismatch``.
    """
    gateway = request.app[GATEWAY]
    claims = claims_of(request.headers.items())
    hashers = {claim.algorithm: hashlib.new(claim.algorithm) for claim in claims}
    with _receiving(request, gateway):
        async with receive_form_parts(
            request,
            gateway.limits,
            _stage(gateway, scope),
            file_field,
            list(hashers.values()),
        ) as form:
            check_claims(claims, {name: h.digest() for name, h in hashers.items()})
            yield form


@asynccontextmanager
async def receive_raw(request: web.Request, scope: Scope) -> AsyncIterator[Upload]:
    """The whole body as a file staged in ``scope``.

    Raises as ``receive_form``, and ``MissingField`` without a Content-Type.
    """
    gateway, limits = request.app[GATEWAY], request.app[GATEWAY].limits
    declared_type = request.headers.get("Content-Type")
    if not declared_type:
        raise MissingField("header", "Content-Type")
    content_type, claims = check_content_type(declared_type), claims_of(request.headers.items())
    with _receiving(request, gateway):
        async with _stage(gateway, scope)(
            algorithms={claim.algorithm for claim in claims},
            expected_bytes=declared_length(request, limits.file_bytes),
        ) as writer:
            async for chunk in chunks(request, limits, limit_bytes=limits.file_bytes):
                metrics.received_bytes.inc(len(chunk))
                await writer.write(chunk)
            yield Upload("", content_type, claims, writer)


@contextmanager
def _receiving(request: web.Request, gateway: Gateway) -> Iterator[None]:
    """One of the uploads at once, which reads ahead of its writer by its share of memory.

    Reading further ahead spares the connection from being paused after every read.
    """
    with gateway.uploads.taken(), metrics.uploads_in_flight.track_inprogress():
        ahead = gateway.uploads.share(_AHEAD_BYTES, least=_LEAST_AHEAD, most=_MOST_AHEAD)
        read_ahead(request, ahead)
        yield


def _stage(gateway: Gateway, scope: Scope) -> Stage:
    def stage(
        *, algorithms: Collection[str], expected_bytes: int | None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        wanted = {*algorithms, MD5} if gateway.store_md5 else algorithms
        return gateway.files.stage(scope, algorithms=wanted, expected_bytes=expected_bytes)

    return stage
