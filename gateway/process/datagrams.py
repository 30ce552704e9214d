"""Lines that another program sends to a Unix datagram socket, one each.

Of several processes that are told the same path one reads; when it ends, the next one does.
Which one that is, a lock on a file beside the socket says: it ends with the process, however that
ends, so a socket that is found under it is a dead one's.

Rule: nothing but a socket is ever removed, and a turn of the loop takes a bounded number of lines.
Who sends more than are taken loses them, and nobody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from gateway.process.background import running
from gateway.process.supervisor import ListenFailed

LONGEST_LINE: Final = 4096
"""Bytes; the rest of a longer one is lost."""
_MOST_AT_ONCE: Final = 64
_PAUSE_SECONDS: Final = 1.0

Take = Callable[[bytes], None]


@contextlib.asynccontextmanager
async def receiving(
    path: Path, take: Take, *, pause_seconds: float = _PAUSE_SECONDS
) -> AsyncIterator[None]:
    """Give ``take`` each line that comes to ``path``, once no other process does, until the end.

    The socket is for our user and group. Raises ``ListenFailed``.
    """
    with _lock_beside(path) as lock, contextlib.closing(_Receiver(path, lock, take)) as receiver:
        receiver.claim()
        async with running(receiver.wait_for_turn(pause_seconds)):
            yield


class _Receiver:
    """Who wants to receive, and does as soon as the lock is free."""

    def __init__(self, path: Path, lock: int, take: Take) -> None:
        self._path = path
        self._lock = lock
        self._take = take
        self._socket: socket.socket | None = None

    def claim(self) -> bool:
        """Begin, if no other process is receiving; whether that is so. Raises ``ListenFailed``."""
        with _refusing(self._path):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._socket = _bound(self._path)
        asyncio.get_running_loop().add_reader(self._socket, self._drain, self._socket)
        return True

    async def wait_for_turn(self, pause_seconds: float) -> None:
        """Try again until it has begun."""
        while self._socket is None:
            await asyncio.sleep(pause_seconds)
            with contextlib.suppress(ListenFailed):  # what was there at the start may come back
                self.claim()

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._path.unlink(missing_ok=True)

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                line = sock.recv(LONGEST_LINE)
            except OSError:  # nothing more for now
                return
            self._take(line)


@contextlib.contextmanager
def _lock_beside(path: Path) -> Iterator[int]:
    """The lock's file, open; it stays, since who waits for it has it open."""
    with _refusing(path):
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        yield lock
    finally:
        os.close(lock)


def _bound(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(str(path))
        path.chmod(0o660)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ListenFailed(f"cannot listen on {path}: {exc.strerror}") from exc
