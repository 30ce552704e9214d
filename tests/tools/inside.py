"""A gateway in the test's own process, on aiohttp's test server: nothing to start, and the plain handlers.

Knows how an application is put together over a real database and a real disk. What only a process has
(signals, workers, its log) and what only our own connections do (see ``gateway.web.server``) is
``tests.tools.gateway``'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from argon2 import PasswordHasher
from pydantic import SecretStr

from gateway.app import open_app
from gateway.database.changes import listening, through
from gateway.database.pool import open_database
from gateway.identity.rows.users import make_admin
from gateway.identity.secrets import PasswordCost
from gateway.model.change import Change, ChangeListeners
from gateway.web.authentication import CALLERS
from gateway.web.context import MESSAGING
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.operations.health import Readiness
from gateway.wiring import open_stores
from tests.tools.command import run_inside
from tests.tools.deployment import deployment_of, sql_folders
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, environment_of, new_database
from tests.tools.ports import HOST, free_port
from tests.tools.s3store import store_of_run

CHEAP = PasswordCost(kib=8, passes=1)
_SECRET = "s" * 32
_HEARD_SECONDS = 30.0
_CHEAP = PasswordHasher(time_cost=CHEAP.passes, memory_cost=CHEAP.kib, parallelism=1)


def cheap_hash(password: str) -> str:
    """A hash that is as right as any and takes no time, for tests that make many users."""
    return _CHEAP.hash(password)


@contextlib.asynccontextmanager
async def open_application(
    data_dir: Path, database_url: str, **settings: object
) -> AsyncIterator[Application]:
    """An application over this folder and this migrated database. ``settings`` are named as their
    variables without ``GATEWAY_``.
    """
    chosen = {
        "data_dir": data_dir,
        "secret": SecretStr(_SECRET),
        "access_log": False,
        "quota_newcomers": "",
    } | settings
    chosen |= store_of_run(data_dir, settings)
    deployment = deployment_of(**chosen)
    async with (
        open_stores(deployment, database_url, cost=CHEAP) as stores,
        open_app(deployment, stores, Readiness({})) as app,
    ):
        yield app


@contextlib.asynccontextmanager
async def hearing_application(
    data_dir: Path, database_url: str, **settings: object
) -> AsyncIterator[Application]:
    """The same, once it hears what is changed on its database, and so keeps what it found out."""
    async with open_application(data_dir, database_url, **settings) as app:
        told, heard = app[CALLERS].listeners, _Connected()
        announce, news = through(app[MESSAGING].database), app[CALLERS].news
        everybody = ChangeListeners(told, app[DOWNLOADS].under_way, heard)
        async with listening(database_url, everybody, announce=announce, news=news):
            async with asyncio.timeout(_HEARD_SECONDS):
                await heard.connected.wait()
            yield app


class _Connected:
    """A listener that tells when it began to hear."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()

    def on_change(self, change: Change) -> None:
        """Somebody else's affair."""

    def on_connected(self) -> None:
        """It is heard."""
        self.connected.set()

    def on_disconnected(self) -> None:
        """Who waits has begun long ago."""


class InsideGateway:
    """One gateway: a data directory, a database and a port that outlive each application."""

    def __init__(self, folder: Path, database_url: str, settings: dict[str, object]) -> None:
        self.data_dir = folder / "data"
        self.port = free_port()
        self._database_url = database_url
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        app = await self._stack.enter_async_context(
            open_application(self.data_dir, self._database_url, **self._settings)
        )
        server = TestServer(app, host=HOST, port=self.port)
        await self._stack.enter_async_context(TestClient[Request, Application](server))

    async def stop(self) -> None:
        """End every connection and give everything back."""
        await self._stack.aclose()

    async def run(self, *arguments: str) -> tuple[int, str]:
        """A command (``check``, ``move-blobs`` ...) on the same settings: its exit status and stdout."""
        known = {"data_dir": self.data_dir, "database_url": self._database_url, "secret": _SECRET}
        return await run_inside(environment_of(known | self._settings), *arguments)

    async def restart(self, **settings: object) -> None:
        """A new application on the same port, folder and database, with these settings changed."""
        self._settings |= settings
        await self.stop()
        await self.start()


@contextlib.asynccontextmanager
async def gateway_inside(
    folder: Path, *, database_server: str, **settings: object
) -> AsyncIterator[InsideGateway]:
    """What ``running_gateway`` has, without the process."""
    database_url = await new_database(database_server, copied=True)
    async with open_database(database_url, sql_folders()) as database:
        await make_admin(database, uuid4(), ADMIN_EMAIL, cheap_hash(ADMIN_PASSWORD))
    gateway = InsideGateway(folder, database_url, settings)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
