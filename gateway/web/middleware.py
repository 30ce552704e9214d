"""Around every request: its id, its dialect's wording of failures, one log line, metrics.

Knows which route belongs to which dialect. Does not know what any handler does.

Rule: exactly one response and one log line for each request, however it ends, and in both the same
id: a trusted proxy's own, else one that is made here.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.model.access import Principal
from gateway.model.errors import (
    BlobMissing,
    CatalogueUnavailable,
    Failure,
    GatewayError,
    HookUnavailable,
    InQuarantine,
    Interrupted,
    OverQuota,
    StorageFailed,
    StorageFull,
    cause_of,
    is_of_blob,
)
from gateway.process import tracing
from gateway.process.origin import SENDER
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.rounds import Rounds
from gateway.web import edge, metrics, seen
from gateway.web.cors import CorsPolicy
from gateway.web.dialect import Dialect
from gateway.web.proxies import TrustedPeers
from gateway.web.rendering import error_response, translate
from gateway.web.server.exchange import (
    REQUEST_ID,
    RequestHead,
    end_after_upgrade,
    is_stopping,
    use_turn,
)
from gateway.web.server.response import SERVER
from gateway.web.server.slices import send_in_slices
from gateway.web.server.stop import Stop
from gateway.web.server.unparsed import MAJOR, RequestLine, VersionUnsupported, WrittenResponse
from gateway.web.server.unread import is_taken_in
from gateway.web.shares import ADMISSION, Admission
from gateway.web.uploads.body import check_expectation

_log: Final = logging.getLogger("gateway.request")

REQUEST_ID_HEADER: Final = "X-Request-Id"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:+/=-]{1,64}")  # devices hold few bytes of headers

_FORESEEN: Final = (CatalogueUnavailable, StorageFull, HookUnavailable, InQuarantine)
_READING: Final = frozenset({"GET", "HEAD"})
CLIENT_LEFT: Final = 499
"""The status that is logged and counted if there was nobody to respond to any more."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request: the peer of the connection, whose it is, and whom that proved to be."""

    peer: str | None
    client: str | None
    principal: str | None


class RequestMiddleware:
    """The one middleware: turns whatever a handler does into one worded, logged response."""

    def __init__(
        self,
        routes: Mapping[web.AbstractRoute, Dialect],
        dialects: Sequence[Dialect],
        *,
        cors: CorsPolicy,
        proxies: TrustedPeers,
        prefix: str,
        log_requests: bool,
        log_as: Callable[[str], object],
        most_requests: int,
    ) -> None:
        self._routes = routes
        self._dialects = dialects
        self._cors = cors
        self._proxies = proxies
        self._prefix = prefix
        self._log_requests = log_requests
        self._log_as = log_as
        self._run_id = secrets.token_hex(6)
        self._counter = itertools.count()
        self._requests = ConcurrencyLimit(most_requests)
        self.rounds: Final = Rounds()
        self.stop: Final = Stop()

    @web.middleware
    async def run(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: ``handler``'s response, or what became of it in our words.

        It is under way for a stopping server until all of the request has come, too.
        """
        connection = request.protocol
        self.stop.begin(connection)
        try:
            response = await self._traced(request, handler)
            await _end_request(request, response)
            return response
        finally:
            self.stop.end(connection)

    async def _traced(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        tracer = tracing.tracer()
        if tracer is None:
            return await self._run(request, handler)
        # Whose trace it is a part of is believed of whom we believe an id, too.
        given = request.headers if self._proxies.trusts(request) else tracing.NOTHING
        context = {n: given[n] for n in tracing.CONTEXT_HEADERS if n in given}
        with tracer.serving(request.method, context) as span:
            status = CLIENT_LEFT
            try:
                response = await self._run(request, handler)
                status = response.status
                return response
            finally:
                _describe(span, request, self._dialect_of(request).name, status)

    async def _run(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        dialect = self._dialect_of(request)
        request[REQUEST_ID] = identifier = self._identifier_of(request)
        self._log_as(identifier)
        SENDER.set(partial(self._proxies.client_of, request.headers, request.remote))
        status, response = CLIENT_LEFT, None
        try:
            response = await self._respond(request, handler, dialect)
            status = response.status
            end_after_upgrade(request, response)
            send_in_slices(response, partial(self._next_turn, request))
            return response
        finally:
            if ADMISSION in request:
                request[ADMISSION].give_back()
            seconds = time.perf_counter() - started
            metrics.observe(dialect.name, request.method, status, seconds)
            if self._log_requests:
                self._log(dialect.name, request, response, status, seconds)

    async def complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Complete a response that is about to be sent: aiohttp's ``on_response_prepare``."""
        response.headers["Server"] = SERVER
        if (identifier := request.get(REQUEST_ID)) is not None:
            response.headers[REQUEST_ID_HEADER] = identifier
        if is_stopping(request):
            response.force_close()
            response.headers["Connection"] = "close"

    def refuse_unparsed(
        self, error: GatewayError, line: RequestLine | None, peer: str | None
    ) -> web.Response:
        """The response to what never became a request, worded by the dialect of its path."""
        dialect = self._dialects[0] if line is None else self._owner_of(line.path)
        response, identifier = error_response(error, dialect), self.next_identifier()
        response.headers.update({**self._cors.always, REQUEST_ID_HEADER: identifier})
        method = "" if line is None else line.method
        metrics.observe(dialect.name, method, response.status, 0.0)
        if self._log_requests:
            self._log_as(identifier)
            _log_unparsed(dialect.name, line, response, peer, str(error))
        return response

    @property
    def is_full(self) -> bool:
        """Whether a further request would be one too many."""
        return self._requests.is_full

    def record(
        self,
        dialect: str,
        message: RequestHead,
        status: int,
        started: float,
        peer: str | None,
        principal: Principal,
        count: int,
        identifier: str,
    ) -> None:
        """A request was answered that did not come through here, with ``count`` bytes."""
        seconds = time.perf_counter() - started
        metrics.observe(dialect, message.method, status, seconds)
        if (tracer := tracing.tracer()) is not None:
            path = message.url.raw_path
            tracer.served(message.method, seconds, _described(message, path, dialect, status))
        if self._log_requests:
            self._log_as(identifier)
            client = self._proxies.client_of(message.headers, peer)
            who = Peer(peer, client, seen.name_of(principal))
            _log_request(dialect, message, message.url.raw_path, status, seconds, who, count)

    def _log(
        self,
        dialect: str,
        request: web.Request,
        response: web.StreamResponse | None,
        status: int,
        seconds: float,
    ) -> None:
        with contextlib.suppress(Exception):  # a failing log fails no request
            peer, path = request.remote, request.rel_url.raw_path
            client = self._proxies.client_of(request.headers, peer)
            who, count = (
                Peer(peer, client, seen.caller_of(request)),
                seen.bytes_of(request, response),
            )
            _log_request(dialect, request, path, status, seconds, who, count)

    def next_identifier(self) -> str:
        """A new name for a request, which no other of this process has."""
        return f"{self._run_id}{next(self._counter):x}"

    def _identifier_of(self, request: web.Request) -> str:
        given = request.headers.get(REQUEST_ID_HEADER)
        if given is None or not self._proxies.trusts(request):
            return self.next_identifier()
        return given if _IDENTIFIER.fullmatch(given) else self.next_identifier()

    async def _respond(
        self, request: web.Request, handler: Handler, dialect: Dialect
    ) -> web.StreamResponse:
        try:
            check_version(request)
            check_expectation(request)
            await self._take_place(request)
            preflight = self._cors.preflight(request)
            return await handler(request) if preflight is None else preflight
        except Interrupted as exc:
            raise ConnectionResetError(str(exc)) from exc
        except GatewayError as exc:
            error = exc
        except web.HTTPException as exc:
            error = translate(exc.with_traceback(None))  # the request may keep it
        except ConnectionError:
            raise  # the client left while its request was read or its response written
        except Exception as exc:  # noqa: BLE001 - our fault, whatever it is: worded as such
            error = Failure()
            error.__cause__ = exc
        try:
            return self._refuse(request, error, dialect)
        finally:
            del error  # its traceback has this frame: left alone, they would keep each other

    async def _take_place(self, request: web.Request) -> None:
        """Wait for the request's turn, and count it. Raises ``TooMany`` beyond the limit.

        A peer's turn came before its request became one, if the connection is ours; the others of
        several that came together, and whoever a proxy speaks for, have theirs here. Whoever
        watches the gateway is let in.
        """
        address = self._proxies.address_of(request)
        admission = Admission(self._requests, address)
        if not use_turn(request) or address != request.remote:
            await self.rounds.turn(address)
        if request.match_info.route in self._routes:
            admission.take()
            request[ADMISSION] = admission

    async def _next_turn(self, request: web.Request) -> None:
        await self.rounds.turn(self._proxies.address_of(request))

    def _refuse(
        self, request: web.Request, error: GatewayError, dialect: Dialect
    ) -> web.StreamResponse:
        if isinstance(error, Failure):
            _log_failure(error)
        elif isinstance(error, OverQuota):
            metrics.over_quota(error.resource)
        damaged = isinstance(error, BlobMissing | StorageFailed) and is_of_blob(error)
        if damaged and request.method in _READING:
            metrics.damage_met()
        asked_by_edge = edge.is_asked(request)
        response = edge.refusal() if asked_by_edge else error_response(error, dialect)
        if isinstance(error, VersionUnsupported):
            return self._written(request, response)
        return response

    def _written(self, request: web.Request, response: web.Response) -> web.Response:
        """In a version that we speak; aiohttp would repeat the request's."""
        named = {REQUEST_ID_HEADER: request[REQUEST_ID]}
        response.headers.update({**self._cors.always, **named})
        return WrittenResponse(response, RequestLine(request.method, request.path, None))

    def _dialect_of(self, request: web.Request) -> Dialect:
        dialect = self._routes.get(request.match_info.route)
        return dialect if dialect is not None else self._owner_of(request.path)

    def _owner_of(self, path: str) -> Dialect:
        bare = path.removeprefix(self._prefix)
        owners = [d for d in self._dialects if _is_below(bare, d.owns)]
        return owners[0] if owners else self._dialects[0]


def _described(
    request: web.Request | RequestHead, path: str, dialect: str, status: int
) -> dict[str, str | int]:
    """In the words of OpenTelemetry's conventions for HTTP servers; never the query."""
    return {
        "http__request__method": request.method,
        "url__path": path,
        "http__response__status_code": status,
        "filestore__dialect": dialect,
    }


def _describe(span: tracing.TracedWork, request: web.Request, dialect: str, status: int) -> None:
    resource = request.match_info.route.resource
    route = "" if resource is None else resource.canonical
    named = request.get(REQUEST_ID, "")
    described = _described(request, request.rel_url.raw_path, dialect, status)
    span.rename(f"{request.method} {route}".rstrip())
    span.note(**described, http__route=route, filestore__request_id=named)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(status))


def check_version(request: web.Request) -> None:
    """Raise ``VersionUnsupported`` for what the parser takes and we do not speak: 0.9 and 2.0."""
    if request.version[0] != MAJOR:
        raise VersionUnsupported()


def _is_below(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


async def _end_request(request: web.Request, response: web.StreamResponse) -> None:
    """Come to the end of the request before its response begins, or end the connection with that.

    Its place is given back by now: whoever sends no body does not keep others out.
    """
    decided = response.prepared or response.keep_alive is False
    if not decided and not await is_taken_in(request):
        response.force_close()


def _log_failure(error: Failure) -> None:
    """What we depend on being away is one line; what nobody foresaw has its traceback.

    When the database is overloaded there are thousands of such lines a second, and to render
    their tracebacks would be another load.
    """
    named = {
        "error": type(error).__name__,
        "sentence": str(error),
        "cause": cause_of(error),
    }
    with contextlib.suppress(Exception):  # a failing log sink fails no request
        if isinstance(error, _FORESEEN):
            _log.warning("request failed", extra=named)
        else:
            _log.error("request failed", exc_info=error, extra=named)


def _log_request(
    dialect: str,
    request: web.Request | RequestHead,
    path: str,
    status: int,
    seconds: float,
    who: Peer,
    count: int,
) -> None:
    with contextlib.suppress(Exception):  # a failing log sink fails no request
        _log.info(
            "request",
            extra={
                "dialect": dialect,
                "method": request.method,
                "path": path,
                "status": status,
                "seconds": round(seconds, 6),
                "bytes": count,
                "peer": who.peer,
                "client": who.client,
                "principal": who.principal,
                "range": request.headers.get("Range"),
                "user_agent": request.headers.get("User-Agent"),
            },
        )


def _log_unparsed(
    dialect: str, line: RequestLine | None, response: web.Response, peer: str | None, why: str
) -> None:
    with contextlib.suppress(Exception):  # a failing log sink fails no request
        _log.info(
            "request",
            extra={
                "dialect": dialect,
                "method": None if line is None else line.method,
                "path": None if line is None else line.path,
                "status": response.status,
                "unparsed": why,
                "peer": peer,
            },
        )


MIDDLEWARE: Final = web.AppKey("middleware", RequestMiddleware)
