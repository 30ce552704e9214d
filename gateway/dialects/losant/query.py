"""Query parameters and JSON bodies as the API takes them.

Rule: a parameter that nobody knows is ignored, as the official client sends some; a member of a
body that nobody knows is ``Malformed``, as the published schemas have it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gateway.dialects.losant.applications import PageWanted
from gateway.dialects.losant.glob import like_of
from gateway.model.errors import Malformed
from gateway.model.media import check_content_type
from gateway.web.uploads.body import read_all, read_json
from gateway.web.uploads.context import UPLOADS

LINK_SECONDS: Final = 900
_LONGEST_LINK_SECONDS: Final = 7 * 86_400
_PER_PAGE: Final = 100
_MOST_PER_PAGE: Final = 1000
_LONGEST_FILTERED: Final = 1024
_FILTER_CHARACTERS: Final = 65_536
_UNSIGNED: Final = re.compile(r"[0-9]{1,12}")
_DIRECTIONS: Final = ("asc", "desc")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What every list can be asked for, as it was worded."""

    sort_field: str
    direction: str
    page: int
    per_page: int
    filter_field: str
    filter: str

    @property
    def pattern(self) -> str | None:
        """What the names must be like, if anything."""
        if self.filter_field != "name" or not self.filter:
            return None
        return like_of(self.filter, longest=_LONGEST_FILTERED)

    @property
    def wanted(self) -> PageWanted:
        """The page."""
        return PageWanted(
            order=self.sort_field.lower(),
            descending=self.direction == "desc",
            limit=self.per_page,
            offset=self.page * self.per_page,
            name=self.pattern,
        )

    def shown(self, items: list[dict[str, object]], total: int) -> dict[str, object]:
        """What every list response has."""
        return {
            "items": items,
            "count": len(items),
            "totalCount": total,
            "perPage": self.per_page,
            "page": self.page,
            "filter": self.filter,
            "filterField": self.filter_field,
            "sortField": self.sort_field,
            "sortDirection": self.direction,
        }


def query_text(request: web.Request, name: str, default: str = "") -> str:
    """The parameter's one value. Raises ``Malformed`` if it is there twice, or is no text."""
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise Malformed(f"{name} is given more than once")
    if not values:
        return default
    if "\0" in values[0] or any("\ud800" <= character <= "\udfff" for character in values[0]):
        raise Malformed(f"{name} is not well-formed text")
    return values[0]


def query_number(request: web.Request, name: str, default: int, *, most: int) -> int:
    """A whole number from 0. Raises ``Malformed``."""
    text = query_text(request, name)
    if not text:
        return default
    if not _UNSIGNED.fullmatch(text) or int(text) > most:
        raise Malformed(f"{name} is not a whole number from 0 to {most}")
    return int(text)


def query_choice(request: web.Request, name: str, choices: Collection[str], default: str) -> str:
    """One of these; a blank one is the default. Raises ``Malformed``."""
    text = query_text(request, name) or default
    if text not in (*choices, default):
        raise Malformed(f"{name} is not one of {', '.join(choices)}")
    return text


def link_seconds(request: web.Request) -> int:
    """How long links are to be good, in seconds; 0 is no link. Raises ``Malformed``."""
    return query_number(request, "urlTTL", LINK_SECONDS, most=_LONGEST_LINK_SECONDS)


def list_query(
    request: web.Request,
    orders: Collection[str],
    default_order: str,
    filters: Collection[str] = ("name",),
) -> ListQuery:
    """What a list is asked for. Raises ``Malformed``."""
    per_page = query_number(request, "perPage", _PER_PAGE, most=_MOST_PER_PAGE)
    if per_page == 0:
        raise Malformed(f"perPage is not a whole number from 1 to {_MOST_PER_PAGE}")
    direction = query_text(request, "sortDirection").lower() or "asc"
    if direction not in _DIRECTIONS:
        raise Malformed("sortDirection is not one of asc, desc")
    filtered = query_text(request, "filter")
    if len(filtered) > _FILTER_CHARACTERS:
        raise Malformed("filter is too long")
    return ListQuery(
        sort_field=query_choice(request, "sortField", orders, default_order),
        direction=direction,
        page=query_number(request, "page", 0, most=10**9),
        per_page=per_page,
        filter_field=query_choice(request, "filterField", filters, ""),
        filter=filtered,
    )


async def read_object(request: web.Request, known: Collection[str]) -> dict[str, Any]:
    """The body, an object with no members but these. Raises ``Malformed`` and as ``read_json``."""
    return as_object(await read_json(request), "the body", known)


async def skip_body(request: web.Request) -> None:
    """Read a body that says nothing, such as the ``{}`` of the official client."""
    if request.can_read_body:
        limits = request.app[UPLOADS].limits
        await read_all(request, limits, limit_bytes=limits.json_bytes)


def as_object(value: object, what: str, known: Collection[str]) -> dict[str, Any]:
    """The value itself. Raises ``Malformed`` for no object, and for a member that is not known."""
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    if not value.keys() <= set(known):
        raise Malformed(f"{what} has a property that is not known")
    return value


def text_member(
    body: Mapping[str, Any], name: str, most: int, *, least: int = 0, required: bool = False
) -> str | None:
    """A text, or ``None`` if it is not there. Raises ``Malformed``."""
    value = body.get(name)
    if value is None and name not in body and not required:
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Malformed(f"{name} is not a string of {least} to {most} characters")
    return value


def size_member(body: Mapping[str, Any], name: str) -> int | None:
    """A number of bytes, or ``None``. Raises ``Malformed`` for a negative or broken one."""
    value = body.get(name)
    if name not in body:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{name} is not a number")
    if not 0 <= value < 2**53 or value != int(value):
        raise Malformed(f"{name} is not a whole number of bytes")
    return int(value)


def content_type_member(body: Mapping[str, Any]) -> str | None:
    """A content type, or ``None``. Raises ``Malformed``."""
    value = text_member(body, "contentType", 1024)
    return check_content_type(value) if value else None


def dimensions_member(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Width and height of a picture, or ``None``. Raises ``Malformed``."""
    if "fileDimensions" not in body:
        return None
    value = as_object(body["fileDimensions"], "fileDimensions", ("width", "height"))
    for side in value.values():
        if isinstance(side, bool) or not isinstance(side, int | float) or not 0 <= side < 2**53:
            raise Malformed("fileDimensions are not numbers")
    return value
