"""Delivery: which way a body goes, by what the store can do and what the front server asked for.

    redirect   such callers may fetch from the store, and it would send what we would
    accel      the front server asked to send, the store lets it, and it would send what we would
    write      a little: one write with the head
    sendfile   the blob has a descriptor, the connection can send files, and it is not switched off
    stream     everything else: pieces, each read when the one before has left
    parts      several ranges: a stream, too, of parts with their frames; always by the gateway

Rule: a body is begun only when nothing but its bytes can fail any more, and what fails after
that is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageFailed, is_of_blob
from gateway.model.file import Blob
from gateway.settings.fastways import FastWay
from gateway.traffic.resolved import Version
from gateway.web import metrics
from gateway.web.downloads.context import Downloads, ResolvedRead
from gateway.web.downloads.decide import OK, PARTIAL, Asked, Representation
from gateway.web.downloads.deliver import accel, redirect
from gateway.web.downloads.deliver.parts import MultipartBody
from gateway.web.downloads.deliver.response import BlobResponse
from gateway.web.downloads.deliver.sendfile import send_file
from gateway.web.downloads.deliver.stream import stream
from gateway.web.downloads.deliver.verify import OtherBytes, is_chosen, verified
from gateway.web.downloads.deliver.write import ONE_WRITE_BYTES, write
from gateway.web.downloads.transfer import BlobCut, Transfer, TransferObserver
from gateway.web.seen import note_sending
from gateway.web.server.exchange import header_lines, sends_files
from gateway.web.server.response import RawResponse


async def deliver(
    request: web.Request,
    downloads: Downloads,
    resolved: ResolvedRead,
    asked: Asked,
    shown: Representation,
) -> web.StreamResponse:
    """Send ``shown``. The blob is opened only if its bytes go through here.

    Raises ``BlobMissing`` or ``StorageFailed`` while nothing was sent, ``ConnectionError`` later.
    """
    downloads.under_way.check(resolved.version.blob.id, resolved.seen)
    if shown.parts:
        return await _deliver_parts(request, downloads, resolved, shown)
    if shown.span is None:
        return web.Response(status=shown.status, headers=shown.headers)
    elsewhere = await _sent_elsewhere(request, downloads, resolved, asked, shown)
    if elsewhere is not None:
        if _recorded(downloads, resolved, shown.span) is not None:
            downloads.watch.forget(resolved.read_id)  # nobody says how far it comes
        return elsewhere
    pace = downloads.pace_of(resolved.access)
    reader = resolved.reader.opened or await _opened(downloads, resolved)
    observer = _recorded(downloads, resolved, shown.span)
    added = downloads.cors.headers_for(request.headers.get("Origin"))
    response = _response_of(resolved.version, shown, shown.span, added)
    transfer = Transfer(reader, shown.span, downloads.stalls, pace, observer)
    note_sending(request, transfer)
    blob = resolved.version.blob
    transport = downloads.under_way.begin(blob.id, request)
    try:
        return await _send(request, downloads, blob, response, transfer)
    except (BlobCut, BlobMissing, StorageFailed) as exc:
        await _tell_of_damage(downloads, resolved, exc)
        raise
    finally:
        downloads.under_way.end(blob.id, transport)


async def _sent_elsewhere(
    request: web.Request,
    downloads: Downloads,
    resolved: ResolvedRead,
    asked: Asked,
    shown: Representation,
) -> web.Response | None:
    """What has the store send, or the front server; ``None`` if the gateway is to."""
    address = await redirect.address_of(request, downloads, resolved, asked, shown)
    if address is not None:
        return redirect.redirect(address)
    place = await accel.place_of(request, downloads, resolved, asked, shown)
    if place is None:
        return None
    pace = downloads.pace_of(resolved.access)
    return accel.redirect(f"{downloads.accel}/{place.path}", place.query, shown, pace)


async def _send(
    request: web.Request,
    downloads: Downloads,
    blob: Blob,
    response: BlobResponse,
    transfer: Transfer,
) -> web.StreamResponse:
    """By the way that costs least; one in so many whole files is hashed on its way, which costs."""
    chosen = response.status == OK and is_chosen(downloads.verify_one_in)
    reader, span = transfer.reader, transfer.span
    if span.length <= (ONE_WRITE_BYTES if transfer.pace is None else 0):
        return await write(request, response, transfer, blob if chosen else None)
    with metrics.download_under_way(resumed=_goes_on(span, blob.size)):
        by_kernel = FastWay.SENDFILE in downloads.ways and sends_files(request) and not chosen
        if reader.descriptor is not None and by_kernel:
            return await send_file(request, response, transfer, reader.descriptor)
        pieces = reader.chunks(span)
        return await stream(
            request, response, transfer, verified(blob, pieces) if chosen else pieces
        )


async def _tell_of_damage(
    downloads: Downloads, resolved: ResolvedRead, error: BlobCut | BlobMissing | StorageFailed
) -> None:
    if not is_of_blob(error):
        return
    if isinstance(error, BlobCut):
        metrics.damage_met()
    known = error if isinstance(error, OtherBytes) else error.__cause__
    if isinstance(known, OtherBytes):
        await downloads.files.convict(resolved.record, known.fault)
    else:
        downloads.files.suspect(resolved.record)


async def _deliver_parts(
    request: web.Request, downloads: Downloads, resolved: ResolvedRead, shown: Representation
) -> web.StreamResponse:
    """Whoever picks parts resumes nothing, so nobody follows it. Frames are paced like bytes."""
    reader = await _opened(downloads, resolved)
    size, kind = resolved.version.blob.size, shown.headers["Content-Type"]
    body = MultipartBody.of(shown.parts, size, kind)
    added = downloads.cors.headers_for(request.headers.get("Origin"))
    lines = header_lines({**shown.headers, "Content-Type": body.content_type, **added})
    pace, span = downloads.pace_of(resolved.access), ByteRange(0, body.length)
    transfer = Transfer(reader, span, downloads.stalls, pace)
    note_sending(request, transfer)
    response, blob = RawResponse(PARTIAL, body.length, lines), resolved.version.blob
    transport = downloads.under_way.begin(blob.id, request)
    try:
        with metrics.download_under_way(resumed=False):
            return await stream(request, response, transfer, body.pieces(reader))
    except BlobCut as exc:
        await _tell_of_damage(downloads, resolved, exc)
        raise
    finally:
        downloads.under_way.end(blob.id, transport)


async def _opened(downloads: Downloads, resolved: ResolvedRead) -> BlobReader:
    return await resolved.reader.open(partial(downloads.files.open, resolved.record))


def _goes_on(span: ByteRange, size: int) -> bool:
    return span.start > 0 and span.stop == size


def _recorded(
    downloads: Downloads, resolved: ResolvedRead, span: ByteRange
) -> TransferObserver | None:
    version = resolved.version
    etag, size = version.validators.etag, version.blob.size
    return downloads.watch.record_response(resolved.read_id, etag, span, size)


def _response_of(
    version: Version, shown: Representation, span: ByteRange, added: Mapping[str, str]
) -> BlobResponse:
    """The head, most of which was rendered when the file was looked up."""
    lines = version.lines if shown.headers is version.headers else header_lines(shown.headers)
    if added:
        lines += header_lines(added)
    return BlobResponse(span, version.blob.size, lines, whole=shown.status != PARTIAL)
