"""Decisions for an nginx that sends by itself: who may read which blob, and until when.

Such an nginx asks with the very request that it was asked (``/_filestore_decision`` of
``deploy/nginx``), so a decision is whatever a GET would have come to. Knows nothing of dialects.

Rule: a decision may be used until ``GATEWAY_EDGE_SECONDS`` after we looked, and no longer
than the credential, the auth hook's own word and the store's signature hold. It is told how long
that is from now, and counts from before it asked. The nginx files of earlier releases compare whole
seconds of a clock that they send along, so they are given a moment of that clock, rounded down.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from typing import Final

from aiohttp import web

from gateway.settings.fastways import FastWay
from gateway.web.authentication import CALLERS
from gateway.web.downloads.context import DOWNLOADS, Downloads, ResolvedRead
from gateway.web.downloads.deliver.accel import SIGNATURE_HEADER

EDGE_HEADER: Final = "X-Filestore-Edge"
BLOB_HEADER: Final = "X-Filestore-Blob"
SIZE_HEADER: Final = "X-Filestore-Size"
SECONDS_HEADER: Final = "X-Filestore-Seconds"
RATE_HEADER: Final = "X-Filestore-Rate"
WORTH_KEEPING_SECONDS: Final = 1.0
"""What holds for less may be over before nginx's clock has moved."""

_CLOCK: Final = re.compile(r"[0-9]{1,12}\.[0-9]{3}")
_NOT_KEPT: Final = "0"


def is_asked(request: web.Request) -> bool:
    """Whether this is a trusted nginx asking for a decision instead of bytes."""
    downloads = request.app[DOWNLOADS]
    return (
        downloads.accel is not None
        and EDGE_HEADER in request.headers
        and request.app[CALLERS].proxies.trusts(request)
    )


async def decide(
    request: web.Request, downloads: Downloads, resolved: ResolvedRead
) -> web.Response:
    """The decision: where the blob is, its headers, how fast it goes, how long nginx may act on it.

    Raises what the hook says, and ``BlobMissing``.
    """
    if resolved.access.principal.kind in downloads.redirected:
        return refusal()  # such a client is sent to the store, if that can be
    place = await downloads.place_of(resolved)
    empty = resolved.version.blob.size == 0
    if place is None or empty or FastWay.EDGE not in downloads.ways:
        return refusal()  # nginx cannot read it by itself, or we differ about ranges of nothing
    word = await request.app[CALLERS].hook.authorise(resolved.access, lasting=WORTH_KEEPING_SECONDS)
    ours = resolved.seen + downloads.edge_seconds - asyncio.get_running_loop().time()
    credential = resolved.access.principal.seconds_left(time.time())
    seconds = min(ours, word, credential, place.fresh_until - time.monotonic())
    headers = {
        **resolved.version.headers,
        BLOB_HEADER: place.path,
        SIZE_HEADER: str(resolved.version.blob.size),
        SECONDS_HEADER: shown_seconds(seconds),
        "X-Accel-Expires": expiry(request.headers[EDGE_HEADER], seconds),
    }
    if place.query:
        headers[SIGNATURE_HEADER] = place.query
    pace = downloads.pace_of(resolved.access)
    if pace is not None:
        headers[RATE_HEADER] = str(pace.rate)
    return web.Response(headers=headers)


def refusal() -> web.Response:
    """nginx shall not send by itself but pass the whole request on.

    403 is the one status that nginx takes from an ``auth_request`` without remark or addition.
    """
    return web.Response(status=403)


def shown_seconds(seconds: float) -> str:
    """How long a decision holds, in whole milliseconds, rounded down; never less than nothing."""
    return f"{max(0, math.floor(seconds * 1000)) / 1000:.3f}"


def expiry(clock: str, seconds: float) -> str:
    """X-Accel-Expires for what holds ``seconds`` from ``clock``, which is ``$msec`` of an nginx.

    nginx keeps up to and including the second that it is told, hence one second less.
    """
    if _CLOCK.fullmatch(clock) is None:
        return _NOT_KEPT
    now = float(clock)
    last = math.floor(now + seconds) - 1
    return f"@{last}" if last >= math.floor(now) else _NOT_KEPT
