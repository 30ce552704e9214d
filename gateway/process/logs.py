"""Logs: one JSON object per line on stderr, with the id of the request it belongs to.

On a terminal a line is for a person: time, level, event, and what belongs to it.

Code logs by the standard library with ``extra={...}``; only here is it known how a line looks.

Rule: a log line can neither be forged nor break anything, and strangers cannot fill a disk: a
value has at most 512 characters, a second at most 20 warnings of one kind. Control characters
are escaped, lone surrogates are replaced, values that JSON does not know are described, and a sink
that fails is given up silently: no request fails because it could not be logged. Nor does one
wait: a line for which the reader of the stream has left no room is dropped, and the next one that
fits is preceded by how many were.

A pipe or socket that ``poll`` calls writable takes at least ``PIPE_BUF`` bytes at once (pipe(7)),
so lines go out in pieces of that size; what remains of a line goes before the next.
"""

from __future__ import annotations

import logging
import os
import select
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, TextIO

import orjson
import structlog

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")

_UNSAFE: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_LONGEST_TEXT: Final = 512
_LONGEST_TRACEBACK: Final = 8192
_LONGEST_PATH: Final = 1024  # a name of 255 bytes, each of them escaped, is whole
_WRITTEN_EACH_SECOND: Final = 20
_KINDS: Final = 1000
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
    """Send every logger's lines to ``stream`` (stderr), as JSON unless it is a terminal.

    May be called again.
    """
    stream = stream or sys.stderr
    render = _for_a_person if stream.isatty() else _as_json
    handler = _Sink(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
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


class _Sink(logging.Handler):
    """A stream that may be full, closed or gone."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._rest = b""
        self._dropped = 0
        self._flood = _Flood()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or nothing. Does not wait."""
        if self._stream.closed:  # its number may be another file's by now
            return
        if record.levelno >= logging.WARNING and not self._flood.admits(record):
            return
        with suppress(Exception):
            self._write(self.format(record) + "\n")

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            self._stream.write(line)
            self._stream.flush()
            return
        if not self._written_out():
            self._dropped += 1
            return
        lost = f'{{"event": "lines dropped", "lines": {self._dropped}}}\n' if self._dropped else ""
        self._rest, self._dropped = (lost + line).encode(), 0
        self._written_out()

    def _written_out(self) -> bool:
        """Whether nothing waits any more."""
        assert self._descriptor is not None
        while self._rest and _is_writable(self._descriptor):
            count = os.write(self._descriptor, self._rest[: select.PIPE_BUF])
            self._rest = self._rest[count:]
        return not self._rest


class _Flood:
    """Lines of one kind within a second: the same event of the same logger, whatever its values.

    How many were left out is told by the next one that is written, as ``suppressed``.
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, int, str], tuple[int, int]] = {}

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether this one is to be written."""
        if len(self._seconds) > _KINDS:
            self._seconds.clear()
        kind = record.name, record.levelno, str(record.msg)
        second, count = self._seconds.get(kind, (0, 0))
        if second == int(record.created):
            self._seconds[kind] = second, count + 1
            return count < _WRITTEN_EACH_SECOND
        self._seconds[kind] = int(record.created), 1
        if count > _WRITTEN_EACH_SECOND:
            record.suppressed = count - _WRITTEN_EACH_SECOND
        return True


def _descriptor_of(stream: TextIO) -> int | None:
    """The stream's descriptor, or ``None`` for one in memory."""
    try:
        return stream.fileno()
    except OSError:
        return None


def _is_writable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def _add_request_id(
    _logger: logging.Logger | None, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


def _as_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    written = _plain(event)
    for name, longest in (("exception", _LONGEST_TRACEBACK), ("path", _LONGEST_PATH)):
        if isinstance(written, dict) and isinstance(event.get(name), str):
            written[name] = _text(event[name], longest)
    return orjson.dumps(written).decode().translate(_UNSAFE)


def _for_a_person(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Time, level, event and its values in one line; a traceback below it."""
    when = str(event.pop("timestamp", ""))[11:19]
    level, what = str(event.pop("level", "")), _shown(event.pop("event", ""))
    traceback = _text(event.pop("exception", ""), _LONGEST_TRACEBACK)
    event.pop("logger", None)
    values = (f"{name}={_shown(value)}" for name, value in event.items() if value is not None)
    line = " ".join([when, f"{level:<7}", what, *values])
    below = (f"\n    {_shown(each)}" for each in traceback.splitlines())
    return line + "".join(below)


def _shown(value: object) -> str:
    """The value without anything that a terminal obeys."""
    text = orjson.dumps(_plain(value)).decode().translate(_UNSAFE)
    return text[1:-1] if text.startswith('"') else text


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


def _text(value: object, longest: int = _LONGEST_TEXT) -> str:
    """Its text, cut to ``longest`` characters: of a traceback the end says what happened."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - whatever an object's __str__ does, the line is written
        text = f"<{type(value).__name__}>"
    if len(text) > longest:
        end = longest == _LONGEST_TRACEBACK
        text = f"…{text[1 - longest :]}" if end else f"{text[: longest - 1]}…"
    return text.encode("utf-8", "backslashreplace").decode()
