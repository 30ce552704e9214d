"""A request's body: the only place that knows how a body can die.

Knows aiohttp's stream and the pace a body must keep. Does not know what the
bytes mean.

Rule: nobody gets a byte before asking for it here, and nobody asks before the caller is
authorised. Every way a body can end short becomes one named error.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.model.errors import Interrupted, LengthMismatch, Malformed, TooLarge, TooSlow
from gateway.model.json import parse_json
from gateway.traffic.bulk import aside
from gateway.web import metrics
from gateway.web.authentication import guard_credential
from gateway.web.errors import ExpectationFailed, UnsupportedMedia
from gateway.web.server.exchange import fail_body, invite_body, received_ahead
from gateway.web.uploads.context import UPLOADS, Limits, too_large


async def expect_later(_: web.Request) -> None:
    """aiohttp's expect handler for every route: 100 is sent when the body is first asked for.

    It runs where nobody words what it raises, so ``check_expectation`` does the refusing.
    """


def check_expectation(request: web.Request) -> None:
    """Raise ``ExpectationFailed`` for anything but 100-continue (RFC 9110 10.1.1)."""
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise ExpectationFailed()


class Body:
    """One request's body, read as it comes, at most ``limit_bytes`` of it.

    ``sentence`` is what is said of one that has more, unless it is just that. Making it reads
    nothing, but raises ``TooLarge`` if the body says that it is, and ``UnsupportedMedia`` if it
    is coded.
    """

    def __init__(
        self,
        request: web.Request,
        limits: Limits,
        *,
        limit_bytes: int,
        sentence: str | None = None,
    ) -> None:
        self.declared = request.content_length  # ``None`` if it is chunked
        self._limit_bytes = limit_bytes
        self._sentence = sentence
        self._check_size(self.declared or 0)
        _check_coding(request)
        self._request = request
        self._limits = limits
        self._received = 0
        self._deadline = 0.0
        self._is_invited = False
        self._rate: MinimumRate | None = None

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Within the block the body must keep its pace; outside of it nobody waits for it.

        The first one sends the 100 that the client may wait for.
        """
        if not self._is_invited:
            self._is_invited = True
            self._deadline = _deadline(self._limits)
            invite_body(self._request)
        with MinimumRate(self._request, self._limits, self._deadline) as self._rate:
            yield

    async def next_chunk(self) -> bytes:
        """More of the body, or nothing at its end.

        Raises ``TooLarge``, ``TooSlow``, ``Interrupted``, ``LengthMismatch`` or ``Malformed``.
        """
        assert self._rate is not None, "read within ``paced``"
        chunk = await _next_chunk(self._request, self.declared, self._received)
        self._received += len(chunk)
        self._rate.received += len(chunk)
        self._check_size(self._received)
        return chunk

    def _check_size(self, size: int) -> None:
        if size > self._limit_bytes:
            raise TooLarge(self._sentence or too_large("the body", self._limit_bytes))


async def read_all(request: web.Request, limits: Limits, *, limit_bytes: int) -> bytes:
    """A small body, whole; what it changes is changed under the caller's credential.

    Raises as ``Body``.
    """
    body, chunks = Body(request, limits, limit_bytes=limit_bytes), list[bytes]()
    with body.paced():
        while chunk := await body.next_chunk():
            chunks.append(chunk)
    guard_credential(request)
    return b"".join(chunks)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a small body may have, and how long it may take from the first byte on."""

    size: int
    seconds: float


_QUICK: Final = 16  # times what is otherwise taken for a moment: 64 KiB
SMALL: Final = Bounds(16 * 1024, 10.0)
"""For bodies of whoever is not known yet, which are held in memory: log-ins, registrations."""


async def read_small(request: web.Request, bounds: Bounds = SMALL) -> bytes:
    """A body within ``bounds``, whole. Raises as ``Body``, ``TooSlow`` at its deadline, too."""
    limits = request.app[UPLOADS].limits
    try:
        async with asyncio.timeout(bounds.seconds):
            return await read_all(request, limits, limit_bytes=bounds.size)
    except TimeoutError as exc:
        metrics.stalled.inc()
        raise TooSlow() from exc


async def read_json(request: web.Request, bounds: Bounds | None = None) -> object:
    """A JSON body as Python values; without ``bounds`` of any size that the deployment allows.

    Raises ``Malformed`` if it is none, and as ``read_json_text``.
    """
    text = await read_json_text(request, bounds)
    return await aside(len(text) // _QUICK, parse_json, text)


async def read_json_text(request: web.Request, bounds: Bounds | None = None) -> bytes:
    """The same as it was sent, whatever it is.

    Raises ``UnsupportedMedia`` if it does not call itself JSON.
    """
    if "json" not in request.content_type:
        raise UnsupportedMedia("unsupported content type: application/json is accepted")
    limits = request.app[UPLOADS].limits
    if bounds is not None:
        text = await read_small(request, bounds)
    else:
        text = await read_all(request, limits, limit_bytes=limits.json_bytes)
    return text


def _deadline(limits: Limits) -> float:
    """When a body that begins now must have ended, by the loop's clock."""
    return asyncio.get_running_loop().time() + (limits.body_seconds or math.inf)


class MinimumRate:
    """Ends a body that stalls, that comes slower than the floor, or that has not ended in time.

    One timer looks at the count from time to time, so that a fast body pays nothing.
    ``deadline`` is by the loop's clock.
    """

    def __init__(self, request: web.Request, limits: Limits, deadline: float = math.inf) -> None:
        self.received = 0
        self._deadline = deadline
        self._request = request
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._last = 0
        self._timer = self._next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _next(self) -> asyncio.TimerHandle:
        left = self._deadline - self._loop.time()
        return self._loop.call_later(min(self._limits.stall_seconds, max(0.0, left)), self._look)

    def _look(self) -> None:
        now = self._loop.time()
        elapsed = now - self._began
        received = self.received + received_ahead(self._request)
        floor = elapsed * self._limits.min_upload_bytes_per_second
        if received == self._last or received < floor or now >= self._deadline:
            metrics.stalled.inc()
            fail_body(self._request, TooSlow())
            return
        self._last = received
        self._timer = self._next()


async def _next_chunk(request: web.Request, declared: int | None, received: int) -> bytes:
    try:
        chunk, _ = await request.content.readchunk()
        while not chunk and not request.content.at_eof():
            chunk, _ = await request.content.readchunk()
        return chunk
    except ConnectionError as exc:
        raise Interrupted() from exc
    except (ClientError, HttpProcessingError, ValueError) as exc:
        if declared is not None and received < declared:
            raise LengthMismatch() from exc
        raise Malformed("malformed transfer coding") from exc


def _check_coding(request: web.Request) -> None:
    """Nothing is ever unpacked here: what is stored is what was sent."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("content encodings are not accepted")
    if request.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise UnsupportedMedia("no transfer coding but chunked is accepted")
