"""A whole gateway in the test's own process, on an empty database, and a few people before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from gateway.database.pool import Database
from gateway.identity.rows.users import add_user, make_admin
from tests.tools.client import PASSWORD, Client
from tests.tools.inside import cheap_hash, open_application

ROOT_EMAIL = "admin@example.com"
HASH = cheap_hash(PASSWORD)


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test wants different."""
    return {}


@pytest.fixture
async def nobody(
    database: Database,
    database_url: str,
    tmp_path: Path,
    settings: dict[str, Any],
    aiohttp_client: AiohttpClient,
) -> AsyncIterator[Client]:
    """Somebody without a credential, before a whole gateway with an admin and the two below."""
    await make_admin(database, uuid4(), ROOT_EMAIL, HASH)
    async with open_application(tmp_path, database_url, **settings) as app:
        client = await aiohttp_client(app)
        yield Client(client.session, str(client.make_url("")).rstrip("/"))
        await client.close()


async def new_user(nobody: Client, database: Database, email: str) -> Client:
    """Somebody who has signed up and logged in, without the price of a real hash."""
    await add_user(database, uuid4(), email, HASH, {})
    return await nobody.log_in(email)


@pytest.fixture
async def root(nobody: Client) -> Client:
    return await nobody.log_in(ROOT_EMAIL)


@pytest.fixture
async def user(nobody: Client, database: Database) -> Client:
    return await new_user(nobody, database, "test@email.com")


@pytest.fixture
async def stranger(nobody: Client, database: Database) -> Client:
    return await new_user(nobody, database, "stranger@email.com")
