"""Gateways that are forked and kill themselves at a named step: ``python -m tests.torture.mortal``.

Reads one JSON object a line: ``{"start": {...}}`` answers ``{"pid": n}``, ``{"wait": n}`` answers ``{"status": n}``
once that child is gone. A fork has everything imported, the settings read and the API described, so a life begins
in a twentieth of a second; a crash suite has tens of thousands.

Rule: the failpoints live here, around the product; there are none in it. All children share one listening socket,
which outlives them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import gc
import json
import mmap
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiofiles.os
import asyncpg.pool
import asyncpg.transaction
import uvloop
from aiohttp import web

import gateway.app
import gateway.web.server.connection
from gateway.__main__ import main
from gateway.dialects import DIALECTS
from gateway.messaging.posting import Poster
from gateway.process.supervisor import die_with_parent
from gateway.web.authentication import REACHES
from gateway.web.operations import docs
from gateway.wiring import Deployment
from tests.tools.deployment import deployment_of
from tests.tools.gateway import environment_of
from tests.tools.ports import HOST
from tests.torture.defects import plant
from tests.torture.suite import Violated

SYSTEM_CALLS: Final = ("open", "write", "fsync", "close", "link", "unlink", "mkdir", "rename")
STATEMENTS: Final = ("fetchrow", "fetch", "fetchval", "execute")
POINTS: Final = (
    *SYSTEM_CALLS,
    "flock",
    *STATEMENTS,
    "begin",
    "commit",
    "answer",
    "post",
)
SIDES: Final = ("before", "after")
_PLAN: Final = struct.Struct("=BBBi")


@dataclass(frozen=True, slots=True)
class Death:
    """SIGKILL to oneself before or after the ``nth`` call of ``point`` from now on."""

    point: str
    side: str
    nth: int

    def __str__(self) -> str:
        return f"{self.side} {self.point}"


class Plan:
    """Which death is meant now, in memory that a suite and its gateways share through a file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_PLAN.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _PLAN.size)

    def set(self, death: Death | None) -> None:
        """Die so from now on; or not at all."""
        if death is None:
            self._memory[0] = 0
            return
        point, side = POINTS.index(death.point), SIDES.index(death.side)
        _PLAN.pack_into(self._memory, 0, 0, point, side, death.nth)
        self._memory[0] = 1

    def reached(self, point: int, side: int) -> None:
        """Die if it is time."""
        if not self._memory[0]:
            return
        _, wanted, wanted_side, left = _PLAN.unpack_from(self._memory)
        if (point, side) == (wanted, wanted_side):
            _PLAN.pack_into(self._memory, 0, 1, wanted, wanted_side, left - 1)
            if left <= 1:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Stand around the calls of every point."""
        for name in SYSTEM_CALLS:
            self._around(os, name, name)
        self._around(fcntl, "flock", "flock")
        aiofiles.os.unlink = aiofiles.os.wrap(os.unlink)  # type: ignore[assignment]  # it had the real one
        for name in STATEMENTS:
            self._around_async(asyncpg.pool.PoolConnectionProxy, name, name)
        self._around_async(asyncpg.transaction.Transaction, "start", "begin")
        self._around_async(asyncpg.transaction.Transaction, "commit", "commit")
        self._around_async(web.Response, "write_eof", "answer")
        self._around_async(Poster, "send", "post")

    def _around(self, owner: Any, name: str, point: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)
        number = POINTS.index(point)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.reached(number, 0)
            result = real(*args, **kwargs)
            self.reached(number, 1)
            return result

        setattr(owner, name, call)

    def _around_async(self, owner: Any, name: str, point: str) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(owner, name)
        number = POINTS.index(point)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.reached(number, 0)
            result = await real(*args, **kwargs)
            self.reached(number, 1)
            return result

        setattr(owner, name, call)


@functools.cache
def _deployment(settings: str) -> Deployment:
    """Read once, before there are children."""
    return deployment_of(**json.loads(settings))


def _start(
    listener: int, plan: str, log: str, settings: Mapping[str, Any], argv: Sequence[str]
) -> int:
    """Fork a gateway, or one of its commands; its pid."""
    deployment = _deployment(json.dumps(settings))
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        die_with_parent(parent)
        _redirect(log)
        _keep_set_aside()
        Plan(Path(plan)).install()
        if argv:
            os.environ.update(environment_of(dict(settings)))
            status = main(argv)
        else:
            _telling(Path(plan).with_name(f"ready.{os.getpid()}"))
            sock = socket.socket(fileno=os.dup(listener))
            uvloop.run(gateway.app.serve(deployment, settings["database_url"], sock))
            status = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's may run in a child
        traceback.print_exc()
    finally:
        os._exit(status)


def _telling(ready: Path) -> None:
    """Make the file once connections are accepted."""
    name = "start_server"
    start: Any = getattr(gateway.app, name)

    async def told(*args: Any, **named: Any) -> Any:
        server = await start(*args, **named)
        ready.touch()
        return server

    setattr(gateway.app, name, told)


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _warm() -> None:
    """Work out once what every life would: the API's description, the patterns of all routes."""
    routes = docs.routes(gateway.app._document(DIALECTS, "/filestore"))
    docs.routes = lambda *_: routes
    app = web.Application()
    app[REACHES] = {}
    for dialect in DIALECTS:
        list(gateway.app._mount_dialect(app, dialect, "/filestore"))
    gc.collect()
    gc.freeze()


def _keep_set_aside() -> None:
    """A life begins with a look at all there is (``process.garbage``): not at what is its parent's, too."""
    unfreeze = gc.unfreeze

    def not_yet() -> None:
        gc.unfreeze = unfreeze

    gc.unfreeze = not_yet


def serve() -> None:
    """Answer until stdin ends; then whatever still runs dies with us."""
    plant()
    _warm()
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            answer = {"pid": _start(**command["start"])}
        else:
            answer = {"status": os.waitpid(command["wait"], 0)[1]}
        print(json.dumps(answer), flush=True)


class Mortals:
    """The suite's end of it: one gateway at a time, behind one address."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        listener: socket.socket,
        folder: Path,
        settings: Mapping[str, Any],
    ) -> None:
        self._process, self._listener = process, listener
        self.folder, self._settings = folder, settings
        self._turn = asyncio.Lock()
        self.plan = Plan(folder / "plan")
        self.pid = 0

    @property
    def url(self) -> str:
        """Where whoever lives now is asked."""
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    @property
    def log(self) -> str:
        """What all of them wrote."""
        path = self.folder / "mortals.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    async def start(self) -> None:
        """The next life. What was asked of the one before and not heard is not heard."""
        self.plan.set(None)
        self.forget_callers()
        self.pid = await self.another()

    async def another(self) -> int:
        """One more, beside whoever lives, that accepts connections by now; its pid."""
        pid = await self._fork("plan")
        ready = self.folder / f"ready.{pid}"
        while not ready.exists():
            if not _lives(pid):
                raise Violated(f"it died of its own: {self.log[-4000:]}")
            await asyncio.sleep(0.01)
        ready.unlink()
        return pid

    async def start_to_die(self, death: Death) -> None:
        """A life that dies on its way to serve; or as soon as it does."""
        self.plan.set(death)
        self.pid = await self._fork("plan")
        ready = self.folder / f"ready.{self.pid}"
        while self.lives() and not ready.exists():
            await asyncio.sleep(0.005)
        ready.unlink(missing_ok=True)
        await self.kill()

    async def terminate(self, pid: int) -> None:
        """SIGTERM, until it is gone. Raises ``Violated`` if it does not end well."""
        os.kill(pid, signal.SIGTERM)
        await _ended(pid)
        status = (await self._ask({"wait": pid}))["status"]
        if status != 0:
            raise Violated(f"it ended with {status}: {self.log[-4000:]}")

    async def command(self, *argv: str, death: Death | None = None) -> int:
        """One of the service's commands, beside it; how it ended, as ``os.waitpid`` says it."""
        Plan(self.folder / "errand").set(death)
        pid = await self._fork("errand", *argv)
        await _ended(pid)
        return int((await self._ask({"wait": pid}))["status"])

    async def _fork(self, plan: str, *argv: str) -> int:
        said = {
            "listener": self._listener.fileno(),
            "plan": str(self.folder / plan),
            "log": str(self.folder / "mortals.log"),
            "settings": dict(self._settings),
            "argv": argv,
        }
        return int((await self._ask({"start": said}))["pid"])

    def lives(self) -> bool:
        """Whether it has not ended, reaped or not."""
        return _lives(self.pid)

    async def kill(self) -> None:
        """SIGKILL, if it still lives; and until it is gone."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            status = (await self._ask({"wait": self.pid}))["status"]
            self.pid = 0
            if status != signal.SIGKILL:
                raise Violated(f"it did not die by a kill, but by {status}: {self.log[-4000:]}")

    async def until_dead(self) -> None:
        """Wait for whatever it dies of."""
        if self.pid:
            await _ended(self.pid)

    async def alive(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this with it, which must not die meanwhile. Raises ``Violated``."""
        working, dying = asyncio.ensure_future(work), asyncio.create_task(self.until_dead())
        try:
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Violated(f"it died of its own: {self.log[-4000:]}")
            await working
        finally:
            working.cancel()
            dying.cancel()

    async def close(self) -> None:
        """End it, and every gateway that is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._listener.close()

    def forget_callers(self) -> None:
        """Hang up on who is not connected to anybody yet."""
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            return dict(json.loads(await self._process.stdout.readline()))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


async def _ended(pid: int) -> None:
    """Once it has ended, reaped or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@contextlib.asynccontextmanager
async def mortals(folder: Path, dsn: str, **settings: object) -> AsyncIterator[Mortals]:
    """Gateways over this folder and database, which must be migrated; none has begun yet."""
    listener = socket.create_server((HOST, 0), backlog=128)
    environment = {n: v for n, v in os.environ.items() if not n.startswith("GATEWAY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.torture.mortal"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        pass_fds=(listener.fileno(),),
    )
    own = {"data_dir": str(folder / "data"), "database_url": dsn, "access_log": False, "host": HOST}
    opened = Mortals(process, listener, folder, own | settings)
    try:
        yield opened
    finally:
        await opened.close()


if __name__ == "__main__":
    serve()
