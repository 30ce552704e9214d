"""Byte ranges: which bytes of a file a ``Range`` header asks for.

Knows RFC 9110, sections 14.1 to 14.2, and the gateway's table of responses to bad ranges.
Does not know requests, nor whether the range is to be honoured at all (the method and
``If-Range`` decide that first).

Rule: a header is understood to the letter or refused; a number of any length is
compared as text, so that no input is slower than linear or too big to convert.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from gateway.model.errors import RangeMalformed, RangeUnsatisfiable, SeveralRanges

_OWS: Final = " \t"
_UNIT: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SPEC: Final = re.compile(r"([0-9]*)-([0-9]*)")
_CANONICAL: Final = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_PLAIN: Final = re.compile("bytes=([0-9]{1,18})-([0-9]{1,18})")
_EXACT_DIGITS: Final = 20

MOST_RANGES: Final = 256
"""Of one request. zchunk's downloader begins with 255, SWUpdate's with 10, zsync's with 20."""

MOST_UNSORTED: Final = 16
"""More than these are a list only if they ascend: whoever fetches a delta asks in order."""


class RangePolicy(Enum):
    """What an unknown range unit means: nothing (RFC 9110, section 14.2), or a mistake."""

    LENIENT_UNITS = "lenient"
    STRICT_UNITS = "strict"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from ``start`` up to but not including ``stop``; never empty."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The value of ``Content-Range`` in a file of ``size`` bytes (RFC 9110, section 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(
    header: str | None, size: int, policy: RangePolicy = RangePolicy.LENIENT_UNITS
) -> ByteRange | None:
    """The one range asked for in a file of ``size`` bytes; ``None`` means the whole file.

    ``header`` is the combined value, ``None`` if there was none. An empty file has no
    bytes to point at, yet a non-zero suffix of it is satisfiable (section 14.1.2): the
    answer is the whole, empty file.

    Raises ``RangeMalformed``, else ``SeveralRanges``, else ``RangeUnsatisfiable``.
    """
    if header is None:
        return None
    plain = _PLAIN.fullmatch(header)
    if plain is not None and (start := int(plain[1])) <= (last := int(plain[2])) < size:
        return ByteRange(start, last + 1)  # what nearly every request is
    specs = _parse_specs(header, policy)
    if specs is None:
        return None
    if len(specs) > 1:
        raise SeveralRanges()
    return _select(*specs[0], size)


def parse_ranges(
    header: str | None, size: int, policy: RangePolicy = RangePolicy.LENIENT_UNITS
) -> tuple[ByteRange, ...] | None:
    """The ranges asked for that there are, in the order asked for; ``None``: the whole file.

    One range is taken as by ``parse_range``. Several that are more than ``MOST_RANGES``, that
    share a byte, or of which more than ``MOST_UNSORTED`` do not ascend, come to the whole
    file (RFC 9110, section 14.2, lets a server ignore them): so a response is never longer than
    the file, but for its framing.

    Raises ``RangeMalformed``, else ``RangeUnsatisfiable`` if none of them is there.
    """
    specs = None if header is None else _parse_specs(header, policy)
    if specs is None or len(specs) > MOST_RANGES:
        return None
    spans = [_select(*spec, size) for spec in specs if _is_satisfiable(*spec, size)]
    if not spans:
        raise RangeUnsatisfiable(size)
    chosen = tuple(span for span in spans if span is not None)
    if len(chosen) < len(spans) or not _is_tolerable(chosen):
        return None
    return chosen


def is_canonical(header: str) -> bool:
    """Whether the header has a form that every server reads alike.

    That is ``bytes=a-b``, ``bytes=a-`` or ``bytes=-n`` with at most 18 digits each,
    without space, list or capital. It says nothing about being satisfiable.
    """
    return _CANONICAL.fullmatch(header) is not None


def combine_headers(range_values: Sequence[str], alternative_values: Sequence[str]) -> str | None:
    """One header out of the lines of ``Range`` and of its alternative name.

    Lines of one name are joined as RFC 9110, section 5.3 says. Under both names the same
    value counts once; raises ``SeveralRanges`` if they differ.
    """
    if len(range_values) == 1 and not alternative_values:
        return range_values[0].strip(_OWS)
    combined = {
        ", ".join(line.strip(_OWS) for line in lines)
        for lines in (range_values, alternative_values)
        if lines
    }
    if len(combined) > 1:
        raise SeveralRanges()
    return combined.pop() if combined else None


def _parse_specs(header: str, policy: RangePolicy) -> list[tuple[str, str]] | None:
    """Its elements, at least one; ``None`` for another unit. Raises ``RangeMalformed``."""
    unit, equals, range_set = header.strip(_OWS).partition("=")
    if not equals or not _UNIT.fullmatch(unit):
        raise RangeMalformed()
    if unit.lower() != "bytes":
        if policy is RangePolicy.STRICT_UNITS:
            raise RangeMalformed()
        return None
    specs = [_parse_spec(text) for element in range_set.split(",") if (text := element.strip(_OWS))]
    if not specs:
        raise RangeMalformed()
    return specs


def _parse_spec(text: str) -> tuple[str, str]:
    match = _SPEC.fullmatch(text)
    if match is None or text == "-":
        raise RangeMalformed()
    first, last = match.groups()
    if first and last and _order(last) < _order(first):
        raise RangeMalformed()
    return first, last


def _select(first: str, last: str, size: int) -> ByteRange | None:
    if not first:
        return _suffix(_bounded(last, size), size)
    start = _bounded(first, size)
    if start >= size:
        raise RangeUnsatisfiable(size)
    return ByteRange(start, min(_bounded(last, size) + 1, size) if last else size)


def _is_satisfiable(first: str, last: str, size: int) -> bool:
    return _bounded(first, size) < size if first else _bounded(last, size) > 0


def _is_tolerable(spans: Sequence[ByteRange]) -> bool:
    """Whether no two of them share a byte, and they are in order or few."""
    ascending = sorted(spans, key=lambda span: span.start)
    if any(one.stop > next_.start for one, next_ in pairwise(ascending)):
        return False
    return len(spans) <= MOST_UNSORTED or ascending == list(spans)


def _suffix(length: int, size: int) -> ByteRange | None:
    if not length:
        raise RangeUnsatisfiable(size)
    return ByteRange(size - min(length, size), size) if size else None


def _order(digits: str) -> tuple[int, str]:
    """A key that sorts decimal numbers of any length by value."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _bounded(digits: str, size: int) -> int:
    """The number, or one not below ``size`` if it has more digits than any file needs."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _EXACT_DIGITS else size + 1
