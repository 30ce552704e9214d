"""JSON as values that can be kept.

Rule: what is deep, or what PostgreSQL cannot hold, is refused where it is parsed.
"""

from __future__ import annotations

from typing import Final

import orjson

from gateway.model.errors import Malformed

_DEPTH: Final = 32


def parse_json(text: bytes | str) -> object:
    """JSON as Python values, at most 32 levels deep. Raises ``Malformed``."""
    try:
        value = orjson.loads(text)
        _check_storable(value, _DEPTH)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as exc:
        raise Malformed("malformed JSON") from exc
    return value


def _check_storable(value: object, depth: int) -> None:
    """Refuse what PostgreSQL's jsonb cannot hold: NUL, and nesting without end."""
    if depth == 0:
        raise Malformed("the JSON is nested too deeply")
    if isinstance(value, str) and "\0" in value:
        raise Malformed("the JSON contains a NUL character")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_storable(key, depth)
            _check_storable(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_storable(item, depth - 1)
