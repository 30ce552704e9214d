"""The quarantine, for administrators: files whose bytes are damaged, which nobody is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.catalogue.damage import QuarantinePlace
from gateway.dialects.mainflux.fields import Shown
from gateway.dialects.mainflux.query import MOST_SHOWN, BadQuery, query_number, query_value
from gateway.identity.rights import check_admin
from gateway.model.damage import Quarantined
from gateway.web.authentication import bearer
from gateway.web.context import WARD
from gateway.web.dialect import Route
from gateway.web.responses import json_reply

_DEFAULT: Final = 100


async def list_quarantined(request: web.Request) -> web.StreamResponse:
    """``GET /quarantine``: the longest there first; ``next`` is the ``after`` of the next page."""
    check_admin(await bearer(request))
    limit = query_number(request, "limit", _DEFAULT) or _DEFAULT
    if limit > MOST_SHOWN:
        raise BadQuery()
    quarantine = request.app[WARD].quarantine
    entries = await quarantine.page(_place(query_value(request, "after")), limit)
    shown: dict[str, object] = {
        "total": await quarantine.count(),
        "files": [_shown(entry) for entry in entries],
    }
    if len(entries) == limit:
        shown["next"] = f"{entries[-1].found_at.isoformat()}_{entries[-1].blob.id}"
    return json_reply(shown)


def _shown(entry: Quarantined) -> Shown:
    return {
        "scope": str(entry.file.scope),
        "name": entry.file.name,
        "what": entry.fault.damage,
        "detail": entry.fault.detail,
        "found_by": entry.found_by,
        "found_at": entry.found_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "blob": str(entry.blob.id),
        "size": entry.blob.size,
        "sha256": entry.blob.digest.hex,
    }


def _place(text: str | None) -> QuarantinePlace | None:
    """What a page said is ``next``. Raises ``BadQuery``."""
    if not text:
        return None
    moment, _, blob_id = text.partition("_")
    try:
        place = QuarantinePlace(datetime.fromisoformat(moment), UUID(blob_id))
    except ValueError as exc:
        raise BadQuery() from exc
    if place.found_at.tzinfo is None:
        raise BadQuery()
    return place


ROUTES: Final = (Route("GET", "/quarantine", list_quarantined),)
