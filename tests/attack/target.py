"""What is attacked, and what each attacker has in hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field

from tests.tools.ports import HOST
from tests.tools.rawhttp import RawConnection

ATTACKERS = tuple(f"127.0.0.{number}" for number in range(2, 8))
"""Where attackers come from; who is honest comes from ``HOST``."""
PAUSE_SECONDS = 0.02
BACKLOG_AT_ONCE = 200

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway, and the credentials of a user who registered a moment ago.

    ``scale`` makes an attack smaller: 1 is what the review did. ``receiver`` is a port that takes no delivery well.
    """

    port: int
    token: str
    key: str
    thing: str
    channel: str
    receiver: int = 0
    scale: float = 1.0

    @property
    def user(self) -> Headers:
        """The user's credential."""
        return [("Authorization", f"Bearer {self.token}")]

    @property
    def device(self) -> Headers:
        """That of a thing of theirs."""
        return [("Authorization", f"Thing {self.key}")]

    def some(self, count: int) -> int:
        """So many, at the scale of this run."""
        return max(2, round(count * self.scale))

    def written(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Attacker:
    """One attack under way: what it was told, counted by status, or by how it was thrown out."""

    target: Target
    seen: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def line(self, number: int = 0) -> AsyncIterator[RawConnection]:
        """A connection of an attacker's own."""
        address = ATTACKERS[number % len(ATTACKERS)]
        reader, writer = await asyncio.open_connection(
            HOST, self.target.port, local_addr=(address, 0), limit=1 << 20
        )
        try:
            yield RawConnection(reader, writer)
        finally:
            writer.close()

    async def ask(
        self, line: RawConnection, method: str, path: str, headers: Headers, body: object = None
    ) -> int:
        """A request with JSON, or none; the status, which is counted."""
        said = b"" if body is None else json.dumps(body).encode()
        length = [("Content-Type", "application/json"), ("Content-Length", str(len(said)))]
        await line.send_head(method, path, [*headers, *(length if body is not None else [])])
        await line.send(said)
        status = (await line.read_answer(method=method)).status
        self.seen[str(status)] += 1
        return status

    async def crowd(
        self,
        count: int,
        act: Callable[[RawConnection, int], Awaitable[None]],
        *,
        from_one: bool = False,
    ) -> None:
        """So many connections, each of which acts again and again; for ever.

        A few begin at a time, as from a host whose own queue is as long as anybody's.
        """
        beginning = asyncio.Semaphore(BACKLOG_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for number in range(self.target.some(count)):
                group.create_task(self._again(act, number, from_one, beginning))

    async def _again(
        self,
        act: Callable[[RawConnection, int], Awaitable[None]],
        number: int,
        from_one: bool,
        beginning: asyncio.Semaphore,
    ) -> None:
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    async with beginning:
                        line = await stack.enter_async_context(self.line(0 if from_one else number))
                    while True:
                        await act(line, number)
            except (OSError, EOFError):
                self.seen["thrown out"] += 1
            await asyncio.sleep(PAUSE_SECONDS)
