"""Connections are accepted while there are descriptors for them, and no longer."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Self

import pytest

from gateway.model.errors import StartupFailed
from gateway.web.server import acceptor
from gateway.web.server.acceptor import LEAST_DESCRIPTORS, Acceptor, ceiling_of
from tests.tools.ports import HOST

ROOM = 5
PATIENCE_SECONDS = 30.0


@pytest.mark.parametrize(
    ("expected", "limit"),
    [
        pytest.param(128, LEAST_DESCRIPTORS, id="the least there may be"),
        pytest.param(192, 256, id="few"),
        pytest.param(57_344, 65_536, id="many"),
    ],
)
def test_an_eighth_of_all_descriptors_is_reserved(expected: int, limit: int) -> None:
    assert expected == ceiling_of(limit)


def test_too_few_descriptors_are_refused_in_one_line() -> None:
    with pytest.raises(
        StartupFailed, match=r"192 open files are needed at least \(ulimit -n\), not 191"
    ):
        ceiling_of(LEAST_DESCRIPTORS - 1)


class Clients:
    """Accepted sockets, and sockets that want to be."""

    def __init__(self, address: tuple[str, int], stack: ExitStack) -> None:
        self.accepted: list[socket.socket] = []
        self.changed = asyncio.Event()
        self._address = address
        self._stack = stack

    async def take(self, sock: socket.socket) -> None:
        self.accepted.append(self._stack.enter_context(sock))
        self.changed.set()

    async def come(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            sock = self._stack.enter_context(socket.socket())
            sock.setblocking(False)
            await loop.sock_connect(sock, self._address)

    async def wait_for(self, count: int) -> None:
        """Until so many are accepted."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.accepted) < count:
                self.changed.clear()
                await self.changed.wait()

    def leave(self, count: int) -> None:
        for sock in self.accepted[:count]:
            sock.close()


@asynccontextmanager
async def accepting(*, room: int, come: int) -> AsyncIterator[Clients]:
    """An acceptor that may have ``room`` connections below its ceiling, and who comes to it."""
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind((HOST, 0))
        sock.listen()
        clients = Clients(sock.getsockname(), stack)
        await clients.come(come)  # in the kernel's queue: their numbers are taken already
        with socket.socket() as probe:
            ceiling = probe.fileno() + room
        running = Acceptor(sock, clients.take, ceiling=ceiling)
        running.start()
        try:
            yield clients
        finally:
            running.close()


async def settled() -> None:
    """Some looks later."""
    await asyncio.sleep(3 * acceptor._LOOK_SECONDS)


async def test_beyond_the_ceiling_nobody_is_accepted(caplog: pytest.LogCaptureFixture) -> None:
    async with accepting(room=ROOM, come=3 * ROOM) as clients:
        await clients.wait_for(ROOM + 1)
        await settled()
        assert ROOM + 1 == len(clients.accepted)
    [record] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "no descriptors left for clients" == record.getMessage()


async def test_those_that_wait_are_accepted_when_others_leave(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with accepting(room=ROOM, come=3 * ROOM) as clients:
        for left in range(1, 10):
            await clients.wait_for(ROOM + left)
            clients.leave(left)
        await clients.wait_for(3 * ROOM)
    assert 1 == sum(record.levelno >= logging.WARNING for record in caplog.records)


class Exhausted(socket.socket):
    """A listening socket in a process that has no descriptor left."""

    tried = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tried += 1
        raise OSError(errno.EMFILE, "Too many open files")

    def dup(self) -> Self:
        raise OSError(errno.EMFILE, "Too many open files")


async def test_a_loop_that_cannot_accept_is_not_kept_busy() -> None:
    """Somebody else takes every descriptor there is, and the queue stays ready."""
    with ExitStack() as stack:
        listener = stack.enter_context(Exhausted())
        listener.bind((HOST, 0))
        listener.listen()
        clients = Clients(listener.getsockname(), stack)
        await clients.come(1)
        running = Acceptor(listener, clients.take, ceiling=10_000)
        running.start()
        await settled()
        running.close()
    assert 1 == listener.tried


async def test_a_closed_acceptor_accepts_nobody() -> None:
    async with accepting(room=0, come=2) as clients:
        await clients.wait_for(1)
    await settled()
    assert 1 == len(clients.accepted)
