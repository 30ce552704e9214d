"""Addresses of ours as a client must write them: with the scheme, host and prefix that it used.

Knows what proxies forward, and which of them are believed.

Rule: what a client could have written itself decides only where that client is sent.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from gateway.model.errors import Malformed
from gateway.web.authentication import CALLERS
from gateway.web.proxies import single_header

PREFIX: Final = web.AppKey("prefix", str)
"""The prefix under which every route answers as well."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_SCHEMES: Final = frozenset({"http", "https"})


def absolute_url(request: web.Request, path: str) -> str:
    """The address of ``path``, which begins with a slash and is a route without its prefix.

    Raises ``Malformed`` if the request does not say a host that could be written down.
    """
    scheme, host, outer = request.scheme, request.host, ""
    if request.app[CALLERS].proxies.trusts(request):
        scheme = _forwarded(request, "X-Forwarded-Proto") or scheme
        host = _forwarded(request, "X-Forwarded-Host") or host
        outer = _forwarded(request, "X-Forwarded-Prefix").rstrip("/")
    if scheme not in _SCHEMES or not _HOST.fullmatch(host) or not _PREFIX.fullmatch(outer):
        raise Malformed("the address of the request cannot be read")
    return f"{scheme}://{host}{outer}{_inner(request)}{path}"


def _inner(request: web.Request) -> str:
    """Our prefix, if the request came under it."""
    prefix = request.app[PREFIX]
    return prefix if prefix and request.path.startswith(f"{prefix}/") else ""


def _forwarded(request: web.Request, name: str) -> str:
    """What the outermost proxy says: the first of several."""
    return (single_header(request, name) or "").partition(",")[0].strip()
