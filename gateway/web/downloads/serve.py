"""Files out: conditions, one range, the headers devices rely on, and the bytes.

Knows HTTP and the three ways to send; the rules themselves are pure and live in
``model.precondition`` and ``model.byterange``.

Rule: Content-Length always, Content-Encoding never. A transfer that cannot be finished is
cut, never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from aiohttp import web

from gateway.model.access import Access
from gateway.model.byterange import (
    ByteRange,
    RangePolicy,
    combine_headers,
    is_canonical,
    parse_range,
)
from gateway.model.digest import parse_sha256_text
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
from gateway.settings.fastways import FastWay
from gateway.traffic.resolved import SharedReader
from gateway.web import edge
from gateway.web.authentication import CALLERS
from gateway.web.context import GATEWAY, Gateway, ResolvedRead
from gateway.web.downloads.sending import BlobResponse
from gateway.web.server.exchange import header_lines, on_receipt

ACCEL_HEADER: Final = "X-Filestore-Accel"
ACCEL_RATE_HEADER: Final = "X-Accel-Limit-Rate"
PIN_PARAMETER: Final = "sha256"
_JUDGED_AGAIN: Final = ("If-Match", "If-Unmodified-Since")


@dataclass(frozen=True, slots=True)
class RangeRules:
    """How a dialect takes ranges: its policy, and another header name it also accepts."""

    policy: RangePolicy = RangePolicy.LENIENT_UNITS
    alternative_header: str | None = None


STANDARD_RANGES: Final = RangeRules()


Resolve = Callable[[web.Request], Awaitable[tuple[Access, FileRecord]]]
CredentialOf = Callable[[web.Request], Hashable]


def authorization_of(request: web.Request) -> Hashable:
    """The credential of most dialects: every Authorization header of the request."""
    return tuple(request.headers.getall("Authorization", ()))


async def serve_file(
    request: web.Request,
    resolve: Resolve,
    *,
    ranges: RangeRules = STANDARD_RANGES,
    credential_of: CredentialOf = authorization_of,
) -> web.StreamResponse:
    """The answer to a GET or HEAD.

    ``resolve`` finds out who asks, applies the dialect's rules and the hook, and finds the
    row; what it says is kept for a moment under the path and ``credential_of`` the request,
    which must be everything that it looks at. The hook is asked every time. An nginx in edge
    mode gets the decision instead of the file.

    Raises what ``resolve`` raises, ``PreconditionFailed``, a range error, or ``BlobMissing``.
    """
    gateway = request.app[GATEWAY]
    key = (request.raw_path, credential_of(request))
    for_edge = edge.is_asked(request)
    max_age = gateway.edge_seconds - edge.WORTH_KEEPING_SECONDS if for_edge else math.inf
    resolved = gateway.reads.find(key, max_age=max_age)
    if resolved is None and await gateway.reads.resolved_by_another(key):
        resolved = gateway.reads.find(key, max_age=max_age)
    if resolved is None:
        plain = ranges is STANDARD_RANGES and credential_of is authorization_of
        resolved = await _resolve(request, gateway, key, resolve, plain=plain)
    elif not for_edge:
        await request.app[CALLERS].hook.authorise(resolved.access)
    try:
        _check_pin(request, resolved.record)
        if for_edge:
            gateway.downloads.forget(resolved.download)
            return await edge.decide(request, gateway, resolved)
        chosen = _choose(request, gateway, resolved, ranges)
        if isinstance(chosen, web.Response):
            return chosen
        return await _send(request, gateway, resolved, chosen)
    finally:
        resolved.blob.release()


async def _resolve(
    request: web.Request,
    gateway: Gateway,
    key: tuple[str, Hashable],
    resolve: Resolve,
    *,
    plain: bool,
) -> ResolvedRead:
    seen = asyncio.get_running_loop().time()
    with gateway.reads.resolving(key) as watch:
        access, record = await resolve(request)
        reader = SharedReader(await gateway.files.open(record))
        validators, headers = validators_of(record), _file_headers(record)
        _, credential = key
        download = gateway.downloads.key(credential, record.scope, record.name)
        lines = header_lines(headers)
        resolved = ResolvedRead(access, record, validators, reader, headers, lines, seen, download)
        resolved.plain = plain
        gateway.reads.keep(key, resolved, watch)
        return resolved


def _choose(
    request: web.Request, gateway: Gateway, resolved: ResolvedRead, ranges: RangeRules
) -> ByteRange | web.Response | None:
    """The part to send, ``None`` for all, or what to say instead: RFC 9110 13.2.2."""
    record, validators = resolved.record, resolved.validators
    conditions = conditions_of(request)
    outcome = Outcome.PROCEED
    if conditions is not UNCONDITIONAL:
        outcome = evaluate(conditions, validators, method=request.method)
    if outcome is Outcome.FAILED:
        raise PreconditionFailed()
    if outcome is Outcome.NOT_MODIFIED:
        return web.Response(status=304, headers=_validator_headers(validators))
    header = _range_header(request, ranges)
    if header is not None and not range_holds(conditions.if_range, validators):
        header = None
    if header is not None and _would_mix(request, gateway, resolved, conditions, header):
        raise PreconditionFailed()
    return parse_range(header, record.content.size, ranges.policy)


def _would_mix(
    request: web.Request,
    gateway: Gateway,
    resolved: ResolvedRead,
    conditions: Conditions,
    header: str,
) -> bool:
    """Whether a range that names no version continues a download of a file replaced since.

    It is refused before its bounds are looked at: of a 416 ``wget -c`` makes a success.
    """
    version = resolved.validators.etag
    if not gateway.downloads.would_mix(resolved.download, version, header):
        return False
    named = (conditions.if_range, conditions.if_match, conditions.if_unmodified_since)
    return named == (None, None, None) and PIN_PARAMETER not in request.query


def _check_pin(request: web.Request, record: FileRecord) -> None:
    """Hold an address that names its version by ``?sha256=`` to it.

    It is the If-Match of clients that can send none and resume with nothing but a number.
    Raises ``PreconditionFailed``, and ``Malformed`` for anything but 64 hex digits.
    """
    pins = request.query.getall(PIN_PARAMETER, ()) if "?" in request.raw_path else ()
    for pin in pins:
        if parse_sha256_text(pin).value != record.content.digest.raw:
            raise PreconditionFailed()


UNCONDITIONAL: Final = Conditions()
CONDITIONAL: Final = (
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
)


def conditions_of(request: web.Request) -> Conditions:
    """The conditional headers; repeated ones joined by commas (RFC 9110 5.3)."""
    headers = request.headers
    if not any(name in headers for name in CONDITIONAL):
        return UNCONDITIONAL

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
    return Validators(record.content.digest.etag, record.modified_at)


def _range_header(request: web.Request, ranges: RangeRules) -> str | None:
    """The range asked for, if any. Only GET has ranges (RFC 9110 14.2)."""
    if request.method != "GET":
        return None
    other: Sequence[str] = ()
    if ranges.alternative_header is not None:
        other = request.headers.getall(ranges.alternative_header, ())
    return combine_headers(request.headers.getall("Range", ()), other)


async def _send(
    request: web.Request, gateway: Gateway, resolved: ResolvedRead, chosen: ByteRange | None
) -> web.StreamResponse:
    record, asked_for = resolved.record, _digest_asked_for(request, resolved.record)
    size = record.content.size
    if request.method == "HEAD":
        length = {"Content-Length": str(size)}
        return web.Response(headers={**resolved.headers, **asked_for, **length})
    span = chosen or ByteRange(0, size)
    downloads, key = gateway.downloads, resolved.download
    download = downloads.answer(key, resolved.validators.etag, span, size)
    pace = gateway.pace_of(resolved.access)
    place = gateway.files.locate(record)
    if place is not None and _goes_by_accel(request, gateway, record, chosen):
        if download is not None:
            downloads.forget(key)  # nginx does not say how far it came
        headers = {**resolved.headers, **asked_for}
        if chosen is None:
            del headers["Accept-Ranges"]  # with a 200 nginx says so itself: it would stand twice
        headers["X-Accel-Redirect"] = f"{gateway.accel}/{place}"
        if pace is not None:
            headers[ACCEL_RATE_HEADER] = str(pace.rate)
        return web.Response(headers=headers)
    own = header_lines(asked_for) if asked_for else b""
    response = BlobResponse(span, size, resolved.lines + own, whole=chosen is None)
    if download is None:
        await response.send(request, resolved.blob.reader, gateway.stalls, pace=pace)
    else:
        reader, told = resolved.blob.reader, download.hand_out
        await response.send(request, reader, gateway.stalls, told, pace)
        download.ended = True
        on_receipt(request, partial(downloads.settle, key, download))
    return response


def _digest_asked_for(request: web.Request, record: FileRecord) -> dict[str, str]:
    """The digest in its old form (RFC 3230) for whoever asks: aria2, which then checks it."""
    if "sha-256" not in request.headers.get("Want-Digest", "").lower():
        return {}
    return {"Digest": record.content.digest.legacy_digest}


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
    if FastWay.ACCEL not in gateway.ways:
        return False
    if record.content.size == 0 or not request.app[CALLERS].proxies.trusts(request):
        return False
    if any(name in request.headers for name in _JUDGED_AGAIN):
        return False
    ranges = request.headers.getall("Range", ())
    if not ranges:
        return chosen is None
    if_range = request.headers.get("If-Range", '"')
    return len(ranges) == 1 and is_canonical(ranges[0]) and if_range.startswith('"')


def _file_headers(record: FileRecord) -> dict[str, str]:
    """The same on 200, 206 and HEAD; few, because some devices hold 2 KB in all."""
    headers = _validator_headers(validators_of(record))
    headers["Content-Type"] = record.content_type
    headers["Accept-Ranges"] = "bytes"
    headers["Repr-Digest"] = record.content.digest.repr_digest
    headers["Content-Disposition"] = attachment(record.name)
    headers["X-Content-Type-Options"] = "nosniff"
    if record.content.md5 is not None:
        headers["x-MD5"] = record.content.md5
    return headers


def _validator_headers(validators: Validators) -> dict[str, str]:
    headers = {"ETag": validators.etag}
    if validators.is_settled(datetime.now(UTC)):
        headers["Last-Modified"] = validators.last_modified
    return headers
