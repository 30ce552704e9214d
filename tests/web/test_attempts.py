"""Whoever guesses passwords or keys waits, at every door, and holds up nobody but themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.tools.gateway import ADMIN_PASSWORD, GatewayProcess
from tests.tools.mainflux import User, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUESSES = 10
PASSWORD = "correct-horse"


def tokens(email: str, password: str) -> dict[str, Any]:
    return {"json": {"email": email, "password": password}}


def form(email: str, password: str) -> dict[str, Any]:
    return {"data": {"User": email, "Pass": password}}


DOORS: list[tuple[str, Callable[[str, str], dict[str, Any]], int]] = [
    ("/tokens", tokens, 201),
    ("/api/login", form, 200),
    ("/auth/user", tokens, 200),
]


@pytest.mark.parametrize(("path", "body", "granted"), DOORS, ids=[path for path, _, _ in DOORS])
async def test_a_guesser_is_told_to_wait_and_the_account_stays_open_to_its_user(
    gateway: GatewayProcess, path: str, body: Callable[[str, str], dict[str, Any]], granted: int
) -> None:
    """The tests speak as a trusted proxy, so they may say where they come from."""
    email = f"{uuid4()}@test.test"
    async with aiohttp.ClientSession() as session:
        await account(session, gateway, email)

        async def log_in(password: str, address: str) -> tuple[int, str]:
            async with session.post(
                f"{gateway.url}{path}",
                headers={"X-Forwarded-For": f"203.0.113.7, {address}"},
                **body(email, password),
            ) as answer:
                return answer.status, answer.headers.get("Retry-After", "")

        for _ in range(GUESSES):
            status, wait = await log_in("wrong-" + PASSWORD, "192.0.2.1")
            assert (status in (401, 422), wait) == (True, ""), status
        status, wait = await log_in(PASSWORD, "192.0.2.1")
        assert (status, 1 <= int(wait) <= 10) == (429, True)
        assert (await log_in(PASSWORD, "192.0.2.2"))[0] == granted


async def test_a_wrong_old_password_is_a_guess_too(gateway: GatewayProcess) -> None:
    email = f"{uuid4()}@test.test"
    async with aiohttp.ClientSession() as session:
        await account(session, gateway, email)
        user = await sign_in(session, gateway.url, email, PASSWORD)
        assert [await change(user) for _ in range(GUESSES + 1)] == [401] * GUESSES + [429]


async def change(user: User) -> int:
    body = {"old_password": "wrong-" + PASSWORD, "password": "another-" + PASSWORD}
    headers = {**user.headers, "X-Forwarded-For": "192.0.2.3"}
    async with user.session.patch(f"{user.url}/password", json=body, headers=headers) as answer:
        return answer.status


async def test_keys_are_not_guessed_at_the_identify_route(gateway: GatewayProcess) -> None:
    headers = {"X-Forwarded-For": "192.0.2.4"}
    async with aiohttp.ClientSession() as session:
        seen = set[int]()
        for _ in range(2000):
            body = {"token": uuid4().hex}
            async with session.post(
                f"{gateway.url}/identify", json=body, headers=headers
            ) as answer:
                seen.add(answer.status)
                if answer.status == 429:
                    break
        assert seen == {404, 429}
        thing = await (await sign_in(session, gateway.url, password=ADMIN_PASSWORD)).thing()
        async with session.post(f"{gateway.url}/identify", json={"token": thing.key}) as answer:
            assert answer.status == 200


async def account(session: aiohttp.ClientSession, gateway: GatewayProcess, email: str) -> None:
    admin = await sign_in(session, gateway.url)
    said = {"email": email, "password": PASSWORD}
    async with session.post(f"{gateway.url}/users", json=said, headers=admin.headers) as answer:
        assert answer.status == 201
