"""``/openapi.json``, and ``/docs``: Swagger UI's page over it.

Knows which of Swagger UI's files are needed and what they are. Serves those and no others:
no folder is exposed, no name of a request is ever looked up on a disk.

Rule: the page loads nothing from anywhere else, and may send its requests only here.
"""

from __future__ import annotations

import functools
import hashlib
import pkgutil
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.web.dialect import Handler, Route
from gateway.web.openapi.vocabulary import (
    ANY_OBJECT,
    JSON,
    TEXT,
    Operation,
    Response,
    json_response,
)

HTML: Final = "text/html; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_STYLE: Final = "text/css; charset=utf-8"
_PNG: Final = "image/png"
_PACKAGE: Final = "swagger_ui_bundle"
_FOLDER: Final = "vendor/swagger-ui-5.31.0"
_SHIPPED: Final = {
    "swagger-ui.css": _STYLE,
    "swagger-ui-bundle.js": _SCRIPT,
    "favicon-32x32.png": _PNG,
}
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Filestore Gateway</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>
@media (max-width: 640px) {
  .swagger-ui .opblock-tag, .swagger-ui .opblock-section-header { flex-wrap: wrap; height: auto }
  .swagger-ui .opblock-tag small { flex-basis: 100%; padding: 0 }
  .swagger-ui .btn-group, .swagger-ui .try-out { margin-right: 0; white-space: normal }
  .swagger-ui .opblock-body, .swagger-ui .responses-inner { overflow-x: auto }
  .swagger-ui .wrapper { padding: 0 8px }
}
</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START: Final = b"""SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
# Swagger UI sets styles on its elements, and draws its icons from data: addresses.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_CHANGES_WITH_RELEASES: Final = {"Cache-Control": "no-cache"}

# The page's own files are no part of any API: generated clients would have a method for each.
DESCRIBED: Final[Mapping[str, Operation]] = {
    "GET,HEAD /openapi.json": Operation(
        "This document",
        responses={200: json_response("OpenAPI 3.1", ANY_OBJECT), 304: Response("Unchanged")},
    ),
    "GET,HEAD /docs": Operation(
        "This document as a page", responses={200: Response("Swagger UI", {HTML: TEXT})}
    ),
}


def routes(document: bytes) -> tuple[Route, ...]:
    """The document's route, the page's and those of the page's files."""
    shipped = {name: (_read(name), kind) for name, kind in _SHIPPED.items()}
    files = {**shipped, "start.js": (_START, _SCRIPT)}
    handlers = {
        "/openapi.json": _sending(document, JSON),
        "/docs": _sending(_PAGE, HTML, {"Content-Security-Policy": _POLICY}),
        **{f"/docs/{name}": _sending(body, kind) for name, (body, kind) in files.items()},
    }
    return tuple(
        Route(method, path, handler)
        for path, handler in handlers.items()
        for method in ("GET", "HEAD")
    )


def _sending(body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Handler:
    """A handler that answers with ``body``, or that the client has it already."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    fixed = {**_SECURITY, **_CHANGES_WITH_RELEASES, "ETag": f'"{etag}"', **(headers or {})}

    async def send(request: web.Request) -> web.Response:
        held = request.if_none_match or ()
        if any(tag.value in (etag, "*") for tag in held):
            return web.Response(status=304, headers=fixed)
        return web.Response(body=body, headers={"Content-Type": kind, **fixed})

    return send


@functools.cache
def _read(name: str) -> bytes:
    """One of the files in the package. It is part of the installation, not of our data."""
    body = pkgutil.get_data(_PACKAGE, f"{_FOLDER}/{name}")
    assert body is not None, "the package has a loader"
    return body
