"""``/``: where a person who typed the address learns what this is, and a program where the rest is.

Rule: the page loads nothing and runs nothing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import web

from gateway.web.dialect import Route
from gateway.web.openapi.vocabulary import ANY_OBJECT, JSON, TEXT, Operation, Response

HTML: Final = "text/html; charset=utf-8"
_PLACES: Final = {
    "documentation": ("docs", "Every route, with a form to try it"),
    "openapi": ("openapi.json", "The same for programs"),
    "health": ("health", "Whether this process is alive, and its version"),
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Filestore Gateway</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem }}
body {{ margin: 10vh auto; padding: 0 1rem }}
:root {{ color-scheme: light dark }}
</style>
</head>
<body>
<h1>Filestore Gateway</h1>
<p>Version {version}. Publish a firmware image once; every device gets exactly those bytes.</p>
<ul>
{places}
</ul>
</body>
</html>
"""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}

DESCRIBED: Final[Mapping[str, Operation]] = {
    "GET,HEAD /": Operation(
        "What this is, and where the rest is",
        responses={200: Response("A page for browsers", {JSON: ANY_OBJECT, HTML: TEXT})},
    ),
}


def routes(version: str) -> tuple[Route, ...]:
    """The route of ``/``, for both methods."""
    page, listed = _page(version).encode(), _listed(version)

    async def root(request: web.Request) -> web.Response:
        wants_page = "text/html" in request.headers.get("Accept", "").lower()
        kind, body = (HTML, page) if wants_page else (JSON, listed)
        return web.Response(body=body, headers={"Content-Type": kind, **_HEADERS})

    return tuple(Route(method, "/", root) for method in ("GET", "HEAD"))


def _page(version: str) -> str:
    places = (f'<li><a href="{path}">{path}</a>: {text}</li>' for path, text in _PLACES.values())
    return _PAGE.format(version=html.escape(version), places="\n".join(places))


def _listed(version: str) -> bytes:
    places = {name: path for name, (path, _) in _PLACES.items()}
    return orjson.dumps({"service": "filestore-gateway", "version": version, **places})
