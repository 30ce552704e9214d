"""admin: who is one, making one, a way back in, locking out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.tools.gateway import ADMIN_EMAIL, GatewayProcess, running_gateway
from tests.tools.mainflux import sign_in


@pytest.fixture
async def gateway(tmp_path: Path, postgres_server: str) -> AsyncIterator[GatewayProcess]:
    async with running_gateway(
        tmp_path, database_server=postgres_server, read_cache_seconds=0
    ) as running:
        yield running


async def status_of(gateway: GatewayProcess, token: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{gateway.url}/things", headers={"Authorization": f"Bearer {token}"}
        ) as answer,
    ):
        return answer.status


async def token_of(gateway: GatewayProcess, email: str, password: str) -> str:
    async with aiohttp.ClientSession() as session:
        return (await sign_in(session, gateway.url, email, password)).token


async def test_a_new_password_opens_the_account_and_ends_its_logins(
    gateway: GatewayProcess,
) -> None:
    old = await token_of(gateway, ADMIN_EMAIL, "correct-horse-battery")
    status, said = await gateway.run("admin", "reset-password", ADMIN_EMAIL.upper())
    made_up = json.loads(said)
    assert (0, ADMIN_EMAIL) == (status, made_up["email"])
    assert 401 == await status_of(gateway, old)
    token = await token_of(gateway, ADMIN_EMAIL, made_up["password"])
    assert 200 == await status_of(gateway, token)
    arguments = ("admin", "reset-password", "--password-stdin", ADMIN_EMAIL)
    status, said = await gateway.run(*arguments, stdin="another good one\n")
    assert (0, False) == (status, "password" in json.loads(said))
    assert await token_of(gateway, ADMIN_EMAIL, "another good one")


async def test_an_administrator_is_made_listed_locked_and_unlocked(
    gateway: GatewayProcess,
) -> None:
    status, said = await gateway.run("admin", "create", "second@gateway.test")
    second = json.loads(said)
    assert 0 == status
    token = await token_of(gateway, "second@gateway.test", second["password"])
    assert 0 == (await gateway.run("admin", "lock", "second@gateway.test"))[0]
    assert 401 == await status_of(gateway, token)
    listed = json.loads((await gateway.run("admin", "list"))[1])
    assert [(ADMIN_EMAIL, False), ("second@gateway.test", True)] == [
        (row["email"], row["locked"]) for row in listed
    ]
    assert 0 == (await gateway.run("admin", "unlock", "second@gateway.test"))[0]
    assert 200 == await status_of(gateway, token)


REFUSED = {
    "no such account": (["reset-password", "nobody@gateway.test"], ""),
    "nobody to lock": (["lock", "nobody@gateway.test"], ""),
    "no e-mail": (["create", "no e-mail"], ""),
    "no password": (["create", "--password-stdin", "x@y.test"], ""),
    "short password": (["create", "--password-stdin", "x@y.test"], "short\n"),
}


async def test_what_cannot_be_done_is_status_1(gateway: GatewayProcess) -> None:
    for case, (arguments, stdin) in REFUSED.items():
        assert (1, "") == await gateway.run("admin", *arguments, stdin=stdin), case
