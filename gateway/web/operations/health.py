"""Liveness and readiness, for whoever keeps the gateway running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from gateway import __version__
from gateway.model.errors import GatewayError, StorageFull
from gateway.web.operations.operators import EVERYBODY, Operators

Probe = Callable[[], Awaitable[None]]

HEALTH_TYPE: Final = "application/health+json"
_ONLY_WRITES: Final = frozenset({StorageFull.__name__})


@dataclass(frozen=True, slots=True)
class Build:
    """What is known of the build that runs; empty where nobody said."""

    commit: str = ""
    time: str = ""


BUILD: Final = web.AppKey("build", Build)


@dataclass(slots=True)
class Readiness:
    """What must answer for the gateway to be ready; ``draining`` once it is told to stop.

    What is ``shared`` with every other gateway takes none of them out of service when it is away:
    all would go at once. It is a warning. ``quarantined`` is asked how many files nobody is sent,
    because they are damaged.
    """

    probes: dict[str, Probe]
    shared: frozenset[str] = frozenset()
    quarantined: Callable[[], Awaitable[int]] | None = None
    timeout_seconds: float = 5.0
    draining: bool = False

    async def faults(self) -> dict[str, str]:
        """The probes that failed, each with its error's name."""
        if self.draining:
            return {"gateway": "draining"}
        outcomes = await asyncio.gather(*(self._fault(probe) for probe in self.probes.values()))
        named = zip(self.probes, outcomes, strict=True)
        return {name: fault for name, fault in named if fault is not None}

    async def damaged(self) -> int:
        """How many files are in quarantine, as far as that can be known."""
        if self.quarantined is not None and not self.draining:
            with contextlib.suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(self.timeout_seconds):
                    return await self.quarantined()
        return 0

    async def _fault(self, probe: Probe) -> str | None:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await probe()
        except (GatewayError, TimeoutError) as exc:
            return type(exc).__name__
        return None


def health_handler(build: Build) -> Callable[[web.Request], Awaitable[web.Response]]:
    """``GET /health``: the process is alive. Its clients know these fields."""
    said = {
        "status": "pass",
        "version": __version__,
        "commit": build.commit,
        "description": "filestore service",
        "build_time": build.time,
    }

    async def health(request: web.Request) -> web.Response:
        del request
        return _response(200, said)

    return health


def ready_handler(
    readiness: Readiness, operators: Operators = EVERYBODY
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """``GET /ready``: 200 if requests can be served now, else 503; the reasons for operators.

    Where only writing is refused, for want of room, that is ``warn``, and 200: downloads go on, and
    whoever fills the disk must not have the gateway taken out of service. So is a shared store that
    is away, and so are files that are damaged.
    """

    async def ready(request: web.Request) -> web.Response:
        faults = await readiness.faults()
        failed = any(
            fault not in _ONLY_WRITES and name not in readiness.shared
            for name, fault in faults.items()
        )
        damaged = await readiness.damaged()
        status = {"status": "fail" if failed else "warn" if faults or damaged else "pass"}
        shown: dict[str, object] = {"faults": faults} if operators.knows(request) else {}
        if shown and damaged:
            shown["quarantine"] = damaged
        return _response(503 if failed else 200, {**status, **shown})

    return ready


def _response(status: int, value: object) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(value), headers={"Content-Type": HEALTH_TYPE}
    )
