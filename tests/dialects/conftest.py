"""A whole gateway on an empty database, and a few people before it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from gateway.app import build_app, open_gateway, open_stores, start_server
from gateway.database.pool import Database
from gateway.settings.core import Settings
from gateway.web.operations.health import Readiness
from tests.tools.client import PASSWORD, Client
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
    chosen = Settings(data_dir=tmp_path, secret=SecretStr("s" * 32), **settings)
    async with (
        open_stores(chosen, database_url) as stores,
        open_gateway(chosen, stores) as gateway,
        aiohttp.ClientSession() as session,
    ):
        await stores.registry.users.ensure_admin(ROOT_EMAIL, PASSWORD)
        app = build_app(gateway, Readiness({}), prefix=chosen.prefix, log_requests=False)
        with socket.create_server((HOST, 0)) as sock:
            server = await start_server(app, chosen, sock)
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
