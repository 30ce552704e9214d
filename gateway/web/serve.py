"""Files out: conditions, one range, the headers devices rely on, and the bytes.

Knows HTTP and the three ways to send; the rules themselves are pure and live in
``model.precondition`` and ``model.byterange``.

Rule: Content-Length always, Content-Encoding never. A transfer that cannot be finished is
cut, never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Final, cast

from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.model.byterange import (
    ByteRange,
    RangePolicy,
    combine_headers,
    is_canonical,
    parse_range,
)
from gateway.model.disposition import attachment
from gateway.model.errors import PreconditionFailed
from gateway.model.file import FileRecord
from gateway.model.precondition import (
    Conditions,
    Outcome,
    Validators,
    evaluate,
    range_holds,
)
from gateway.web import metrics
from gateway.web.context import GATEWAY, Gateway

ACCEL_HEADER: Final = "X-Filestore-Accel"
_JUDGED_AGAIN: Final = ("If-Match", "If-Unmodified-Since")
_ONE_WRITE_BYTES: Final = 64 * 1024
_SLICE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RangeRules:
    """How a dialect takes ranges: its policy, and another header name it also accepts."""

    policy: RangePolicy = RangePolicy.LENIENT_UNITS
    alternative_header: str | None = None


STANDARD_RANGES: Final = RangeRules()


async def serve_file(
    request: web.Request, record: FileRecord, ranges: RangeRules = STANDARD_RANGES
) -> web.StreamResponse:
    """The answer to a GET or HEAD of ``record``, in the order of RFC 9110 13.2.2.

    Raises ``PreconditionFailed``, a range error, or ``BlobMissing``.
    """
    validators = validators_of(record)
    conditions = conditions_of(request)
    outcome = evaluate(conditions, validators, method=request.method)
    if outcome is Outcome.FAILED:
        raise PreconditionFailed()
    if outcome is Outcome.NOT_MODIFIED:
        return web.Response(status=304, headers=_validator_headers(validators))
    header = _range_header(request, ranges)
    if header is not None and not range_holds(conditions.if_range, validators):
        header = None
    chosen = parse_range(header, record.blob.size, ranges.policy)
    return await _send(request, record, validators, chosen)


def conditions_of(request: web.Request) -> Conditions:
    """The conditional headers; repeated ones joined by commas (RFC 9110 5.3)."""
    headers = request.headers

    def combined(name: str) -> str | None:
        values = headers.getall(name, ())
        return ", ".join(values) if values else None

    return Conditions(
        if_match=combined("If-Match"),
        if_none_match=combined("If-None-Match"),
        if_modified_since=combined("If-Modified-Since"),
        if_unmodified_since=combined("If-Unmodified-Since"),
        if_range=combined("If-Range"),
    )


def validators_of(record: FileRecord) -> Validators:
    """What identifies the record's bytes."""
    return Validators(record.blob.digest.etag, record.modified_at)


def _range_header(request: web.Request, ranges: RangeRules) -> str | None:
    """The range asked for, if any. Only GET has ranges (RFC 9110 14.2)."""
    if request.method != "GET":
        return None
    other: Sequence[str] = ()
    if ranges.alternative_header is not None:
        other = request.headers.getall(ranges.alternative_header, ())
    return combine_headers(request.headers.getall("Range", ()), other)


async def _send(
    request: web.Request, record: FileRecord, validators: Validators, chosen: ByteRange | None
) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    status = 200 if chosen is None else 206
    headers = _file_headers(record, validators, chosen)
    if request.method == "HEAD":
        headers["Content-Length"] = str(record.blob.size)
        return web.Response(headers=headers)
    if _goes_by_accel(request, gateway, record, chosen):
        if chosen is None:
            del headers["Accept-Ranges"]  # with a 200 nginx says so itself: it would stand twice
        headers["X-Accel-Redirect"] = f"{gateway.accel}/{gateway.files.locate(record)}"
        return web.Response(headers=headers)
    reader = await gateway.files.open(record)
    try:
        span = chosen or ByteRange(0, record.blob.size)
        if span.length <= _ONE_WRITE_BYTES:
            body = await reader.read(span.start, span.length) if span.length else b""
            metrics.sent_bytes.inc(span.length)
            return web.Response(status=status, headers=headers, body=body)
        return await _stream(request, gateway, reader, span, status, headers)
    finally:
        reader.close()


async def _stream(
    request: web.Request,
    gateway: Gateway,
    reader: BlobReader,
    span: ByteRange,
    status: int,
    headers: dict[str, str],
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = span.length
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client left")
    try:
        with gateway.stalls.watching(cast(asyncio.WriteTransport, transport)):
            await _send_span(transport, reader, span)
    except BaseException:
        cast(asyncio.WriteTransport, transport).abort()
        raise
    metrics.sent_bytes.inc(span.length)
    await response.write_eof()
    return response


async def _send_span(transport: asyncio.BaseTransport, reader: BlobReader, span: ByteRange) -> None:
    """The span from the file to the socket, a slice at a time so that others get their turn.

    ``sendfile`` says nothing of a file that ends early, so the blob is asked afterwards.
    """
    loop = asyncio.get_running_loop()
    for start in range(span.start, span.stop, _SLICE_BYTES):
        count = min(_SLICE_BYTES, span.stop - start)
        await loop.sendfile(
            cast(asyncio.WriteTransport, transport),
            cast(IO[bytes], reader),
            start,
            count,
            fallback=False,
        )
        await asyncio.sleep(0)
    if not reader.is_whole():
        raise ConnectionResetError("the blob is shorter than its row says")


def _goes_by_accel(
    request: web.Request, gateway: Gateway, record: FileRecord, chosen: ByteRange | None
) -> bool:
    """Whether the front server asked to send, and will send what we would.

    It reads canonical ranges as we do; the other forms, and If-Range by date (which it may
    compare with the time of the file on disk), stay with us. So does what If-Match or
    If-Unmodified-Since let pass: nginx judges them again, before it knows our validators.
    """
    if gateway.accel is None or request.headers.get(ACCEL_HEADER) != gateway.accel:
        return False
    if record.blob.size == 0 or not gateway.peers.trusts(request):
        return False
    if any(name in request.headers for name in _JUDGED_AGAIN):
        return False
    ranges = request.headers.getall("Range", ())
    if not ranges:
        return chosen is None
    if_range = request.headers.get("If-Range", '"')
    return len(ranges) == 1 and is_canonical(ranges[0]) and if_range.startswith('"')


def _file_headers(
    record: FileRecord, validators: Validators, chosen: ByteRange | None
) -> dict[str, str]:
    """The same on 200, 206 and HEAD; few, because some devices hold 2 KB in all."""
    headers = _validator_headers(validators)
    headers["Content-Type"] = record.content_type
    headers["Accept-Ranges"] = "bytes"
    headers["Repr-Digest"] = record.blob.digest.repr_digest
    headers["Content-Disposition"] = attachment(record.name)
    headers["X-Content-Type-Options"] = "nosniff"
    if record.blob.md5 is not None:
        headers["x-MD5"] = record.blob.md5
    if chosen is not None:
        headers["Content-Range"] = chosen.content_range(record.blob.size)
    return headers


def _validator_headers(validators: Validators) -> dict[str, str]:
    headers = {"ETag": validators.etag}
    if validators.is_settled(datetime.now(UTC)):
        headers["Last-Modified"] = validators.last_modified
    return headers
