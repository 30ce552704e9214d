"""What callers may read is looked up again when something may have changed it, and at nobody else's bidding."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from gateway.database.pool import Database
from gateway.identity.rows.users import make_admin
from gateway.web.authentication import CALLERS
from tests.dialects.conftest import HASH, ROOT_EMAIL
from tests.tools.client import PASSWORD, Client
from tests.tools.inside import open_application

WRONG = {"email": ROOT_EMAIL, "password": "not-the-password"}


@pytest.mark.parametrize(
    ("status", "forgotten", "route", "body"),
    [
        pytest.param(401, False, "POST /tokens", WRONG, id="a guessed password"),
        pytest.param(201, False, "POST /tokens", WRONG | {"password": PASSWORD}, id="a log-in"),
        pytest.param(400, False, "POST /things", "no thing", id="a refused change"),
        pytest.param(201, True, "POST /things", {"name": "x"}, id="a change"),
    ],
)
async def test_callers_are_forgotten_only_if_something_changed(
    database: Database,
    database_url: str,
    tmp_path: Path,
    aiohttp_client: AiohttpClient,
    status: int,
    forgotten: bool,
    route: str,
    body: object,
) -> None:
    await make_admin(database, uuid4(), ROOT_EMAIL, HASH)
    async with open_application(tmp_path, database_url) as app:
        made = await aiohttp_client(app)
        client = Client(made.session, str(made.make_url("")).rstrip("/"))
        client = await client.log_in(ROOT_EMAIL)
        before = app[CALLERS].credentials.changed_at  # nobody listens to the database here
        method, path = route.split()
        answer = await client.ask(method, path, body)
        assert (status, forgotten) == (answer.status, app[CALLERS].credentials.changed_at > before)
        await made.close()
