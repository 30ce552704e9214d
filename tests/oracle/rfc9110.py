"""A second reading of RFC 9110, sections 13.2.2 and 14, to hold the gateway's against.

Shares no code with ``gateway`` and goes about everything otherwise: characters instead of
patterns, words instead of a grammar, Python slices instead of
arithmetic. Slow, and plain enough to be checked against the RFC by eye.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WHITE = " \t"
TOKEN_CHARACTERS = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"


@dataclass(frozen=True)
class Resource:
    """What is there: its entity tag, its Last-Modified in whole seconds, its size in bytes."""

    etag: str
    modified: datetime
    size: int


@dataclass(frozen=True)
class Answer:
    """``status`` as RFC 9110 has it (400 for what the gateway refuses), the bytes, a reason.

    ``parts`` are the bytes of a ``multipart/byteranges``.
    """

    status: int
    selected: range = range(0)
    reason: str = ""
    parts: tuple[range, ...] = ()


MOST_PARTS = 256
MOST_PARTS_OUT_OF_ORDER = 16

SHORT_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
SHORT_DAYS_COMMA = [day + "," for day in SHORT_DAYS]
LONG_DAYS_COMMA = [
    "Monday,",
    "Tuesday,",
    "Wednesday,",
    "Thursday,",
    "Friday,",
    "Saturday,",
    "Sunday,",
]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Syntax(Exception):
    """The field value does not match its grammar."""


def answer(
    method: str,
    headers: Mapping[str, str],
    resource: Resource | None,
    *,
    now: datetime,
    unknown_units_are_errors: bool = False,
    several: bool = False,
) -> Answer:
    """Section 13.2.2; the steps have their numbers of the RFC."""
    stopped = steps_1_to_4(method in ("GET", "HEAD"), headers, resource, now)
    if stopped:
        return stopped
    if resource is None:
        return Answer(404 if method in ("GET", "HEAD") else 200)
    whole = Answer(200, range(resource.size))
    # 5
    if method != "GET" or "range" not in headers:
        return whole
    if "if-range" in headers and not if_range(headers["if-range"], resource, now):
        return whole
    return ranged(headers["range"], resource.size, unknown_units_are_errors, several)


def steps_1_to_4(
    get_or_head: bool, headers: Mapping[str, str], resource: Resource | None, now: datetime
) -> Answer | None:
    """The 304 or 412 with which a precondition ends the request, if one does."""
    # 1
    if "if-match" in headers:
        if not if_match(headers["if-match"], resource):
            return Answer(412)
    # 2
    elif "if-unmodified-since" in headers and resource:
        date = http_date(headers["if-unmodified-since"], now)
        if date and resource.modified > date:
            return Answer(412)
    # 3
    if "if-none-match" in headers:
        if not if_none_match(headers["if-none-match"], resource, get_or_head):
            return Answer(304 if get_or_head else 412)
    # 4
    elif "if-modified-since" in headers and get_or_head and resource:
        date = http_date(headers["if-modified-since"], now)
        if date and not resource.modified > date:
            return Answer(304)
    return None


def if_match(value: str, resource: Resource | None) -> bool:
    """Section 13.1.1; a value that is no list of entity tags matches nothing."""
    if resource is None:
        return False
    try:
        wanted = tag_list(value)
    except Syntax:
        return False
    if wanted == "*":
        return True
    return resource.etag[0] == '"' and resource.etag in wanted


def if_none_match(value: str, resource: Resource | None, get_or_head: bool) -> bool:
    """Section 13.1.2; a value that is no list stops what would change something."""
    try:
        wanted = tag_list(value)
    except Syntax:
        return get_or_head
    if resource is None:
        return True
    if wanted == "*":
        return False
    return not any(strip_weak(tag) == strip_weak(resource.etag) for tag in wanted)


def if_range(value: str, resource: Resource, now: datetime) -> bool:
    """Section 13.1.5."""
    value = value.strip(WHITE)
    if value == resource.etag:
        return value[0] == '"'
    return http_date(value, now) == resource.modified


def ranged(value: str, size: int, unknown_units_are_errors: bool, several: bool) -> Answer:
    """Section 14.2, with the gateway's refusals where the RFC leaves the choice."""
    malformed = Answer(400, reason="malformed")
    unit, equals, specs = value.strip(WHITE).partition("=")
    if equals == "" or unit == "" or set(unit) - set(TOKEN_CHARACTERS):
        return malformed
    if "".join(chr(ord(c) | 32) if c.isalpha() else c for c in unit) != "bytes":
        return malformed if unknown_units_are_errors else Answer(200, range(size))
    try:
        chosen = [
            one_range(spec.strip(WHITE), size) for spec in specs.split(",") if spec.strip(WHITE)
        ]
    except Syntax:
        return malformed
    if len(chosen) == 0:
        return malformed
    if len(chosen) > 1:
        return several_parts(chosen, size) if several else Answer(400, reason="several")
    if chosen[0] is None:
        return Answer(416)
    # A suffix of an empty representation is all of it, and no Content-Range can say so.
    return Answer(206, chosen[0]) if size else Answer(200, range(0))


def several_parts(chosen: list[range | None], size: int) -> Answer:
    """Sections 14.2 and 15.3.7.2: those that there are, in the order asked for.

    Too many, two that overlap, or many that are out of order: ignored, as section 14.2 allows.
    """
    whole = Answer(200, range(size))
    if len(chosen) > MOST_PARTS:
        return whole
    there = [part for part in chosen if part is not None]
    if not there:
        return Answer(416)
    if size == 0:
        return Answer(200, range(0))
    if len(there) == 1:
        return Answer(206, there[0])
    taken: set[range] = set()
    for part in there:
        if any(part[0] <= other[-1] and other[0] <= part[-1] for other in taken):
            return whole
        taken.add(part)
    out_of_order = any(there[n][0] < there[n - 1][0] for n in range(1, len(there)))
    if out_of_order and len(there) > MOST_PARTS_OUT_OF_ORDER:
        return whole
    return Answer(206, reason="parts", parts=tuple(there))


def one_range(spec: str, size: int) -> range | None:
    """Section 14.1.2: the bytes, or None if unsatisfiable."""
    if spec.count("-") != 1 or set(spec) - set("0123456789-") or spec == "-":
        raise Syntax
    first, last = spec.split("-")
    if first == "":
        suffix = int(last)
        return range(size)[max(0, size - suffix) :] if suffix > 0 else None
    if last != "" and int(last) < int(first):
        raise Syntax
    chosen = range(size)[int(first) :] if last == "" else range(size)[int(first) : int(last) + 1]
    return chosen or None


def tag_list(value: str) -> str | list[str]:
    """``"*" / #entity-tag`` (sections 8.8.3 and 5.6.1), one character after the other."""
    if value.strip(WHITE) == "*":
        return "*"
    elements = [""]
    quoted = False
    for character in value:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            elements.append("")
        else:
            elements[-1] += character
    tags = [element.strip(WHITE) for element in elements]
    return [checked_tag(tag) for tag in tags if tag]


def checked_tag(tag: str) -> str:
    """The tag, if it is one."""
    opaque = strip_weak(tag)
    if len(opaque) < 2 or opaque[0] != '"' or opaque[-1] != '"':
        raise Syntax
    for character in opaque[1:-1]:
        code = ord(character)
        if not (code == 0x21 or 0x23 <= code <= 0x7E or code >= 0x80):
            raise Syntax
    return tag


def strip_weak(tag: str) -> str:
    """The opaque tag."""
    return tag[2:] if tag[:2] == "W/" else tag


def http_date(value: str, now: datetime) -> datetime | None:
    """Section 5.6.7, word by word; ``None`` if it is no HTTP-date."""
    words = value.strip(WHITE).split(" ")
    try:
        match words:
            case [name, day, month, year, clock, "GMT"] if name in SHORT_DAYS_COMMA:
                return moment(number(year, 4), month, number(day, 2), clock)
            case [name, date, clock, "GMT"] if name in LONG_DAYS_COMMA:
                day, month, year = date.split("-")
                return moment(century(number(year, 2), now), month, number(day, 2), clock)
            case [name, month, "", day, clock, year] if name in SHORT_DAYS:
                return moment(number(year, 4), month, number(day, 1), clock)
            case [name, month, day, clock, year] if name in SHORT_DAYS:
                return moment(number(year, 4), month, number(day, 2), clock)
    except (ValueError, OverflowError):
        pass
    return None


def number(digits: str, width: int) -> int:
    """Exactly ``width`` ASCII digits."""
    if len(digits) != width or set(digits) - set(string.digits):
        raise ValueError(digits)
    return int(digits)


def century(year: int, now: datetime) -> int:
    """The latest year with these last two digits that is at most 50 years ahead."""
    return max(y for y in range(1, now.year + 51) if y % 100 == year)


def moment(year: int, month: str, day: int, clock: str) -> datetime:
    """The instant; a sixtieth second is the first of the next minute."""
    hour, minute, second = (number(part, 2) for part in clock.split(":"))
    start = datetime(year, MONTHS.index(month) + 1, day, hour, minute, tzinfo=UTC)
    if second > 60:
        raise ValueError(clock)
    return start + timedelta(seconds=second)
