"""The real service, as a process that a test may also kill.

Knows how it is started and told to stop. What is said to it over HTTP is ``tests.tools.mainflux``'s
business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast
from uuid import uuid4

import aiohttp
import asyncpg

from gateway.database.embedded import embedded_server
from gateway.dialects import DIALECTS
from gateway.web.dialect import Dialect
from tests.tools import warm
from tests.tools.command import run_inside
from tests.tools.deployment import check_names
from tests.tools.ports import HOST, free_port
from tests.tools.s3store import store_of_run
from tests.tools.warm import WarmProcess

ADMIN_EMAIL = "admin@gateway.test"
ADMIN_PASSWORD = "correct-horse-battery"
# A database on the tests' server that has had every migration, to be copied.
MIGRATED = "migrated"
# The variable that says which fast ways gateways take in this run, for ``make test-plain``.
WAYS = "TESTS_FAST_WAYS"
START_SECONDS = 60.0
STOP_SECONDS = 60.0


class GatewayDied(RuntimeError):
    """The service ended when it should have answered; the message has its log."""


class GatewayProcess:
    """One gateway: a data directory, a database and a port that outlive its processes."""

    def __init__(
        self, folder: Path, environment: dict[str, str], port: int, module: str = "gateway"
    ) -> None:
        self.data_dir = folder / "data"
        self.port = port
        self.log_file = folder / "gateway.log"
        self._module = module
        self._environment = environment
        self._process: WarmProcess | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        scheme = "https" if "GATEWAY_TLS_CERTIFICATE" in self._environment else "http"
        return f"{scheme}://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The pid of the (first) process, dead or alive."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended, as far as we have been told."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """Everything that it and its predecessors wrote to stdout and stderr."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    async def start(self) -> None:
        """Start it and wait until ``/ready`` says so."""
        with self.log_file.open("ab") as log:
            self._process = warm.start(
                *("-m", self._module, "serve"),
                env=self._environment,
                stdout=log.fileno(),
                stderr=log.fileno(),
            )
        async with asyncio.timeout(START_SECONDS):
            await self._wait_until_ready()

    async def kill9(self) -> None:
        """SIGKILL: nothing is finished, flushed or said."""
        assert self._process is not None, "it was never started"
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM, and wait; its exit status."""
        assert self._process is not None, "it was never started"
        self._process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()

    async def restart(self) -> None:
        """A new process on the same port, data and database; the old one ends in order."""
        if self.running:
            await self.terminate()
        await self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are started with."""
        return dict(self._environment)

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """Another command (``check``, ``sweep`` ...) on the same settings: its exit status and its stdout.

        In this process, if it is one of the service's own.
        """
        if self._module == "gateway" and arguments[0] != "serve":
            return await run_inside(self._environment, *arguments, stdin=stdin)
        done = await asyncio.to_thread(
            warm.run, *("-m", self._module, *arguments), env=self._environment, stdin=stdin
        )
        return done.returncode, done.stdout

    async def _wait_until_ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if not self.running:
                    raise GatewayDied(self.log)
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/ready", ssl=False) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_gateway(
    folder: Path,
    *,
    database_server: str | None,
    module: object = "gateway",
    dialects: object = DIALECTS,
    **settings: object,
) -> AsyncIterator[GatewayProcess]:
    """A gateway that is ready; what is left of it has ended when the block does.

    ``database_server`` is a DSN that may create databases (the fixture ``postgres_server``): the gateway gets
    a migrated one of its own. ``None`` leaves it to its embedded PostgreSQL, which is slower. ``settings`` are
    named as their variables without ``GATEWAY_`` and win over what the tools choose. ``module`` is run in
    place of the service's own, and mounts ``dialects``.
    """
    port = free_port()
    gateway = GatewayProcess(folder, {}, port, str(module))
    chosen: dict[str, object] = {
        "host": HOST,
        "port": port,
        "data_dir": gateway.data_dir,
        "admin_email": ADMIN_EMAIL,
        "admin_password": ADMIN_PASSWORD,
        "quota_newcomers": "",
    }
    if WAYS in os.environ:
        chosen["fast_ways"] = os.environ[WAYS]
    if database_server is not None and "database_url" not in settings:
        chosen["database_url"] = await new_database(database_server, copied=True)
    told = chosen | settings | store_of_run(gateway.data_dir, settings)
    gateway._environment.update(environment_of(told, cast(Sequence[Dialect], dialects)))
    try:
        await gateway.start()
        yield gateway
    finally:
        if gateway.running:
            await _end(gateway)
        if (gateway.data_dir / "postgres").exists():
            with embedded_server(gateway.data_dir):
                pass  # whoever leaves last stops it


async def new_database(server: str, *, copied: bool = False) -> str:
    """The DSN of a new, empty database on the server.

    ``copied`` makes it a copy of ``MIGRATED`` where the server has that: sooner than to migrate it.
    """
    name = f"t{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        known = "select true from pg_database where datname = $1"
        copied = copied and await connection.fetchval(known, MIGRATED)
        template = MIGRATED if copied else "template1"
        await connection.execute(f"create database {name} template {template}")
    finally:
        await connection.close()
    return database_of(server, name)


def database_of(server: str, name: str) -> str:
    """The DSN of a database on the server of that DSN."""
    before, place, after = server.partition("/postgres?")
    assert place, server
    return f"{before}/{name}?{after}"


def environment_of(
    settings: dict[str, object], dialects: Sequence[Dialect] = DIALECTS
) -> dict[str, str]:
    """Our environment without settings of its own, and with these. Raises on an unknown setting."""
    settings = {"allow_root": "true"} | settings  # as continuous integration is
    check_names(settings, dialects)
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("GATEWAY_")}
    return inherited | {f"GATEWAY_{n.upper()}": str(v) for n, v in settings.items()}


async def _end(gateway: GatewayProcess) -> None:
    """In order if it will, else by force: a test that failed half-way may have left transfers."""
    try:
        await gateway.terminate()
    except TimeoutError:
        await gateway.kill9()
        raise
