"""Generated requests: headers near the edges of their grammars, against small files.

Every request is made of 48 bytes that Hypothesis draws, each of them one choice; zeros
choose what is plainest, so that a difference shrinks to a readable request. Most values
are built by the grammar and then, sometimes, damaged by one character, for random text
would hardly ever be a header.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st

from tests.oracle.rfc9110 import MONTHS, Resource

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MODIFIED = datetime(2026, 11, 9, 23, 59, 59, tzinfo=UTC)

CHOICES = 48
_METHODS = ["GET", "GET", "GET", "HEAD", "PUT", "DELETE"]
_OWN_TAGS = ['"a"', '"a"', '"a"', '"b"', 'W/"a"', '"a,b"', '"\xe9"', '""']
_TAGS = ['"a"', '"a"', '"b"', 'W/"a"', '"a,b"', '""', '"\\"', '"\xe9"', '"a"b"', "a", 'w/"a"', '"']
_SIZES = [10, 0, 1, 2, 9, 11, 100, 10**18 + 3]
_GAPS = [",", ", ", ",", ", ", " ,", ",,", ",\t", ", ,", " ", ""]
_NUMBERS = [
    "0",
    "1" + "0" * 18,
    "1",
    "2",
    "5",
    "9",
    "10",
    "11",
    "007",
    "00",
    "9" * 18,
    "9" * 19,
    "1" + "0" * 30,
]
_BAD_NUMBERS = ["-1", "+1", " 1", "1 ", "x", "\u0661", "1_0", "1.0"]
_UNITS = ["bytes", "Bytes", "BYTES", "items", "bytes ", "by/tes", ""]
_DAMAGE = list(' \t,-="*0159GWbT/:\n\xe9\u0663\udcff')
_DAYS = [0, 0, 0, 1, -1, 100, -50 * 366, 49 * 365, 60 * 366]
_SECONDS = [0, 0, 1, -1, -60]
_FORMS = [0, 0, 1, 2, 3]
_CONDITIONS = ["if-match", "if-unmodified-since", "if-none-match", "if-modified-since"]

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request and what it meets.

    ``strict`` is the policy for unknown range units; ``several`` ranges may be asked for at once.
    """

    method: str
    headers: dict[str, str]
    resource: Resource | None
    strict: bool
    several: bool = False


def of_choices(choices: bytes, modified: datetime = MODIFIED) -> Request:
    """The request that these choices make; a date in it is mostly near ``modified``."""
    return Maker(choices, modified).request()


def requests() -> st.SearchStrategy[Request]:
    """Half of them ranged downloads, half any method under any mixture of conditions."""
    return st.binary(min_size=CHOICES, max_size=CHOICES).map(of_choices)


class Maker:
    """Makes one request; each byte decides one choice. Dates are about ``modified``."""

    def __init__(self, choices: bytes, modified: datetime = MODIFIED) -> None:
        self._choices, self._modified = iter(choices), modified

    def request(self) -> Request:
        if self._one_in(2, otherwise=True):
            ranged, there = self._range_headers(), self._resource()
            return Request("GET", ranged, there, self._one_in(2), self._one_in(2))
        headers = {name: self._condition(name) for name in _CONDITIONS if self._one_in(3)}
        if self._one_in(3):
            headers |= self._range_headers()
        resource = None if self._one_in(6) else self._resource()
        method, strict = self._pick(_METHODS), self._one_in(2)
        return Request(method, headers, resource, strict, self._one_in(2))

    def _number(self) -> int:
        return next(self._choices, 0)

    def _pick(self, options: Sequence[T]) -> T:
        return options[self._number() % len(options)]

    def _one_in(self, count: int, *, otherwise: bool = False) -> bool:
        """True once in ``count`` times; zero chooses ``otherwise``."""
        return (self._number() % count == count - 1) is not otherwise

    def _resource(self) -> Resource:
        return Resource(self._pick(_OWN_TAGS), self._modified, self._pick(_SIZES))

    def _range_headers(self) -> dict[str, str]:
        headers = {"range": self._damaged(self._range())}
        if self._one_in(3):
            headers["if-range"] = self._damaged(
                self._date() if self._one_in(2) else self._pick(_TAGS)
            )
        return headers

    def _range(self) -> str:
        if self._one_in(4):
            return f"{self._pick(_UNITS)}={self._list(self._spec)}"
        if self._one_in(8):
            return f"bytes={self._many()}"
        return f"bytes={self._spec()}"

    def _spec(self) -> str:
        numbers = _NUMBERS + _BAD_NUMBERS if self._one_in(8) else _NUMBERS
        form = self._pick(["a-b", "a-", "-b", "a-b", "a-", "-b", "a-b", "a-", "-", "a"])
        return form.replace("b", self._pick(numbers)).replace("a", self._pick(numbers))

    def _many(self) -> str:
        """About as many as are taken at all, or out of order; sometimes two of them overlap."""
        firsts = [2 * n for n in range(self._pick([2, 3, 15, 16, 17, 255, 256, 257]))]
        if self._one_in(2):
            firsts[0], firsts[-1] = firsts[-1], firsts[0]
        width = self._pick([0, 0, 0, 1, 2])
        return self._pick(_GAPS[:8]).join(f"{first}-{first + width}" for first in firsts)

    def _condition(self, name: str) -> str:
        if name.endswith("since"):
            return self._damaged(self._date())
        tags = "*" if self._one_in(6) else self._list(lambda: self._pick(_TAGS))
        return self._damaged(tags)

    def _list(self, element: Callable[[], str]) -> str:
        parts = [element() for _ in range(self._pick([1, 2, 2, 3, 0]))]
        text = self._pick(_GAPS).join(parts)
        return self._pick(_GAPS) + text + self._pick(_GAPS) if self._one_in(4) else text

    def _date(self) -> str:
        moment = self._modified + timedelta(days=self._pick(_DAYS), seconds=self._pick(_SECONDS))
        return _written(self._pick(_FORMS), moment)

    def _damaged(self, value: str) -> str:
        """One value in five loses, gains or changes one character."""
        if not self._one_in(5):
            return value
        place, kind = self._number() % (len(value) + 1), self._number() % 3
        return value[:place] + (self._pick(_DAMAGE) if kind else "") + value[place + (kind < 2) :]


def _written(form: int, moment: datetime) -> str:
    month, clock = MONTHS[moment.month - 1], f"{moment:%H:%M:%S}"
    if form == 0:
        return f"{moment:%a}, {moment.day:02} {month} {moment.year:04} {clock} GMT"
    if form == 1:
        return f"{moment:%A}, {moment.day:02}-{month}-{moment.year % 100:02} {clock} GMT"
    if form == 2:
        return f"{moment:%a} {month} {moment.day:2} {clock} {moment.year:04}"
    return f"{moment:%a}, {moment.day:02} {month} {moment.year:04} {clock[:-2]}60 GMT"
