"""What a response to a GET or HEAD of a file is: its status, its span, its headers. Pure.

Knows RFC 9110's order (13.2.2): the version that the address names, conditions, then If-Range, then
the range. Does not know requests, blobs or how anything is sent.

Rule: whatever changes a response is in ``Asked`` or in ``Version``; the clock decides nothing
but the century of a two-digit year, and whether a date may be shown yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.model.byterange import (
    ByteRange,
    RangePolicy,
    combine_headers,
    parse_range,
    parse_ranges,
)
from gateway.model.digest import parse_sha256_text
from gateway.model.errors import PreconditionFailed
from gateway.model.precondition import Conditions, Outcome, evaluate, range_holds
from gateway.traffic.resolved import Version
from gateway.web.downloads.headers import validator_headers

OK: Final = 200
PARTIAL: Final = 206
NOT_MODIFIED: Final = 304

UNCONDITIONAL: Final = Conditions()
Continues = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of the file that it is about.

    ``ranges`` are the lines of Range, ``other_ranges`` those of the name that a dialect also
    accepts; ``pins`` the digests that its address names its version by. ``several`` of them
    may be asked for at once.
    """

    method: str = "GET"
    conditions: Conditions = UNCONDITIONAL
    ranges: tuple[str, ...] = ()
    other_ranges: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    wants_digest: bool = False
    policy: RangePolicy = RangePolicy.LENIENT_UNITS
    several: bool = False

    @property
    def names_version(self) -> bool:
        """Whether it says of which version it wants bytes."""
        named = (
            self.conditions.if_range,
            self.conditions.if_match,
            self.conditions.if_unmodified_since,
        )
        return bool(self.pins) or named != (None, None, None)


@dataclass(frozen=True, slots=True)
class Representation:
    """What the response is. ``span`` are the bytes that it has; ``None``: it has no body.

    But with ``parts`` it has a body of these, in this order: ``multipart/byteranges``. ``headers``
    are all of them but Content-Range, and, if there is a body, Content-Length.
    """

    status: int
    span: ByteRange | None
    headers: Mapping[str, str]
    parts: tuple[ByteRange, ...] = ()


def decide(asked: Asked, version: Version, continues_other: Continues) -> Representation:
    """The response to ``asked``, now that ``version`` is there.

    ``continues_other`` says of a range whether it goes on with a download of other bytes.

    Raises ``PreconditionFailed``, a range error, or ``Malformed`` for a pin that is no digest.
    """
    check_pins(asked, version)
    outcome = Outcome.PROCEED
    if asked.conditions is not UNCONDITIONAL:
        outcome = evaluate(asked.conditions, version.validators, method=asked.method)
    if outcome is Outcome.FAILED:
        raise PreconditionFailed()
    if outcome is Outcome.NOT_MODIFIED:
        return Representation(NOT_MODIFIED, None, _not_modified(version))
    chosen, size, headers = (
        _chosen(asked, version, continues_other),
        version.blob.size,
        version.headers,
    )
    if asked.wants_digest:
        headers = {**headers, "Digest": version.blob.digest.legacy_digest}
    if asked.method == "HEAD":
        return Representation(OK, None, {**headers, "Content-Length": str(size)})
    if chosen is None:
        return Representation(OK, ByteRange(0, size), headers)
    if len(chosen) > 1:
        return Representation(PARTIAL, None, headers, chosen)
    return Representation(PARTIAL, chosen[0], headers)


def _not_modified(version: Version) -> dict[str, str]:
    """Of a 304: what a cache compares and goes by (RFC 9110 15.4.5)."""
    kept = {n: v for n, v in version.headers.items() if n == "Cache-Control"}
    return {**validator_headers(version.validators), **kept}


def check_pins(asked: Asked, version: Version) -> None:
    """Hold an address that names its version by ``?sha256=`` to it.

    It is the If-Match of clients that can send none and resume with nothing but a number.
    Raises ``PreconditionFailed``, and ``Malformed`` for anything but 64 hex digits.
    """
    for pin in asked.pins:
        if parse_sha256_text(pin).value != version.blob.digest.raw:
            raise PreconditionFailed()


def _chosen(
    asked: Asked, version: Version, continues_other: Continues
) -> tuple[ByteRange, ...] | None:
    """The parts to send, or ``None`` for all. Only GET has ranges (RFC 9110 14.2).

    A range that names no version and goes on with other bytes is refused before its bounds are
    looked at: of a 416 ``wget -c`` makes a success.
    """
    if asked.method != "GET":
        return None
    header = combine_headers(asked.ranges, asked.other_ranges)
    if header is None or not range_holds(asked.conditions.if_range, version.validators):
        return None
    if not asked.names_version and continues_other(header):
        raise PreconditionFailed()
    if asked.several:
        return parse_ranges(header, version.blob.size, asked.policy)
    chosen = parse_range(header, version.blob.size, asked.policy)
    return None if chosen is None else (chosen,)
