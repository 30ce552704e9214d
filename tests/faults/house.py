"""A whole gateway in the test's own process: real sockets, disk and database, faults within reach."""

from __future__ import annotations

import contextlib
import io
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy
from pydantic import SecretStr

from gateway.app import open_app, start_server
from gateway.blobs.port import BlobStore
from gateway.database.pool import Database
from gateway.filestore import Filestore
from gateway.identity.records.things import ThingDraft
from gateway.identity.registry import open_registry
from gateway.identity.rows.users import add_user
from gateway.identity.users import principal_of
from gateway.web.context import FILES
from gateway.web.operations.health import Readiness
from gateway.wiring import Stores, open_stores
from tests.identity.conftest import CHEAP_HASH
from tests.tools.deployment import deployment_of
from tests.tools.ports import HOST

SECRET = "s" * 32


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def is_worded_failure(self) -> bool:
        """Whether it has the form of our own failures."""
        return self.body.startswith(b'{"error":"') and "X-Request-Id" in self.headers


@dataclass(frozen=True, slots=True)
class House:
    """A running gateway, and one thing's view of it."""

    stores: Stores
    files: Filestore
    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str]
    data_dir: Path
    app: web.Application

    async def ask(self, method: str, name: str = "", content: bytes | None = None) -> Said:
        """One request on ``/files`` or the file of that name; ``content`` goes as a form."""
        form = None
        if content is not None:
            form = aiohttp.FormData()
            form.add_field(
                "file", io.BytesIO(content), filename=name, content_type="application/x-fw"
            )
        path = "/files" if method == "POST" or not name else f"/files/{name}"
        async with self.session.request(
            method, self.url + path, data=form, headers=self.headers
        ) as answer:
            return Said(answer.status, answer.headers, await answer.read())

    def parts(self) -> list[str]:
        """Uploads that are under way, or were left behind."""
        return sorted(path.name for path in (self.data_dir / "incoming").iterdir())

    def blobs(self) -> list[str]:
        """The ids of all blobs on the disk."""
        found = (self.data_dir / "blobs").rglob("*")
        return sorted(p.name for p in found if not p.is_dir() and not p.name.startswith("."))

    def descriptors(self) -> Counter[str]:
        """What this process has open in the data directory."""
        return Counter(path for path in _open_paths() if path.startswith(str(self.data_dir)))


def _open_paths() -> list[str]:
    found = []
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a folder that changes meanwhile
        with contextlib.suppress(OSError):
            found.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    return found


async def new_thing(database: Database) -> dict[str, str]:
    """The credential of a new thing."""
    async with open_registry(database, SECRET.encode()) as registry:
        user = await add_user(database, uuid4(), f"{uuid4().hex}@gateway.test", CHEAP_HASH, {})
        [thing] = await registry.things.create(principal_of(user), [ThingDraft(name="sensor")])
        return {"Authorization": f"Thing {registry.things.key_of(thing)}"}


@contextlib.asynccontextmanager
async def open_house(
    dsn: str,
    data_dir: Path,
    headers: dict[str, str],
    *,
    blobs: BlobStore | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """A gateway on ``dsn`` and ``data_dir``, until the end of the block; on ``blobs``, if given."""
    quiet = {"data_dir": data_dir, "secret": SecretStr(SECRET), "access_log": False}
    deployment = deployment_of(**{**quiet, **settings})
    async with (
        open_stores(deployment, dsn) as opened,
        open_app(deployment, replace(opened, blobs=blobs or opened.blobs), Readiness({})) as app,
        aiohttp.ClientSession() as session,
    ):
        files, stores = app[FILES], replace(opened, blobs=blobs or opened.blobs)
        with socket.create_server((HOST, 0)) as sock:
            server = await start_server(app, deployment, sock)
            url = f"http://{HOST}:{sock.getsockname()[1]}"
            try:
                yield House(stores, files, session, url, headers, data_dir, app)
            finally:
                await session.close()
                await server.stop()
                await files.drain(10)
