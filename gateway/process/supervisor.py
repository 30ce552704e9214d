"""Several processes behind one port: a parent that owns the socket, workers that accept on it.

Knows sockets, processes and signals. Does not know what a worker does, nor any setting.

Rule: a worker that dies is replaced; workers that only ever die end the service, so that
whoever watches it sees; no worker outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import multiprocess

LOG: Final = logging.getLogger(__name__)

_UNIX: Final = "unix:"
_METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"
_PR_SET_PDEATHSIG: Final = 1
_SHORT_LIFE_SECONDS: Final = 10.0
_SHORT_LIVES: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.5


class ListenFailed(Exception):
    """The address cannot be listened on; the message is for the operator."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket, not yet listening: TCP, or ``unix:/path`` that only our group may reach.

    Raises ``ListenFailed``.
    """
    try:
        if host.startswith(_UNIX):
            return _bind_unix(Path(host.removeprefix(_UNIX)))
        return _bind_tcp(host, port)
    except OSError as exc:
        raise ListenFailed(f"cannot listen on {host} port {port}: {exc.strerror}") from exc


def adopt(descriptor: int) -> socket.socket:
    """A socket that somebody listens on for us. Raises ``ListenFailed`` if it is none."""
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise ListenFailed(f"descriptor {descriptor} is no socket: {exc.strerror}") from exc
    if sock.type is not socket.SOCK_STREAM:
        sock.close()
        raise ListenFailed(f"descriptor {descriptor} is no socket for connections")
    return sock


def _bind_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_dead_socket(path)
        sock.bind(str(path))
        path.chmod(0o660)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_dead_socket(path: Path) -> None:
    """A killed gateway leaves its socket behind; one that answers is in use."""
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
        return
    path.unlink(missing_ok=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel send us SIGTERM when the process ``parent``, which started us, ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before the kernel knew
        sys.exit(1)


@dataclass(slots=True)
class Supervisor:
    """Keeps ``workers`` processes of ``command`` running until told to stop.

    A worker inherits the descriptor ``inherited`` and gets ``environment``, with a fresh
    folder for its Prometheus metrics, so that they can be added up. After SIGTERM it has
    ``grace_seconds`` to finish; then it is killed. ``stop_listening`` closes the parent's own
    descriptor first: while one is open, the kernel accepts connections that nobody answers.
    """

    command: Sequence[str]
    workers: int
    inherited: int
    environment: Mapping[str, str]
    grace_seconds: float
    stop_listening: Callable[[], object] = lambda: None
    _living: set[asyncio.subprocess.Process] = field(default_factory=set)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        """The exit status: 0 after SIGTERM or SIGINT, 1 if the workers would not live."""
        # Not in DATA_DIR: several machines may share that, and these files are mapped into memory.
        with tempfile.TemporaryDirectory(prefix="filestore-gateway-") as metrics:
            return await self._supervise(metrics)

    async def _supervise(self, metrics: str) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # not where it is to end us
            loop.add_signal_handler(signal.SIGHUP, self._pass_hangup_on)
        told = asyncio.create_task(self._stopping.wait())
        keepers = {asyncio.create_task(self._keep(metrics)) for _ in range(self.workers)}
        await asyncio.wait({told, *keepers}, return_when=asyncio.FIRST_COMPLETED)
        status = 0 if told.done() else 1
        self._stopping.set()
        self.stop_listening()
        await self._finish(keepers)
        await told
        return status

    def _interrupted(self) -> None:
        """A second Ctrl-C is passed on: the workers are to hurry."""
        if self._stopping.is_set():
            for process in self._living:
                _send(process, signal.SIGINT)
        self._stopping.set()

    def _pass_hangup_on(self) -> None:
        for process in self._living:
            _send(process, signal.SIGHUP)

    async def _keep(self, metrics: str) -> None:
        """Replace one worker for as long as that helps."""
        short_lives = 0
        while not self._stopping.is_set() and short_lives < _SHORT_LIVES:
            born = time.monotonic()
            status = await self._live_once(metrics)
            if self._stopping.is_set():
                return
            lasted = time.monotonic() - born
            short_lives = short_lives + 1 if lasted < _SHORT_LIFE_SECONDS else 0
            LOG.error("worker died", extra={"status": status, "seconds": round(lasted, 1)})
            await self._pause(_FIRST_PAUSE_SECONDS * 2 ** max(short_lives - 1, 0))

    async def _live_once(self, metrics: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            pass_fds=(self.inherited,),
            env={**self.environment, _METRICS: metrics},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C comes to us alone, and we pass it on
        )
        self._living.add(process)
        if self._stopping.is_set():
            _send(process, signal.SIGTERM)
        status = await process.wait()
        self._living.discard(process)
        multiprocess.mark_process_dead(process.pid, metrics)  # type: ignore[no-untyped-call]
        return status

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _finish(self, keepers: set[asyncio.Task[None]]) -> None:
        for process in self._living:
            _send(process, signal.SIGTERM)
        _, late = await asyncio.wait(keepers, timeout=self.grace_seconds)
        for process in self._living:
            LOG.error("worker killed", extra={"pid": process.pid})
            _send(process, signal.SIGKILL)
        if late:
            await asyncio.wait(late)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
