"""JSON as values that can be kept.

Rule: what is deep, or what PostgreSQL cannot hold, is refused where it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from gateway.model.errors import Malformed

_DEPTH: Final = 32
# The only ways to write a NUL in JSON: bare it is no JSON (RFC 8259 section 7).
_NUL: Final = "\\u0000"


def parse_json(text: bytes | str) -> object:
    """JSON as Python values, at most 32 levels deep. Raises ``Malformed``."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as exc:
        raise Malformed("malformed JSON") from exc
    _check_depth(value)
    if _may_have_nul(text):
        _check_nul(value)
    return value


def _check_depth(value: object) -> None:
    # Level by level: of a million members only those are looked into that have some themselves.
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEPTH):
        level = [item for outer in level for item in _members(outer) if type(item) in (dict, list)]
        if not level:
            return
    raise Malformed("the JSON is nested too deeply")


def _members(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


def _may_have_nul(text: bytes | str) -> bool:
    return _NUL in text if isinstance(text, str) else _NUL.encode() in text


def _check_nul(value: object) -> None:
    """PostgreSQL's jsonb cannot hold it. An escaped backslash before ``u0000`` is none."""
    if isinstance(value, str) and "\0" in value:
        raise Malformed("the JSON contains a NUL character")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_nul(key)
            _check_nul(item)
    elif isinstance(value, list):
        for item in value:
            _check_nul(item)
