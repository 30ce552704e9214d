"""Uploads under way, which end when the right that allowed them does.

Theory of operation. An upload that is received is held to a guard (``authentication.right_to``),
which the commit asks again. Here it is asked sooner: whenever a change is heard that touches the
rights that it is made of, and when its credential's own time is over. All that a change touches
are gone through by one task beside the service, a few at a time, with a pause after each round, so
that no upload waits for it and no flood of changes makes work in proportion. An upload whose guard
refuses is cut: whoever reads its body gets what the guard raised, which its dialect words.

Rule: a guard that cannot be asked, because the database is away, cuts nothing: it is asked again
until it can be, and the commit has the last word.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.model.change import Change, RightsChanged
from gateway.model.errors import Failure, GatewayError
from gateway.model.guard import Guard
from gateway.process.background import running
from gateway.web import metrics
from gateway.web.authentication import PROVED, RIGHT
from gateway.web.server.exchange import fail_body

_log: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 4
_PAUSE_SECONDS: Final = 0.2
_AFTER_EXPIRY_SECONDS: Final = 6.0  # later than the leeway that tokens have


@dataclass(frozen=True, slots=True, eq=False)
class _Upload:
    request: web.Request
    guard: Guard


class UploadsUnderWay:
    """The uploads that are being received; a ``ChangeListener``."""

    def __init__(self) -> None:
        self._all: set[_Upload] = set()
        self._due: set[_Upload] = set()
        self._woken = asyncio.Event()

    @contextmanager
    def holding(self, request: web.Request) -> Iterator[None]:
        """Within the block the request's upload is held to its right, if it has one."""
        guard = request.get(RIGHT)
        if guard is None:
            yield
            return
        upload = _Upload(request, guard)
        expiry = self._at_expiry(upload)
        self._all.add(upload)
        try:
            yield
        finally:
            self._all.discard(upload)
            self._due.discard(upload)
            if expiry is not None:
                expiry.cancel()

    def on_change(self, change: Change) -> None:
        """Ask again about those whose rights may have changed."""
        if isinstance(change, RightsChanged):
            self._ask(*(upload for upload in self._all if change.touches(upload.guard.whose)))

    def on_connected(self) -> None:
        """What changed before was not heard: ask about all."""
        self._ask(*self._all)

    def on_disconnected(self) -> None:
        """Nothing is remembered here that could be stale."""

    @asynccontextmanager
    async def cutting(self) -> AsyncIterator[None]:
        """Within the block, uploads whose right has gone are cut."""
        async with running(self._cut_for_ever()):
            yield

    def _at_expiry(self, upload: _Upload) -> asyncio.TimerHandle | None:
        known = upload.request.get(PROVED)
        if known is None or known.principal.valid_until is None:
            return None
        seconds = known.principal.seconds_left(time.time()) + _AFTER_EXPIRY_SECONDS
        return asyncio.get_running_loop().call_later(seconds, self._ask, upload)

    def _ask(self, *uploads: _Upload) -> None:
        self._due.update(uploads)
        if self._due:
            self._woken.set()

    async def _cut_for_ever(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            due, self._due = list(self._due), set()
            for start in range(0, len(due), _AT_ONCE):
                await asyncio.gather(*map(self._hold_to_right, due[start : start + _AT_ONCE]))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _hold_to_right(self, upload: _Upload) -> None:
        if upload not in self._all:
            return
        try:
            await upload.guard.prove()
        except Failure:
            self._ask(upload)
        except GatewayError as exc:
            metrics.uploads_cut.inc()
            fail_body(upload.request, exc)
        except Exception as exc:  # noqa: BLE001 - one that cannot be asked must not end the others'
            _log.error("an upload's right cannot be proved", exc_info=exc)
