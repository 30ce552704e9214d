"""Interpreters that are forked from one which has everything imported: ``python -m tests.tools.warm``.

Theory of operation. An interpreter that imports the service takes a second of a processor, and ``make test`` wants
hundreds of them. So a process that runs tests has one helper, which imports and then does nothing but fork. Its child
gets the environment, the folder, the command line and the standard streams that it is told, runs that command line as
``__main__``, and ends as an interpreter ends. What it starts itself (a worker) is an interpreter of its own, as ever.

Knows processes. Does not know what runs in them.

Rule: who is forked sees what who is started would see. What is read of the environment before any code of ours runs
(``PYTHON...``, ``LD_...``) is the helper's; who wants another starts an interpreter.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
IMPORTED: Final = "gateway.__main__"
_MOST_BYTES: Final = 128 * 1024  # of an environment and a command line
_STREAMS: Final = (0, 1, 2)
_PATIENCE_SECONDS: Final = 90  # a thread that waits is not cancelled; less than a test may take


class WarmProcess:
    """One that was forked: what ``asyncio.subprocess.Process`` has, on whichever loop, or on none."""

    def __init__(self, helper: _Helper, pid: int) -> None:
        self.pid = pid
        self._helper = helper
        self._descriptor = os.pidfd_open(pid)
        self._status: int | None = None

    @property
    def returncode(self) -> int | None:
        """Its exit status, or a signal's number below zero; ``None`` while it lives."""
        if self._status is None and _is_readable(self._descriptor):
            self._status = self._helper.ask({"reap": self.pid})
            os.close(self._descriptor)
        return self._status

    def send_signal(self, number: int) -> None:
        """As ``os.kill``, but never to another process that has its pid by now."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its ``returncode``, once it has one."""
        if self.returncode is None:
            await _until_readable(os.dup(self._descriptor))
        return self.wait_here()

    def wait_here(self, seconds: float | None = None) -> int:
        """The same where there is no loop. Raises ``TimeoutError`` after so many seconds, and kills it."""
        if self.returncode is None and not any(select.select([self._descriptor], [], [], seconds)):
            self.kill()
            select.select([self._descriptor], [], [])
            raise TimeoutError(f"process {self.pid} did not end")
        status = self.returncode
        assert status is not None, "the kernel said that it ended"
        return status


def start(
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> WarmProcess:
    """What ``python *arguments`` would be: ``-m module ...`` or ``-c code ...``. The streams are descriptors."""
    told = {"arguments": arguments, "env": dict(env), "cwd": str(cwd)}
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        streams = [nothing if each < 0 else each for each in (stdin, stdout, stderr)]
        helper = _helper()
        return WarmProcess(helper, helper.ask(told, streams))
    finally:
        os.close(nothing)


def run(
    *arguments: str, env: Mapping[str, str], cwd: Path = ROOT, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Its end, and all that it wrote. Raises ``TimeoutError`` if it does not end, and kills it."""
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as told,
        tempfile.TemporaryFile() as read,
    ):
        read.write(stdin.encode())
        read.seek(0)
        streams = dict(
            zip(
                ("stdin", "stdout", "stderr"), (f.fileno() for f in (read, said, told)), strict=True
            )
        )
        status = start(*arguments, env=env, cwd=cwd, **streams).wait_here(_PATIENCE_SECONDS)
        written = []
        for file in (said, told):
            file.seek(0)
            written.append(file.read().decode())
    return subprocess.CompletedProcess(arguments, status, *written)


class _Helper:
    """This process's end of the helper."""

    def __init__(self) -> None:
        self._channel, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=ROOT,
                stdin=there.fileno(),
                stdout=subprocess.DEVNULL,
            )
        self._turn = threading.Lock()
        atexit.register(self.close)

    def ask(self, told: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        """What it answers."""
        with self._turn:
            socket.send_fds(self._channel, [json.dumps(told).encode()], descriptors)
            answer = self._channel.recv(64)
        assert answer, "the helper has ended"
        return int(answer)

    def close(self) -> None:
        """It ends; what it forked does not."""
        self._channel.close()
        self._process.wait()


@functools.cache
def _helper() -> _Helper:
    return _Helper()


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


async def _until_readable(descriptor: int) -> None:
    """Closes it, too."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _forked(channel: socket.socket) -> dict[str, Any] | None:
    """Fork whenever asked to: in a child what it is to be, in the helper ``None``, in the end."""
    while True:
        asked, descriptors, _, _ = socket.recv_fds(channel, _MOST_BYTES, len(_STREAMS))
        told: dict[str, Any] = json.loads(asked) if asked else {}
        if not told:
            return None
        if "reap" in told:
            answer = os.waitstatus_to_exitcode(os.waitpid(told["reap"], 0)[1])
        elif not (answer := os.fork()):
            channel.detach()
            _take(descriptors)
            return told
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(answer).encode())


def _take(descriptors: Sequence[int]) -> None:
    """These become the standard streams; nothing else of the helper's stays open."""
    for standard, given in zip(_STREAMS, descriptors, strict=True):
        os.dup2(given, standard)
    os.closerange(len(_STREAMS), max(descriptors) + 1)


def _become(told: Mapping[str, Any], interrupted: Any) -> None:
    """Be that interpreter, up to its end."""
    signal.signal(signal.SIGINT, interrupted)
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["cwd"])
    option, what, *rest = told["arguments"]
    sys.argv = [option, *rest]
    if option == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.modules.pop(IMPORTED, None)
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def main() -> None:
    """Import, then fork."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    __import__(IMPORTED)
    with socket.socket(fileno=os.dup(0)) as channel:
        told = _forked(channel)
    if told is not None:
        _become(told, interrupted)


if __name__ == "__main__":
    main()
