"""A whole gateway on an empty database, and a few people before it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from gateway.app import open_app, open_stores, start_server
from gateway.database.pool import Database
from gateway.web.operations.health import Readiness
from tests.tools.client import PASSWORD, Client
from tests.tools.deployment import deployment_of
from tests.tools.ports import HOST

ROOT_EMAIL = "admin@example.com"


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test wants different."""
    return {}


@pytest.fixture
async def nobody(
    database: Database, database_url: str, tmp_path: Path, settings: dict[str, Any]
) -> AsyncIterator[Client]:
    """Somebody without a credential, before a whole gateway with an admin."""
    quiet = {"data_dir": tmp_path, "secret": SecretStr("s" * 32), "access_log": False}
    deployment = deployment_of(**{**quiet, **settings})
    async with (
        open_stores(deployment, database_url) as stores,
        open_app(deployment, stores, Readiness({})) as app,
        aiohttp.ClientSession() as session,
    ):
        await stores.registry.users.ensure_admin(ROOT_EMAIL, PASSWORD)
        with socket.create_server((HOST, 0)) as sock:
            server = await start_server(app, deployment, sock)
            try:
                yield Client(session, f"http://{HOST}:{sock.getsockname()[1]}")
            finally:
                await server.stop()


@pytest.fixture
async def root(nobody: Client) -> Client:
    return await nobody.log_in(ROOT_EMAIL)


@pytest.fixture
async def user(nobody: Client) -> Client:
    return await nobody.sign_up("test@email.com")


@pytest.fixture
async def stranger(nobody: Client) -> Client:
    return await nobody.sign_up("stranger@email.com")
