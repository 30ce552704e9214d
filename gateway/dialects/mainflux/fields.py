"""Path parts, query parameters and JSON fields that the Mainflux identity routes share.

Rule: a field that is ``null`` or, for text, empty is a field that is not there, as in Go. No list
in a body and no page of a list is longer than what is made in some milliseconds, in bytes, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from aiohttp import web

from gateway.dialects.mainflux.query import MOST_SHOWN, Paging, paging_of, query_value
from gateway.identity.records.paging import EntityListing, EntityOrder
from gateway.identity.things import check_external_id
from gateway.model.access import GroupRole
from gateway.model.errors import Malformed, NotFound, TooLarge
from gateway.model.json import parse_json
from gateway.model.paging import Page
from gateway.web.uploads.body import SMALL, read_json

MOST_ITEMS: Final = 500
"""How many things, channels, members or ids one request may name."""
METADATA_BYTES: Final = 64 * 1024
_PAGE_BYTES: Final = 1024 * 1024
_STEP: Final = 50

Shown = Mapping[str, object]
T = TypeVar("T")


def path_id(request: web.Request) -> UUID:
    """The entity of the path; what is no UUID is unknown like any other."""
    return entity_id(request.match_info["id"])


def path_thing(request: web.Request) -> UUID:
    """The thing of a path that names two entities."""
    return entity_id(request.match_info["thing_id"])


def entity_id(value: object) -> UUID:
    """An id. Raises ``NotFound``."""
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError as exc:
        raise NotFound() from exc


def external_id(body: Mapping[str, Any]) -> UUID | None:
    """The id that the caller chose for a new entity, if any. Raises ``Malformed``."""
    chosen = text_of(body, "id")
    return check_external_id(chosen) if chosen else None


def ids_of(body: Mapping[str, Any], field: str) -> list[UUID]:
    """A list of ids, each of them once.

    Raises ``Malformed`` without one, ``TooLarge``, ``NotFound`` for what can be no id.
    """
    return list(dict.fromkeys(entity_id(item) for item in as_list(body.get(field), field)))


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body, a JSON object. Raises as ``read_json``."""
    return as_object(await read_json(request), "the body")


async def read_small_object(request: web.Request) -> dict[str, Any]:
    """The same of somebody who is not known yet: little, and soon. Raises ``TooSlow``, too."""
    return as_object(await read_json(request, SMALL), "the body")


def as_object(value: object, what: str) -> dict[str, Any]:
    """The value itself. Raises ``Malformed`` unless it is a JSON object."""
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def as_list(value: object, what: str) -> list[Any]:
    """The value itself. Raises ``Malformed`` unless it is a JSON array with something in it.

    Raises ``TooLarge`` if it has more than ``MOST_ITEMS``.
    """
    if not isinstance(value, list) or not value:
        raise Malformed(f"{what} is not a list, or empty")
    if len(value) > MOST_ITEMS:
        raise TooLarge(f"{what} has more than {MOST_ITEMS} items")
    return value


def text_of(body: Mapping[str, Any], field: str) -> str:
    """A text field, or ``""``. Raises ``Malformed`` for anything but text."""
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{field} is not a string")
    return value or ""


def flag_of(body: Mapping[str, Any], field: str) -> bool:
    """A field that is true or false, or not there. Raises ``Malformed`` for anything else."""
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"{field} is not true or false")
    return bool(value)


def metadata_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The field ``metadata``, or an empty object. Raises ``TooLarge`` beyond 64 KiB."""
    metadata = as_object(body.get("metadata") or {}, "metadata")
    if len(orjson.dumps(metadata)) > METADATA_BYTES:
        raise TooLarge(f"metadata is larger than {METADATA_BYTES} bytes")
    return metadata


def listing_of(request: web.Request, *, name: str = "name") -> tuple[Paging, EntityListing]:
    """What a list request asks for: as it was worded, and as the registry takes it.

    ``name`` is the parameter that holds a part of the name. No limit means the largest page,
    since it is made in memory. Raises ``BadQuery``.
    """
    paging = paging_of(request, orders=(EntityOrder.NAME, EntityOrder.ID), minus_one=True)
    metadata = query_value(request, "metadata")
    return paging, EntityListing(
        offset=paging.offset,
        limit=paging.limit or MOST_SHOWN,
        order=EntityOrder(paging.order or EntityOrder.CREATED),
        descending=paging.descending,
        name=query_value(request, name),
        metadata=as_object(parse_json(metadata), "metadata") if metadata else {},
    )


async def page_of(
    listing: EntityListing, list_page: Callable[..., Awaitable[Page[T]]], *of: object
) -> tuple[Page[T], EntityListing]:
    """One page of ``list_page(*of, listing)``, and the listing with the limit that it came to.

    It ends before its limit once it has a mebibyte: metadata is small in the database, where it
    is compressed, and large here.
    """
    shown: list[T] = []
    size, wanted = 0, listing.limit or MOST_SHOWN
    while True:
        step = min(_STEP, wanted - len(shown))
        page = await list_page(
            *of, replace(listing, offset=listing.offset + len(shown), limit=step)
        )
        for item in page.items:
            size += len(orjson.dumps(item, default=str))
            if shown and size > _PAGE_BYTES:
                return Page(page.total, shown), replace(listing, limit=len(shown))
            shown.append(item)
        if len(page.items) < step or len(shown) == wanted:
            return Page(page.total, shown), listing


def role_of(text: str) -> GroupRole:
    """A role by its name; the lowest, by none. Raises ``Malformed``."""
    try:
        return GroupRole[text.upper()] if text else GroupRole.VIEWER
    except KeyError as exc:
        raise Malformed("a role is viewer, editor, admin or owner") from exc


def shown_page(page: Page[Any], listing: EntityListing) -> dict[str, object]:
    """The fields that every list response begins with."""
    return {"total": page.total, "offset": listing.offset, "limit": listing.limit or 0}


def shown_listing(page: Page[Any], listing: EntityListing, paging: Paging) -> dict[str, object]:
    """The same for a list that names its order."""
    return {
        **shown_page(page, listing),
        "order": paging.order,
        "direction": paging.direction,
    }


def shown_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_metadata(shown: dict[str, object], metadata: Mapping[str, Any]) -> Shown:
    """``shown`` with its metadata, which a response leaves out when there is none."""
    return {**shown, "metadata": metadata} if metadata else shown


def location_of(collection: str, entity: UUID) -> Mapping[str, str]:
    """The Location of what was just created, such as ``/things/<id>``.

    Never below the prefix, for clients take the id to be what follows ``/things/``.
    """
    return {"Location": f"/{collection}/{entity}"}
