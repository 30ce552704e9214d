"""Logs: one JSON object per line on stderr, with the id of the request it belongs to.

Code logs by the standard library with ``extra={...}``; only here is it known how a line looks.

Rule: a log line can neither be forged nor break anything. Control characters are escaped,
lone surrogates are replaced, values that JSON does not know are described, and a sink that
fails is given up silently: no request fails because it could not be logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, TextIO

import orjson
import structlog

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")

_UNSAFE: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_LONGEST_TEXT: Final = 8192
_DEEPEST: Final = 6


@contextmanager
def request_logged_as(request_id: str) -> Iterator[None]:
    """Every line that is logged in the block carries ``request_id``."""
    token = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(token)


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send every logger's lines to ``stream`` (stderr) as JSON. May be called again."""
    handler = _Sink(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_line),
            ],
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _add_request_id,
                structlog.processors.format_exc_info,
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # A traceback on stderr would stand between the lines; the sink gives up silently instead.
    logging.raiseExceptions = False


class _Sink(logging.StreamHandler[TextIO]):
    """A stream that may be full, closed or gone."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or nothing."""
        with suppress(Exception):
            super().emit(record)


def _add_request_id(
    _logger: logging.Logger | None, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


def _line(event: MutableMapping[str, Any], **_: object) -> str:
    return orjson.dumps(_plain(event)).decode().translate(_UNSAFE)


def _plain(value: object, depth: int = 0) -> object:
    """``value`` as JSON can have it, whatever it is."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, dict) and depth < _DEEPEST:
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_plain(item, depth + 1) for item in value]
    return _text(value)


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - whatever an object's __str__ does, the line is written
        text = f"<{type(value).__name__}>"
    return text[:_LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
