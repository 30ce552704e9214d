"""Requests that cannot be parsed: what is wrong with them, and the response, which is all ours.

Theory of operation. Where aiohttp's parser fails there is no request: what it hands on instead says
HTTP/1.0, has the path ``/`` and no header. So whoever refuses looks at the bytes that came: their
first line mostly is a request line, and tells which API was asked, in which version, and whether
the method is one that nobody knows. The response is written past aiohttp, which would repeat the
version that it made up.

Knows RFC 9110 and 9112, and aiohttp's errors. Does not know how a refusal is worded.

Rule: nothing is believed of that line but how to word the refusal; the connection ends with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPMethod
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from gateway.model.errors import GatewayError, Malformed, Refusal
from gateway.web.server.response import rendered_head

LONGEST_LINE_BYTES: Final = 8190
"""That the parser takes."""

LOOKED_AT_BYTES: Final = 9 * 1024

MAJOR: Final = 1
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_LINE: Final = re.compile(
    rb"[\r\n]*(" + _TOKEN + rb") ([\x21-\xff]+)(?: HTTP/([0-9])\.([0-9])\r?\n)?"
)
_COUNT_OF_HEADERS: Final = "Too many headers"
_METHODS: Final = frozenset(method.value for method in HTTPMethod)
_BODILESS: Final = "HEAD"
_RENDERED: Final = frozenset({"content-length", "date", "server", "connection"})


class MethodUnknown(Refusal):
    """No resource has such a method, for there is none of that name."""

    sentence = "the method is not known"


class VersionUnsupported(Refusal):
    """Neither HTTP/1.0 nor HTTP/1.1."""

    sentence = "the version of HTTP is not supported"


class AddressTooLong(Refusal):
    """The request line is longer than 8 KiB."""

    sentence = "the address is too long"


class HeadersTooLarge(Refusal):
    """A header is longer than 8 KiB, or there are more than 128."""

    sentence = "the request headers are too large"


@dataclass(frozen=True, slots=True)
class RequestLine:
    """The first line of what came: ``size`` bytes of it, ``version`` if it is whole.

    ``path`` is without the query.
    """

    method: str
    path: str
    version: tuple[int, int] | None
    size: int = 0


def line_of(data: bytes) -> RequestLine | None:
    """The request line with which ``data`` begins, if it does."""
    match = _LINE.match(data, 0, LOOKED_AT_BYTES)
    if match is None:
        return None
    method, target, major, minor = match.groups()
    path = target.partition(b"?")[0].decode("latin-1")
    if "://" in path:  # the absolute form (RFC 9112, 3.2.2)
        path = "/" + path.partition("://")[2].partition("/")[2]
    version = None if major is None else (int(major), int(minor))
    return RequestLine(method.decode("ascii"), path, version, len(match[0]))


def refusal_of(exc: BaseException | None, line: RequestLine | None) -> GatewayError:
    """What is wrong, as far as the parser's error and the line tell."""
    if isinstance(exc, LineTooLong):
        is_line = line is not None and (line.version is None or line.size > LONGEST_LINE_BYTES)
        return AddressTooLong() if is_line else HeadersTooLarge()
    if _COUNT_OF_HEADERS in str(getattr(exc, "message", "")):
        return HeadersTooLarge()
    if line is None or line.version is None:
        return Malformed()
    if line.version[0] != MAJOR:
        return VersionUnsupported()
    # Of what was sent in one go with the request before, the line is that request's.
    unknown = isinstance(exc, BadHttpMethod) and line.method not in _METHODS
    return MethodUnknown() if unknown else Malformed()


class WrittenResponse(web.Response):
    """A response that is written as it is, and is its connection's last.

    ``line`` is what it responds to: HTTP/1.1 (RFC 9110, 6.2), or 1.0 to who says so; HEAD gets
    no body.
    """

    def __init__(self, response: web.Response, line: RequestLine | None) -> None:
        super().__init__(status=response.status, headers=response.headers, body=response.body)
        self.force_close()
        self._minor = 0 if line is not None and line.version == (MAJOR, 0) else 1
        self._bodiless = line is not None and line.method == _BODILESS

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write it."""
        body = self.body if isinstance(self.body, bytes) else b""
        kept = [f"{n}: {v}\r\n" for n, v in self.headers.items() if n.lower() not in _RENDERED]
        lines = "".join([*kept, "Connection: close\r\n"]).encode("ascii")
        head = rendered_head(self.status, len(body), lines, minor=self._minor)
        if request.transport is not None:
            request.transport.write(head + (b"" if self._bodiless else body))

    async def write_eof(self, data: bytes = b"") -> None:
        """It was written."""
