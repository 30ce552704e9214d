"""A front server sends the blob by itself: X-Accel-Redirect.

Knows how nginx reads ranges and conditions, and that it judges some of them again. Offered only
where the store lets a front server read it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.model.byterange import is_canonical
from gateway.model.file import FrontPlace
from gateway.model.precondition import Conditions
from gateway.settings.fastways import FastWay
from gateway.traffic.bandwidth import Pace
from gateway.web.authentication import CALLERS
from gateway.web.downloads.context import Downloads, ResolvedRead
from gateway.web.downloads.decide import PARTIAL, Asked, Representation

ACCEL_HEADER: Final = "X-Filestore-Accel"
SIGNATURE_HEADER: Final = "X-Filestore-Signature"
ACCEL_RATE_HEADER: Final = "X-Accel-Limit-Rate"
_TAG: Final = re.compile(r'"[^"]*"')
"""Whatever else begins with a quote nginx may read as a date, or as the first of two lines."""


async def place_of(
    request: web.Request,
    downloads: Downloads,
    resolved: ResolvedRead,
    asked: Asked,
    shown: Representation,
) -> FrontPlace | None:
    """Where the front server finds the bytes, if it asked to send and is to.

    Raises ``BlobMissing``.
    """
    if downloads.accel is None or request.headers.get(ACCEL_HEADER) != downloads.accel:
        return None
    if FastWay.ACCEL not in downloads.ways or not request.app[CALLERS].proxies.trusts(request):
        return None
    if resolved.version.blob.size == 0 or not sends_the_same(asked, shown):
        return None
    place = await downloads.place_of(resolved)
    if place is not None and place.query and not _is_bare(asked):
        return None
    return place


def _is_bare(asked: Asked) -> bool:
    """Whether there is no condition but If-Range.

    Before a store nginx judges the others by the store's validators: it has ours too late.
    """
    return replace(asked.conditions, if_range=None) == Conditions()


def sends_the_same(asked: Asked, shown: Representation) -> bool:
    """Whether nginx, asked the same, would send the bytes that we would.

    It reads canonical ranges as we do; the other forms, and If-Range by date (which it may
    compare with the time of the file on disk), stay with us. So does what If-Match or
    If-Unmodified-Since let pass: nginx judges them again, before it knows our validators.
    """
    conditions = asked.conditions
    if (conditions.if_match, conditions.if_unmodified_since) != (None, None):
        return False
    if not asked.ranges:
        return shown.status != PARTIAL
    if_range = conditions.if_range
    canonical = len(asked.ranges) == 1 and is_canonical(asked.ranges[0])
    return canonical and (if_range is None or _TAG.fullmatch(if_range) is not None)


def redirect(place: str, signature: str, shown: Representation, pace: Pace | None) -> web.Response:
    """The response that tells nginx to send ``place``; it judges the range by itself.

    With a ``signature`` it is the store's: nginx asks there with it, and no client sees it.
    """
    headers = dict(shown.headers)
    if shown.status != PARTIAL:
        del headers["Accept-Ranges"]  # with a 200 nginx says so itself: it would stand twice
    headers["X-Accel-Redirect"] = place
    if signature:
        headers[SIGNATURE_HEADER] = signature
    if pace is not None:
        headers[ACCEL_RATE_HEADER] = str(pace.rate)
    return web.Response(headers=headers)
