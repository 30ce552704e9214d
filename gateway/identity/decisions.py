"""The hook's decisions about reading, remembered for as long as it or the setting says.

Knows which questions may be remembered; ``identity.hook`` knows how they are asked.

Rule: a decision's time runs from when the hook was asked, because it may have decided at once
and been slow to say so. A decision that may not be kept takes the place of one that was.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from gateway.identity.hook import HookWatch, HttpHook, NoHook, Question, Verdict, open_http_hook
from gateway.identity.port import AuthHook, Sealed
from gateway.model.access import Access, Action
from gateway.traffic.cache import BoundedCache

_DECISIONS: Final = 10_000


class RememberingHook:
    """An ``AuthHook`` that asks ``hook``: about reading now and then, about all else every time."""

    def __init__(
        self,
        hook: HttpHook,
        seconds: float,
        *,
        entries: int = _DECISIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hook = hook
        self._seconds = seconds
        self._kept: BoundedCache[bytes, Verdict] = BoundedCache(entries, clock=clock)

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        """Phase ``authorise``; a yes to anything but reading holds for this once, zero seconds."""
        question = self._hook.question(access)
        if access.action is not Action.READ:
            (await self._hook.ask(question)).enforce()
            return 0.0
        key = question.fingerprint()
        verdict = self._kept.find(key)
        if verdict is None or self._kept.seconds_left(key) <= lasting:
            verdict = await self._ask(question, key)
        verdict.enforce()
        return self._kept.seconds_left(key)

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """Phase ``commit``, before a row is written. Raises ``Denied`` or ``HookUnavailable``."""
        await self._hook.approve(access, sealed)

    async def _ask(self, question: Question, key: bytes) -> Verdict:
        asked = self._kept.now()
        verdict = await self._hook.ask(question)
        own = verdict.max_age_seconds
        self._kept.keep(key, verdict, expires=asked + (self._seconds if own is None else own))
        return verdict


@contextlib.asynccontextmanager
async def open_hook(
    url: str | None,
    *,
    timeout_seconds: float = 5.0,
    cache_seconds: float = 2.0,
    connections: int = 64,
    watch: HookWatch | None = None,
) -> AsyncIterator[AuthHook]:
    """The hook at ``url``, or one that agrees to everything if there is none.

    ``timeout_seconds`` bounds a whole exchange, waiting for one of the ``connections`` included.
    """
    if url is None:
        yield NoHook()
        return
    told = {} if watch is None else {"watch": watch}
    async with open_http_hook(
        url, timeout_seconds=timeout_seconds, connections=connections, **told
    ) as hook:
        yield RememberingHook(hook, cache_seconds)
