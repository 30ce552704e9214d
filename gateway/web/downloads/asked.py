"""What a request says of the file that it is about, read from its headers and its query."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.model.byterange import RangePolicy
from gateway.model.file import FileRecord
from gateway.model.precondition import Conditions
from gateway.web.authentication import CALLERS
from gateway.web.certificates import shown_beside
from gateway.web.downloads.decide import UNCONDITIONAL, Asked

PIN_PARAMETER: Final = "sha256"
PIN_VARIABLE: Final = "digest"
"""A version is named by ``?sha256=<64 hex digits>``, and by this variable of a dialect's path."""
CONDITIONAL: Final = (
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
)
CredentialOf = Callable[[web.Request], Hashable]
AddressOf = Callable[[web.Request], Hashable]
ShownName = Callable[[FileRecord], str]


def authorization_of(request: web.Request) -> Hashable:
    """The credential of most dialects: every Authorization header, and a certificate if any."""
    given = tuple(request.headers.getall("Authorization", ()))
    certificate = shown_beside(request, request.app[CALLERS].proxies)
    # Of another form than without one: no header that a client writes is like it.
    return (given, certificate) if certificate else given


def name_of(record: FileRecord) -> str:
    """What most dialects call a file."""
    return record.name


@dataclass(frozen=True, slots=True)
class ReadRules:
    """How a dialect takes a read.

    ``alternative_header`` is another name that it accepts for Range. ``credential_of`` is
    everything of a request but its path that decides what it may read. ``address_of`` is for
    addresses that may mean one file now and another one later: what was begun under one is not
    continued with the other's bytes. ``shown_name`` is what a client is to call the file.
    ``several`` ranges may be asked for at once, where the deployment allows it.
    """

    policy: RangePolicy = RangePolicy.LENIENT_UNITS
    alternative_header: str | None = None
    credential_of: CredentialOf = authorization_of
    address_of: AddressOf | None = None
    shown_name: ShownName = name_of
    several: bool = True


STANDARD: Final = ReadRules()


def asked_by(
    request: web.Request, rules: ReadRules = STANDARD, *, several_ranges: bool = False
) -> Asked:
    """What ``request`` asks for, of a deployment that allows ``several_ranges``."""
    headers, other = request.headers, rules.alternative_header
    return Asked(
        method=request.method,
        conditions=conditions_of(request),
        ranges=tuple(headers.getall("Range", ())),
        other_ranges=() if other is None else tuple(headers.getall(other, ())),
        pins=pins_of(request),
        wants_digest="sha-256" in headers.get("Want-Digest", "").lower(),
        policy=rules.policy,
        several=several_ranges and rules.several,
    )


def pins_of(request: web.Request) -> tuple[str, ...]:
    """The digests by which the address names its version: in its path, in its query."""
    in_path = request.match_info.get(PIN_VARIABLE)
    in_query = tuple(request.query.getall(PIN_PARAMETER, ())) if "?" in request.raw_path else ()
    return in_query if in_path is None else (in_path, *in_query)


def conditions_of(request: web.Request) -> Conditions:
    """The conditional headers; repeated ones joined by commas (RFC 9110 5.3)."""
    headers = request.headers
    if not any(name in headers for name in CONDITIONAL):
        return UNCONDITIONAL

    def combined(name: str) -> str | None:
        values = headers.getall(name, ())
        return ", ".join(values) if values else None

    return Conditions(
        if_match=combined("If-Match"),
        if_none_match=combined("If-None-Match"),
        if_modified_since=combined("If-Modified-Since"),
        if_unmodified_since=combined("If-Unmodified-Since"),
        if_range=combined("If-Range"),
    )
