"""Requests and answers as bytes, and whether an answer is what a device can use. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.fleet.aim import Aim
from gateway.fleet.plans import Ask

END_OF_HEAD = b"\r\n\r\n"


class Unusable(Exception):
    """An answer that a real client would take for a broken server."""


@dataclass(frozen=True, slots=True)
class Head:
    """A status and its headers, names in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """The body's length. Raises ``Unusable`` without a Content-Length."""
        text = self.headers.get("content-length", "")
        if not text.isdecimal():
            raise Unusable("no Content-Length")
        return int(text)

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes an answer's body holds, and the size of the whole file."""

    start: int
    stop: int
    size: int


def request_bytes(target: Aim, headers: dict[str, str], ask: Ask, etag: str | None) -> bytes:
    """The request's head."""
    lines = [f"{ask.method} {target.path} HTTP/1.1", f"Host: {target.host}"]
    lines += (f"{name}: {value}" for name, value in headers.items())
    if ask.range_header is not None:
        lines.append(f"Range: {ask.range_header}")
        if ask.if_range and etag is not None:
            lines.append(f"If-Range: {etag}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def parse_head(block: bytes) -> Head:
    """A status line and headers, without the empty line. Raises ``Unusable``."""
    first, *lines = block.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise Unusable(f"no status line: {first[:40]!r}")
    pairs = (line.partition(":") for line in lines)
    return Head(int(rest[:3]), {name.lower(): value.strip() for name, _, value in pairs})


def span_of(ask: Ask, head: Head, size: int) -> Span:
    """Where the body's bytes belong. Raises ``Unusable`` unless it answers what was asked."""
    if ask.method == "HEAD" or ask.start is None or (head.status == 200 and ask.if_range):
        _check(head.status == 200, f"status {head.status} without a range")
        _check(head.length == size, f"a length of {head.length} instead of {size}")
        return Span(0, 0 if ask.method == "HEAD" else size, size)
    _check(head.status == 206, f"status {head.status} to a range")
    stop = size if ask.stop is None else min(ask.stop, size)
    expected = f"bytes {ask.start}-{stop - 1}/{size}"
    given = head.headers.get("content-range", "")
    _check(given == expected, f"Content-Range {given!r} instead of {expected!r}")
    _check(head.length == stop - ask.start, f"a length of {head.length} to {expected!r}")
    return Span(ask.start, stop, size)


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise Unusable(complaint)
