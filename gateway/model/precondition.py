"""Preconditions: whether a conditional request is carried out.

Knows RFC 9110, sections 8.8 and 13, entity tags and HTTP dates. Does not know requests,
nor what a range is (``byterange``).

Rule: doubt costs bytes, never correctness. What cannot be understood never makes a
client keep an old copy, join two versions or overwrite what it wanted protected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from typing import Final

_OWS: Final = " \t"
_WEAK: Final = "W/"
# obs-text reaches us decoded one way or another: any character beyond ASCII stands for it.
_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"')
_SEPARATORS: Final = re.compile(r"[ \t]*(,[ \t,]*)?")

_MONTH_NAMES: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MONTHS: Final = _MONTH_NAMES.split("|")
_MONTH: Final = f"(?P<month>{_MONTH_NAMES})"
_TIME: Final = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_SHORT_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_YEAR: Final = "(?P<year>[0-9]{4})"
_DATE_FORMS: Final = (
    re.compile(f"{_SHORT_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} {_YEAR} {_TIME} GMT"),
    re.compile(f"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(f"{_SHORT_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} {_YEAR}"),
)
_TWO_DIGITS: Final = 2
_CENTURY: Final = 100
_FAR_FUTURE: Final = 50
_LEAP_SECOND: Final = 60


@dataclass(frozen=True, slots=True)
class Validators:
    """What identifies the current bytes.

    ``etag`` as it is sent, quotes included; ``modified_at`` aware, used in whole seconds.
    """

    etag: str
    modified_at: datetime

    @property
    def modified_second(self) -> datetime:
        """``modified_at`` in UTC, without its fraction."""
        return self.modified_at.astimezone(UTC).replace(microsecond=0)

    def is_settled(self, now: datetime) -> bool:
        """Whether the date lies in the past, so that it may be sent (RFC 9110, section 8.8.2.1).

        It may not for a moment when bytes were replaced twice in one second.
        """
        return self.modified_second <= now

    @property
    def last_modified(self) -> str:
        """The value of ``Last-Modified`` (IMF-fixdate, RFC 9110, section 5.6.7)."""
        return format_datetime(self.modified_second, usegmt=True)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a request: combined raw values, ``None`` if absent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


class Outcome(Enum):
    """What becomes of a conditional request: done, 304, or 412."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def evaluate(
    conditions: Conditions,
    validators: Validators | None,
    *,
    method: str,
    now: datetime | None = None,
) -> Outcome:
    """The outcome in the order of RFC 9110, section 13.2.2.

    ``validators`` is ``None`` for a resource that does not exist. ``now`` (default: the
    clock) only decides the century of two-digit years. Of headers that cannot be parsed:
    dates count as absent; If-Match matches nothing; If-None-Match matches nothing for GET
    and HEAD, and stops any other method, which it was there to do.
    """
    if _forbids(conditions, validators, now):
        return Outcome.FAILED
    reading = method in ("GET", "HEAD")
    if conditions.if_none_match is not None:
        if not _names(conditions.if_none_match, validators, reading=reading):
            return Outcome.PROCEED
        return Outcome.NOT_MODIFIED if reading else Outcome.FAILED
    if reading and _unchanged(conditions.if_modified_since, validators, now):
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_holds(
    if_range: str | None, validators: Validators, *, now: datetime | None = None
) -> bool:
    """Whether a Range header may be honoured under this ``If-Range`` (section 13.1.5).

    True without one, with an equal strong entity tag, and with exactly the date of
    ``Last-Modified`` (which is strong: see ``FileRecord``). Anything else, unparsable
    values included, is false: the whole file is sent.
    """
    if if_range is None:
        return True
    value = if_range.strip(_OWS)
    if _TAG.fullmatch(value):
        return _equal_strongly(value, validators.etag)
    return parse_http_date(value, now=now) == validators.modified_second


def parse_http_date(text: str, *, now: datetime | None = None) -> datetime | None:
    """The time of an HTTP-date in any of its three forms, or ``None`` if it is not one.

    To the letter of RFC 9110, section 5.6.7, which is stricter than ``email.utils``: case,
    spaces and GMT are significant. The day name is not compared with the date. A two-digit
    year more than 50 years ahead of ``now`` (default: the clock) is of the past century.
    """
    match = next((m for form in _DATE_FORMS if (m := form.fullmatch(text.strip(_OWS)))), None)
    if match is None:
        return None
    year = match["year"]
    try:
        return _time(match, int(year) if len(year) > _TWO_DIGITS else _full_year(int(year), now))
    except (ValueError, OverflowError):
        return None


def parse_entity_tags(value: str) -> tuple[str, ...] | None:
    """The entity tags of a list, in order, or ``None`` if it is not such a list.

    Empty elements are legal (section 5.6.1), and so is the empty list.
    """
    text = value.strip(_OWS + ",")
    tags: list[str] = []
    position = 0
    while position < len(text):
        tag = _TAG.match(text, position)
        if tag is None:
            return None
        tags.append(tag.group())
        separators = _SEPARATORS.match(text, tag.end())
        position = separators.end() if separators else tag.end()
        if position < len(text) and not (separators and separators[1]):
            return None
    return tuple(tags)


def _forbids(conditions: Conditions, validators: Validators | None, now: datetime | None) -> bool:
    """Steps 1 and 2: If-Match, and If-Unmodified-Since only without it."""
    if conditions.if_match is not None:
        return not _matches(conditions.if_match, validators)
    if conditions.if_unmodified_since is None or validators is None:
        return False
    date = parse_http_date(conditions.if_unmodified_since, now=now)
    return date is not None and validators.modified_second > date


def _matches(value: str, validators: Validators | None) -> bool:
    if validators is None:
        return False
    if value.strip(_OWS) == "*":
        return True
    tags = parse_entity_tags(value) or ()
    return any(_equal_strongly(tag, validators.etag) for tag in tags)


def _names(value: str, validators: Validators | None, *, reading: bool) -> bool:
    """Whether If-None-Match names what exists; when unparsable, whether to assume so."""
    if value.strip(_OWS) == "*":
        return validators is not None
    tags = parse_entity_tags(value)
    if tags is None:
        return not reading
    if validators is None:
        return False
    return any(_opaque(tag) == _opaque(validators.etag) for tag in tags)


def _unchanged(value: str | None, validators: Validators | None, now: datetime | None) -> bool:
    if value is None or validators is None:
        return False
    date = parse_http_date(value, now=now)
    return date is not None and validators.modified_second <= date


def _equal_strongly(one: str, other: str) -> bool:
    return one == other and not one.startswith(_WEAK)


def _opaque(tag: str) -> str:
    return tag.removeprefix(_WEAK)


def _time(match: re.Match[str], year: int) -> datetime:
    second = int(match["second"])
    # A leap second is legal; datetime has none, the next second is the same instant.
    leap = second == _LEAP_SECOND
    return datetime(
        year,
        _MONTHS.index(match["month"]) + 1,
        int(match["day"]),
        int(match["hour"]),
        int(match["minute"]),
        second - leap,
        tzinfo=UTC,
    ) + timedelta(seconds=leap)


def _full_year(year: int, now: datetime | None) -> int:
    present = (now or datetime.now(UTC)).year
    full = present - present % _CENTURY + year
    return full - _CENTURY if full > present + _FAR_FUTURE else full
