"""A TCP proxy that cuts connections where the test, or a seed, says.

Knows bytes and directions, nothing of HTTP. Each accepted connection takes the next cut of the plan; when
the plan is over, connections live.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.tools.ports import HOST
from tests.tools.rawhttp import reset

_PIECE = 1 << 16
Side = Literal["request", "response"]
Manner = Literal["fin", "rst"]


@dataclass(frozen=True, slots=True)
class Cut:
    """End a connection, both ways, once ``after`` bytes of one direction have passed."""

    side: Side
    after: int
    manner: Manner = "rst"


def seeded_cuts(seed: int, count: int, most: int, *, side: Side = "response") -> Iterator[Cut]:
    """``count`` cuts after up to ``most`` bytes, in both manners; the same ones for the same seed."""
    choice = random.Random(seed)
    for _ in range(count):
        yield Cut(side, choice.randint(0, most), choice.choice(("fin", "rst")))


class CutProxy:
    """A running proxy; ``made`` are the cuts that happened, in order."""

    def __init__(
        self,
        target: int,
        plan: Iterable[Cut],
        bytes_per_second: float | None,
        latency: float,
        on_cut: Callable[[Cut], Awaitable[None]] | None,
    ) -> None:
        self.port = 0
        self.connections = 0
        self.made: list[Cut] = []
        self._target = target
        self._plan = iter(plan)
        self._bytes_per_second = bytes_per_second
        self._latency = latency
        self._on_cut = on_cut
        self._links: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://{HOST}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from a client."""
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(OSError):
                await self._link(reader, writer, next(self._plan, None))
        finally:
            writer.close()
            self._links.discard(task)

    async def stop(self) -> None:
        """Drop what still runs."""
        for task in tuple(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        await asyncio.sleep(self._latency)
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        limits = {cut.side: cut.after} if cut else {}
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer, limits.get("request")))
                pumps.create_task(self._pump(far_reader, writer, limits.get("response")))
        except* _Reached:
            assert cut is not None
            await self._end(cut, writer, far_writer)
        except* OSError:
            reset(writer)  # one side vanished: so does the other
            reset(far_writer)
        finally:
            far_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        while limit is None or passed < limit:
            most = _PIECE if limit is None else min(_PIECE, limit - passed)
            piece = await reader.read(most)
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            await self._delay(len(piece))
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
        raise _Reached

    async def _delay(self, count: int) -> None:
        if self._bytes_per_second:
            await asyncio.sleep(count / self._bytes_per_second)

    async def _end(self, cut: Cut, *writers: asyncio.StreamWriter) -> None:
        self.made.append(cut)
        if self._on_cut is not None:
            await self._on_cut(cut)
        for writer in writers:
            if cut.manner == "rst":
                reset(writer)
            else:
                writer.close()


class _Reached(Exception):
    """So many bytes have passed."""


@contextlib.asynccontextmanager
async def running_cutproxy(
    target: int,
    plan: Iterable[Cut] = (),
    *,
    bytes_per_second: float | None = None,
    latency: float = 0.0,
    on_cut: Callable[[Cut], Awaitable[None]] | None = None,
) -> AsyncIterator[CutProxy]:
    """A proxy before a port of 127.0.0.1.

    ``latency`` (seconds) delays each connection; ``on_cut`` is awaited before a cut is felt, so that a test can
    replace the file just then.
    """
    proxy = CutProxy(target, plan, bytes_per_second, latency, on_cut)
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
