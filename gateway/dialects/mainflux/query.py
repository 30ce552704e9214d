"""Query parameters as the Mainflux services read them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.model.errors import Malformed

_DEFAULT_LIMIT: Final = 10
MOST_SHOWN: Final = 200
MOST_PASSED: Final = 1_000_000
_UNSIGNED: Final = re.compile(r"[0-9]{1,15}")
_DIRECTIONS: Final = ("asc", "desc")
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class BadQuery(Malformed):
    """A parameter given twice, or not of its type."""

    sentence = "invalid query parameters"


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page, in which order. ``limit`` of ``None`` means all."""

    offset: int
    limit: int | None
    order: str
    direction: str

    @property
    def descending(self) -> bool:
        """Whether the order is reversed."""
        return self.direction == "desc"


def query_value(request: web.Request, key: str, default: str = "") -> str:
    """The parameter's one value. Raises ``BadQuery`` if it is given twice."""
    values = request.query.getall(key, [])
    if len(values) > 1:
        raise BadQuery()
    if values and "\0" in values[0]:
        raise BadQuery()
    return values[0] if values else default


def query_number(request: web.Request, key: str, default: int) -> int:
    """An unsigned integer. Raises ``BadQuery``."""
    text = query_value(request, key)
    if not text:
        return default
    if not _UNSIGNED.fullmatch(text):
        raise BadQuery()
    return int(text)


def query_offset(request: web.Request, most: int = MOST_PASSED) -> int:
    """How many to pass over; each of them costs as much as one that is shown.

    Raises ``BadQuery``, also beyond ``most``.
    """
    offset = query_number(request, "offset", 0)
    if offset > most:
        raise BadQuery(f"an offset is at most {most}")
    return offset


def query_flag(request: web.Request, key: str) -> bool | None:
    """A truth value as Go parses it; ``None`` without one. Raises ``BadQuery``."""
    text = query_value(request, key)
    if text and text not in _TRUE | _FALSE:
        raise BadQuery()
    return text in _TRUE if text else None


def asks_for_all(request: web.Request) -> bool:
    """Whether ``limit`` is -1, by which some generations mean no limit. Raises ``BadQuery``."""
    return query_value(request, "limit") == "-1"


def paging_of(
    request: web.Request,
    *,
    orders: Collection[str] = (),
    default_direction: str = "",
    minus_one: bool = False,
) -> Paging:
    """``limit`` (default 10, at most 200, 0 for all), ``offset``, ``order`` and ``dir``.

    ``minus_one`` is for lists where a ``limit`` of -1 means all as well.
    """
    everything = minus_one and asks_for_all(request)
    limit = 0 if everything else query_number(request, "limit", _DEFAULT_LIMIT)
    order = query_value(request, "order")
    direction = query_value(request, "dir", default_direction)
    if limit > MOST_SHOWN or (order and order not in orders):
        raise BadQuery()
    if direction and direction not in _DIRECTIONS:
        raise BadQuery()
    return Paging(query_offset(request), limit or None, order, direction)
