"""Small responses: JSON, and nothing."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web


def json_reply(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """``value`` as compact JSON."""
    return web.Response(
        body=orjson.dumps(value),
        status=status,
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def empty_reply(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """No body; the Content-Type that the documented APIs send even then."""
    return web.Response(
        status=status, headers={"Content-Type": "application/json", **(headers or {})}
    )
