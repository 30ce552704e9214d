"""Starts gateways by forking, each with a point at which it kills itself.

``python -m tests.faults.forkserver`` reads one JSON object a line: ``{"start": {...}}`` answers
``{"pid": ...}``, ``{"wait": pid}`` answers ``{"status": ...}`` once the child is gone. Forking
saves the second that Python needs to import a gateway; a crash suite starts thousands.

Rule: the failpoints live here, around the product; there are none in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import mmap
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import asyncpg.pool
import asyncpg.transaction
from aiohttp import web

from gateway.__main__ import main
from gateway.process.supervisor import die_with_parent

SYSTEM_CALLS: Final = ("open", "write", "fsync", "close", "link", "unlink")
STATEMENTS: Final = ("fetchrow", "execute")
POINTS: Final = (*SYSTEM_CALLS, "flock", *STATEMENTS, "begin", "commit", "answer")


class Failpoint:
    """SIGKILL to ourselves before or after the ``nth`` call of ``point``, once armed.

    ``armed`` is a file of one byte, which the suite changes from outside.
    """

    def __init__(self, point: str, side: str, nth: int, armed: str) -> None:
        self._point, self._side, self._left = point, side, nth
        with open(armed, "r+b") as file:  # noqa: PTH123 - Path.open would be counted
            self._armed = mmap.mmap(file.fileno(), 1)

    def install(self) -> None:
        """Stand around the calls of the point."""
        point = self._point
        if point in SYSTEM_CALLS:
            self._around(os, point)
        elif point == "flock":
            self._around(fcntl, point)
        elif point in STATEMENTS:
            self._around_async(asyncpg.pool.PoolConnectionProxy, point)
        elif point == "answer":
            self._around_async(web.Response, "write_eof")
        else:
            method = "start" if point == "begin" else "commit"
            self._around_async(asyncpg.transaction.Transaction, method)

    def _reached(self, side: str) -> None:
        if side == self._side and self._armed[0]:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _around(self, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._reached("before")
            result = real(*args, **kwargs)
            self._reached("after")
            return result

        setattr(owner, name, call)

    def _around_async(self, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._reached("before")
            result = await real(*args, **kwargs)
            self._reached("after")
            return result

        setattr(owner, name, call)


def start(environment: dict[str, str], log: str, failpoint: dict[str, Any] | None) -> int:
    """Fork a gateway; its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    with contextlib.suppress(BaseException):
        die_with_parent(parent)
        _redirect(log)
        os.environ.update(environment)
        if failpoint is not None:
            Failpoint(**failpoint).install()
        status = main(["serve"])
    os._exit(status)


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def serve() -> None:
    """Answer until stdin ends; then whatever still runs dies with us."""
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            answer = {"pid": start(**command["start"])}
        else:
            answer = {"status": os.waitpid(command["wait"], 0)[1]}
        print(json.dumps(answer), flush=True)


class ForkServer:
    """The suite's end of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls) -> ForkServer:
        """A running one."""
        environment = {n: v for n, v in os.environ.items() if not n.startswith("GATEWAY_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.forkserver"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        return cls(process)

    async def start(
        self, environment: dict[str, str], log: str, failpoint: dict[str, Any] | None = None
    ) -> int:
        """A new gateway; its pid."""
        command = {"environment": environment, "log": log, "failpoint": failpoint}
        return int((await self._ask({"start": command}))["pid"])

    async def wait(self, pid: int) -> int:
        """The status of a gateway that has ended, or will."""
        return int((await self._ask({"wait": pid}))["status"])

    async def close(self) -> None:
        """End it, and every gateway that is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            return dict(json.loads(await self._process.stdout.readline()))


if __name__ == "__main__":
    serve()
