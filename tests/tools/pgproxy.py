"""A proxy before PostgreSQL that understands who says what, and loses connections at will.

Knows the wire protocol's framing, and which statement an execution is of. Listens on TCP,
speaks to the server's Unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from tests.tools.ports import HOST
from tests.tools.rawhttp import reset

Moment = Literal["before", "sent", "after"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Lose the connection over which the server is asked something with ``text`` in it.

    ``before``: the server never hears of it. ``sent``: it is handed over, and nobody waits.
    ``after``: the server has done it and said so, but its answer is lost. ``dead``: all other
    connections are lost, too, and nobody gets a new one until ``revive``. It is the one after
    ``skipped`` others.
    """

    text: str
    moment: Moment
    dead: bool = False
    skipped: int = 0


@dataclass(eq=False)
class _Link:
    """One connection, both ways."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    statements: dict[bytes, bytes] = field(default_factory=dict)
    losing: bool = False

    def asked(self, kind: bytes, body: bytes) -> bytes:
        """The SQL that this message has run, if it has any run."""
        if kind == b"Q":
            return body
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self.statements[name] = rest.partition(b"\0")[0]
        elif kind == b"B":
            return self.statements.get(body.split(b"\0", 2)[1], b"")
        return b""

    def lose(self) -> None:
        """Both sides notice."""
        reset(self.client)
        self.server.close()


class PostgresProxy:
    """A running proxy; ``lost`` counts the connections it lost on purpose."""

    def __init__(self, path: str) -> None:
        self.port = 0
        self.lost = 0
        self._path = path
        self._plan: list[Loss] = []
        self._dead = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def plan(self, loss: Loss) -> None:
        """The next time that ``loss`` applies, it happens."""
        self._plan.append(loss)

    def forget(self) -> None:
        """What is planned and did not happen does not happen."""
        self._plan.clear()

    def die(self) -> None:
        """Lose every connection, and take no new ones."""
        self._dead = True
        for link in tuple(self._links):
            link.lose()

    def revive(self) -> None:
        """Take connections again."""
        self._dead = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from a client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._link(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def stop(self) -> None:
        """Drop what still runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._dead:
            reset(writer)
            return
        far_reader, far_writer = await asyncio.open_unix_connection(self._path)
        link = _Link(writer, far_writer)
        self._links.add(link)
        try:
            far_writer.write(await _startup(reader))
            await self._pass_both(reader, far_reader, link)
        finally:
            self._links.discard(link)
            far_writer.close()

    async def _pass_both(
        self, reader: asyncio.StreamReader, far_reader: asyncio.StreamReader, link: _Link
    ) -> None:
        """Until one side ends; a lost answer is still waited for."""
        questions = asyncio.create_task(self._pass_questions(reader, link))
        answers = asyncio.create_task(self._pass_answers(far_reader, link))
        try:
            await asyncio.wait({questions, answers}, return_when=asyncio.FIRST_COMPLETED)
            if link.losing:
                await asyncio.wait({answers})
        finally:
            questions.cancel()
            answers.cancel()
            await asyncio.gather(questions, answers, return_exceptions=True)

    async def _pass_questions(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while True:
            kind, message = await _message(reader)
            loss = self._due(link.asked(kind, message[5:]))
            if loss is not None:
                return await self._lose(loss, link, reader, kind, message)
            link.server.write(message)

    def _due(self, asked: bytes) -> Loss | None:
        for loss in self._plan:
            if asked and loss.text.encode() in asked:
                self._plan.remove(loss)
                if not loss.skipped:
                    return loss
                self._plan.append(replace(loss, skipped=loss.skipped - 1))
                return None
        return None

    async def _lose(
        self,
        loss: Loss,
        link: _Link,
        reader: asyncio.StreamReader,
        kind: bytes,
        message: bytes,
    ) -> None:
        self.lost += 1
        self._dead = loss.dead
        for other in tuple(self._links - {link}) if loss.dead else ():
            other.lose()
        if loss.moment == "before":
            return link.lose()
        link.losing = loss.moment == "after"
        link.server.write(message)
        while kind not in (b"Q", b"S"):  # up to the Sync that lets the server act
            kind, message = await _message(reader)
            link.server.write(message)
        await link.server.drain()
        if not link.losing:
            link.lose()
        return None

    async def _pass_answers(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while True:
            kind, message = await _message(reader)
            if not link.losing:
                link.client.write(message)
            elif kind == b"Z":
                return link.lose()


async def _startup(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!I", head)[0] - 4)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


@contextlib.asynccontextmanager
async def running_pgproxy(dsn: str) -> AsyncIterator[tuple[PostgresProxy, str]]:
    """A proxy before the server of a Unix-socket DSN, and the DSN through it."""
    parts = urlsplit(dsn)
    proxy = PostgresProxy(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"postgresql://postgres@{HOST}:{proxy.port}{parts.path}?sslmode=disable"
    finally:
        server.close()
        await proxy.stop()
