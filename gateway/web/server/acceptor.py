"""Accepts connections while there are descriptors for them.

Theory of operation. Every connection is a descriptor, and so is every file that is sent or
received and every connection to the database. At the process's limit ``accept`` fails, the
listening socket stays ready, and a loop that keeps asking does nothing else any more. So we stop
before. POSIX gives out the lowest free number: if a connection gets number n, all below n are in
use. Once a connection gets a number above the ceiling, which leaves a reserve for files, no other
is accepted; those that come wait in the kernel's queue. Ten times a second one look (a duplicate,
closed at once) tells whether the lowest free number is below the ceiling again.

A few are accepted at a time, and others are served before the next few: to make connections of
two hundred takes as long as to answer them.

An address that has as many connections as one may have is accepted and closed at once: a place in
the kernel's queue would keep others from it.

Knows sockets and the process's limit. Does not know HTTP.

Rule: the loop is never asked to watch a socket that cannot be accepted from.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import resource
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.model.errors import StartupFailed
from gateway.web.server.peers import PeerCount

LEAST_DESCRIPTORS: Final = 192
"""What a gateway needs beside its clients, and a few clients."""

_LEAST_RESERVE: Final = 64
_BACKLOG: Final = 4096
_AT_ONCE: Final = 2
_LOOK_SECONDS: Final = 0.1
_EPISODE_SECONDS: Final = 60.0
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log: Final = logging.getLogger(__name__)

Connect = Callable[[socket.socket], Awaitable[object]]


def ceiling_of(limit: int) -> int:
    """The descriptor above which no connection is accepted: an eighth, at least 64, is reserved.

    Raises ``StartupFailed`` if ``limit``, the process's number of descriptors, is too small.
    """
    if limit < LEAST_DESCRIPTORS:
        raise StartupFailed(
            f"{LEAST_DESCRIPTORS} open files are needed at least (ulimit -n), not {limit}"
        )
    return limit - max(_LEAST_RESERVE, limit // 8)


def descriptor_limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft


class Acceptor:
    """A listening socket and who is made of what comes to it."""

    def __init__(
        self,
        sock: socket.socket,
        connect: Connect,
        *,
        ceiling: int,
        peers: PeerCount | None = None,
    ) -> None:
        self._sock = sock
        self._peers = peers or PeerCount(ceiling)
        self._refused_last = -math.inf
        self._connect = connect
        self._ceiling = ceiling
        self._loop = asyncio.get_running_loop()
        self._beginning = set[asyncio.Task[Any]]()
        self._timer: asyncio.TimerHandle | None = None
        self._paused_last = -math.inf

    def start(self) -> None:
        """Accept from now on."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept nothing more, and nobody who has not become a connection yet."""
        self._stop_listening()
        for task in self._beginning:
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """Accept those who wait already, and nobody more; so long they have to become connections.

        Who waits in the queue of a socket that nobody else has would be reset with it.
        """
        for _ in range(_BACKLOG // _AT_ONCE):
            if self._sock.fileno() < 0 or not self._accept():
                break
            await asyncio.sleep(0)
        self._stop_listening()
        if self._beginning:
            await asyncio.wait(self._beginning, timeout=seconds)
        self.close()

    def _stop_listening(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> bool:
        """Whether there may be others."""
        return all(self._accept_one() for _ in range(_AT_ONCE))

    def _accept_one(self) -> bool:
        """Whether there may be another."""
        try:
            accepted, peer = self._sock.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as exc:
            if exc.errno in _EXHAUSTED:
                self._pause()
                return False
            return True  # that client left before
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._peers.admit(address):
            self._refuse(accepted, address)
            return True
        number = accepted.fileno()
        self._begin(accepted, address)
        if number >= self._ceiling:
            self._pause()
            return False
        return True

    def _refuse(self, accepted: socket.socket, peer: str) -> None:
        """One too many of an address; it is said once in an episode."""
        accepted.close()
        now = self._loop.time()
        if now - self._refused_last > _EPISODE_SECONDS:
            _log.warning("too many connections of one address", extra={"peer": peer})
        self._refused_last = now

    def _begin(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        task = self._loop.create_task(self._connected(accepted, address))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _connected(self, accepted: socket.socket, address: str) -> None:
        try:
            await self._connect(accepted)
        except OSError:  # the client left meanwhile
            self._drop(accepted, address)
        except BaseException:
            self._drop(accepted, address)
            raise

    def _drop(self, accepted: socket.socket, address: str) -> None:
        """It never became a connection, whose end would be told."""
        accepted.close()
        self._peers.leave(address)

    def _pause(self) -> None:
        """Stop until there is a descriptor below the ceiling; say so once in an episode."""
        self._loop.remove_reader(self._sock.fileno())
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)
        now = self._loop.time()
        if now - self._paused_last > _EPISODE_SECONDS:
            _log.warning("no descriptors left for clients", extra={"ceiling": self._ceiling})
        self._paused_last = now

    def _look(self) -> None:
        if self._lowest_free() < self._ceiling:
            self._timer = None
            self._loop.add_reader(self._sock.fileno(), self._accept)
        else:
            self._paused_last = self._loop.time()
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _lowest_free(self) -> float:
        try:
            with self._sock.dup() as probe:
                return probe.fileno()
        except OSError:
            return math.inf
