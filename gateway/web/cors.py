"""Which pages of other origins may read what the gateway says (CORS: the Fetch standard, 3.2).

Theory of operation. A browser lets a page read a response of another origin only if the response
says so, errors included, and asks before it sends what a form could not send: a preflight. So
there are three sets of headers: those of every response, whoever asks, which are rendered once
and go with the heads that downloads render beforehand; those that a request with ``Origin``
adds; and those of a preflight, which is answered here for every path, known or not: it has no
credential, and what it asks about may well be a 404 that the page is to read.

Knows the Fetch standard. Does not know which routes there are, nor who may do what.

Rule: ``*`` is never said beside credentials, and an origin is only ever repeated if it is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web

ANY_ORIGIN: Final = "*"
OFF: Final = "off"
PREFLIGHT_SECONDS: Final = 3600

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# Authorization is not covered by * (Fetch standard, 4.8), and nothing is beside credentials.
_SENT: Final = (
    *("Authorization", "Accept", "Accept-Language", "Content-Language", "Content-Type"),
    *("Content-Disposition", "Content-Digest", "Content-MD5", "Digest", "Repr-Digest"),
    *("Want-Digest", "Range", "If-Match", "If-None-Match", "If-Modified-Since"),
    *("If-Unmodified-Since", "If-Range", "Cache-Control", "Pragma", "X-Requested-With"),
)
_READ: Final = (
    *("Accept-Ranges", "Allow", "Content-Disposition", "Content-Length", "Content-Range", "Date"),
    *("Digest", "ETag", "Location", "Repr-Digest", "Retry-After", "WWW-Authenticate"),
    *("X-Request-Id", "X-Filestore-Sha256", "x-MD5"),
)
_ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
_VARY: Final = {"Vary": "Origin"}


class CorsPolicy:
    """What pages of which origins may do.

    ``origins`` are those that are allowed, ``*`` alone for all of them, ``off`` or nothing for
    none. ``request_headers`` are what dialects read beside HTTP's own.
    """

    def __init__(self, origins: Iterable[str] = (), request_headers: Iterable[str] = ()) -> None:
        self._listed = frozenset(origins) - {OFF}
        self._any = ANY_ORIGIN in self._listed
        sent = dict.fromkeys((*_SENT, *request_headers, *(("*",) if self._any else ())))
        self._preflight = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": ", ".join(sent),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        self.always: Final[Mapping[str, str]] = self._headers_of_all()

    def _headers_of_all(self) -> dict[str, str]:
        """Of every response, so that one that is kept for one origin is right for another."""
        if self._any:
            return {_ALLOW_ORIGIN: ANY_ORIGIN}
        return dict(_VARY) if self._listed else {}

    def headers_for(self, origin: str | None) -> Mapping[str, str]:
        """What a response to a page of ``origin`` has, beside what every response has."""
        if origin is None or not self._allows(origin):
            return {}
        exposed = {"Access-Control-Expose-Headers": ", ".join(_READ)}
        return exposed if self._any else {**_named(origin), **exposed}

    def preflight(self, request: web.Request) -> web.Response | None:
        """The response to a preflight of an allowed origin; ``None`` if it is none."""
        origin = request.headers.get("Origin")
        if request.method != "OPTIONS" or origin is None or not self._allows(origin):
            return None
        if "Access-Control-Request-Method" not in request.headers:
            return None
        return web.Response(status=204, headers=self._preflight)

    async def add(self, request: web.Request, response: web.StreamResponse) -> None:
        """Complete a response that is about to be sent: aiohttp's ``on_response_prepare``."""
        response.headers.update(self.always)
        if "Origin" in request.headers:
            response.headers.update(self.headers_for(request.headers["Origin"]))

    def _allows(self, origin: str) -> bool:
        return self._any or origin in self._listed


def _named(origin: str) -> dict[str, str]:
    return {_ALLOW_ORIGIN: origin, "Access-Control-Allow-Credentials": "true"}
