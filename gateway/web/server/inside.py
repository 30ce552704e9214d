"""The inside of aiohttp and aiofastnet that we rely on, as one list, and whether it is there.

Theory of operation. A release may rename what is private, and nobody would be told: the
connection would break in the middle of a request. So before the first connection everything that
the modules of this package touch is looked for on specimens: a live connection, a parsed request,
its body, a response, a transport's class. ``PARTS`` has the names, and of what kind each must be;
``HABITS`` are what cannot be seen from a name, tried out. If anything is lacking, ``listen``
serves with plain connections, which need none of it.

Knows names. Does not know what is done with them: each row says it.

Rule: what is touched anywhere in this package and is not documented has a row here.
"""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gateway.web.server.options import LINGERING_SECONDS, READ_BUFFER_BYTES, Options
from gateway.web.server.plain import handler_options

ABSENT: Final = object()
_NOBODY: Final = type(None)
_TRIED_SECONDS: Final = 17.0
_GET: Final = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
_PUT: Final = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbegun"


@dataclass(frozen=True, slots=True)
class Part:
    """A name of a specimen, what it must be (``None``: callable), and what it is for."""

    specimen: str
    name: str
    kind: type | tuple[type, ...] | None
    purpose: str

    def __str__(self) -> str:
        return f"{self.specimen}.{self.name}"


_future: Final = (asyncio.Future, _NOBODY)
_timer: Final = (asyncio.Handle, _NOBODY)

PARTS: Final = (
    Part("connection", "_messages", deque, "requests that were parsed and wait"),
    Part("connection", "_waiter", _future, "what wakes the task that runs handlers"),
    Part("connection", "_handler_waiter", _future, "what a stopping server waits for"),
    Part("connection", "_task_handler", (asyncio.Task, _NOBODY), "the task that runs handlers"),
    Part("connection", "_request_in_progress", bool, "whether a stopping server waits"),
    Part("connection", "_parser", object, "the parser; replaced after a body past it"),
    Part("connection", "_manager", web.Server, "the server that counts requests"),
    Part("connection", "_force_close", bool, "whether no request is taken any more"),
    Part("connection", "_keepalive_timeout", (int, float), "seconds until an idle one is closed"),
    Part("connection", "_keepalive_handle", _timer, "the timer of that"),
    Part("connection", "_next_keepalive_close_time", (int, float), "when that is due"),
    Part("connection", "_process_keepalive", None, "what the timer calls; overridden"),
    Part("connection", "_reading_paused", bool, "whether the parser may hold bytes back"),
    Part("connection", "_loop", asyncio.AbstractEventLoop, "the loop"),
    Part("connection", "_lingering_time", (int, float), "an option that must be applied"),
    Part("connection", "_read_bufsize", int, "an option that must be applied"),
    Part("connection", "writing_paused", bool, "whether the client is slow"),
    Part("connection", "peername", object, "who it is"),
    Part("connection", "max_line_size", int, "an option of a new parser"),
    Part("connection", "max_field_size", int, "an option of a new parser"),
    Part("connection", "max_headers", int, "an option of a new parser"),
    Part("connection", "data_received", None, "what the loop calls; overridden"),
    Part("connection", "connection_lost", None, "what the loop calls; overridden"),
    Part("connection", "handle_error", None, "what words a refusal; overridden"),
    Part("connection", "shutdown", None, "what a stopping server calls; overridden"),
    Part("parser", "feed_data", None, "parsing"),
    Part("parser", "message_consumed", None, "gives the place of a request back"),
    Part("request", "method", str, "of the fast path and its log line"),
    Part("request", "path", str, "of the fast path"),
    Part("request", "version", tuple, "of the fast path"),
    Part("request", "headers", Mapping, "of the fast path, and the body's length"),
    Part("request", "should_close", bool, "set on a request to upgrade"),
    Part("request", "upgrade", bool, "whether it is one"),
    Part("request", "chunked", bool, "whether the body's length is unknown"),
    Part("request", "url", object, "of the log line"),
    Part("request", "_replace", None, "sets ``should_close``"),
    Part("body", "total_bytes", int, "how much of it came"),
    Part("body", "feed_data", None, "hands a piece over"),
    Part("body", "feed_eof", None, "ends it"),
    Part("body", "is_eof", None, "whether it has ended"),
    Part("body", "exception", None, "whether it has failed"),
    Part("body", "set_exception", None, "fails it for its reader"),
    Part("body", "set_read_chunk_size", None, "how far to read ahead"),
    Part("body", "get_read_buffer_limits", None, "how far that is"),
    Part("response", "_eof_sent", bool, "that nothing more is to be sent"),
    Part("response", "_keep_alive", (bool, _NOBODY), "whether the connection goes on"),
    Part("writer", "write", None, "bytes past aiohttp's head"),
    Part("writer", "output_size", int, "whether a response has begun"),
    Part("server", "requests_count", int, "counts requests"),
    Part("aiohttp.http_parser", "HttpRequestParser", type, "a new parser after a body past it"),
    Part("aiohttp.http_parser", "RawRequestMessage", type, "a parsed request"),
    Part("aiohttp.streams", "StreamReader", type, "a body"),
    Part("aiohttp.streams", "EMPTY_PAYLOAD", object, "no body"),
    Part("aiohttp.web_protocol", "MAX_MSG_QUEUE_SIZE", int, "an option of a new parser"),
    Part("aiofastnet", "Transport", type, "whether files can be sent"),
    Part("aiofastnet", "connect_accepted_socket", None, "makes such transports"),
    Part("aiofastnet", "aiofn_is_buffered_protocol", None, "asks where bytes are to go"),
    Part("transport", "sendfile", None, "a future, or none when it is done"),
    Part("transport", "set_protocol", None, "asks anew where bytes are to go"),
    Part("transport", "write", None, "bytes of the fast path"),
    Part("transport", "abort", None, "cuts a transfer"),
)


async def _unasked(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response()


def _connection() -> web.RequestHandler:
    options = Options(lambda *_: web.Response(), _TRIED_SECONDS)
    loop = asyncio.get_running_loop()
    return web.RequestHandler(web.Server(_unasked), loop=loop, **handler_options(options))


def _new_parser() -> Any:
    return importlib.import_module("gateway.web.server.bodies").request_parser(
        _connection(), READ_BUFFER_BYTES
    )


def _parsed(text: bytes) -> tuple[Any, Any]:
    [(message, body)], _, _ = _new_parser().feed_data(text)
    return message, body


SPECIMENS: Final[Mapping[str, Callable[[], object]]] = {
    "connection": _connection,
    "parser": _new_parser,
    "request": lambda: _parsed(_PUT)[0],
    "body": lambda: _parsed(_PUT)[1],
    "response": web.StreamResponse,
    "writer": lambda: importlib.import_module("aiohttp.http_writer").StreamWriter,
    "server": lambda: web.Server(_unasked),
    "transport": lambda: importlib.import_module("aiofastnet").Transport,
}
"""How to get one of each; what is not here is a module."""


def _options_are_applied() -> bool:
    wanted = {
        "_keepalive_timeout": _TRIED_SECONDS,
        "_lingering_time": LINGERING_SECONDS,
        "_read_bufsize": READ_BUFFER_BYTES,
        "access_log": None,
    }
    live = _connection()
    return all(getattr(live, name) == value for name, value in wanted.items())


def _parser_hands_out_what_came() -> bool:
    message, body = _parsed(_PUT)
    module = importlib.import_module("aiohttp.http_parser")
    return isinstance(message, module.RawRequestMessage) and body.total_bytes == len(b"begun")


def _no_body_is_one_object() -> bool:
    return _parsed(_GET)[1] is importlib.import_module("aiohttp.streams").EMPTY_PAYLOAD


def _bodies_take_any_bytes() -> bool:
    _, body = _parsed(_PUT)
    body.feed_data(bytearray(b"more"))
    body.feed_eof()
    return bool(body.total_bytes == len(b"begunmore") and body.is_eof())


def _requests_can_be_made_the_last() -> bool:
    return bool(_parsed(_PUT)[0]._replace(should_close=True).should_close)


def _responses_can_be_declared_sent() -> bool:
    response = web.StreamResponse()
    response._eof_sent, response._keep_alive = True, False
    return response.prepared and response.keep_alive is False


def _transports_ask_where_bytes_go() -> bool:
    class Buffered:
        def is_buffered_protocol(self) -> bool:
            return True

    return bool(importlib.import_module("aiofastnet").aiofn_is_buffered_protocol(Buffered()))


HABITS: Final[Mapping[str, Callable[[], bool]]] = {
    "the options of a connection are applied": _options_are_applied,
    "the parser's constructor and what it hands out": _parser_hands_out_what_came,
    "no body is one known object": _no_body_is_one_object,
    "a body takes bytes of any kind": _bodies_take_any_bytes,
    "a request can be made the connection's last": _requests_can_be_made_the_last,
    "a response can be declared sent": _responses_can_be_declared_sent,
    "a transport asks where bytes are to go": _transports_ask_where_bytes_go,
}


def look_up(specimen: object, name: str) -> object:
    """What ``specimen`` has under that name, or ``ABSENT``."""
    return getattr(specimen, name, ABSENT)


def lacking() -> list[str]:
    """What is not as this package relies on it; nothing, if all is well. Needs a running loop."""
    seen = dict[str, object]()
    missing = [str(part) for part in PARTS if not _is_there(part, seen)]
    return missing + [habit for habit, holds in HABITS.items() if not _holds(holds)]


def _is_there(part: Part, seen: dict[str, object]) -> bool:
    if part.specimen not in seen:
        seen[part.specimen] = _specimen(part.specimen)
    found = look_up(seen[part.specimen], part.name)
    return callable(found) if part.kind is None else _is_a(found, part.kind)


def _is_a(found: object, kind: type | tuple[type, ...]) -> bool:
    return found is not ABSENT and isinstance(found, kind)


def _specimen(name: str) -> object:
    """One of those, or ``ABSENT`` if it cannot be had any more."""
    with suppress(Exception):
        made = SPECIMENS.get(name)
        return importlib.import_module(name) if made is None else made()
    return ABSENT


def _holds(habit: Callable[[], bool]) -> bool:
    with suppress(Exception):
        return habit()
    return False
