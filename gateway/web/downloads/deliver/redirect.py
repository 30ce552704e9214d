"""The client is sent to the store, to fetch the bytes by itself: a 307 with a signed address.

Off unless a deployment names whose callers may follow (``GATEWAY_S3_REDIRECT``): few devices can.

Knows what a store does with a client's request that the gateway would not. Does not know stores.

Rule: whoever follows gets what the gateway would have sent, or is not sent away. A store knows
neither our validators nor our limits, so what depends on them stays here: conditions, several
ranges, digests that are asked for, bandwidth, pages of another origin. Never for HEAD.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.model.byterange import is_canonical
from gateway.model.file import ShownBytes
from gateway.web.downloads.context import Downloads, ResolvedRead
from gateway.web.downloads.decide import UNCONDITIONAL, Asked, Representation

_MOST_RANGES: Final = 1
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The address is a right: nobody keeps it, and no page tells another of it."""


async def address_of(
    request: web.Request,
    downloads: Downloads,
    resolved: ResolvedRead,
    asked: Asked,
    shown: Representation,
) -> str | None:
    """Where the client is to fetch ``shown``, if it is to. Raises ``BlobMissing``."""
    if resolved.access.principal.kind not in downloads.redirected or "Origin" in request.headers:
        return None
    if resolved.version.blob.size == 0 or not sends_the_same(asked):
        return None
    if downloads.pace_of(resolved.access) is not None:
        return None
    said = shown.headers
    return await downloads.files.address_of(
        resolved.record,
        ShownBytes(said["Content-Type"], said["Content-Disposition"], said["Cache-Control"]),
    )


def sends_the_same(asked: Asked) -> bool:
    """Whether a store that is asked the same by the client would send the bytes that we would."""
    if asked.method != "GET" or asked.conditions != UNCONDITIONAL:
        return False
    if asked.other_ranges or asked.wants_digest or len(asked.ranges) > _MOST_RANGES:
        return False
    return all(map(is_canonical, asked.ranges))


def redirect(address: str) -> web.Response:
    """The response that sends the client there. It has nothing of the file itself."""
    return web.Response(status=307, headers={**HEADERS, "Location": address})
