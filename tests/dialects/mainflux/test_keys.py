"""Mainflux API keys over HTTP; on two workers, that a key that ended ends on both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tools.client import Client
from tests.tools.gateway import running_gateway
from tests.tools.mainflux import sign_in
from tests.tools.waiting import until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FRESH_CONNECTIONS = 24


async def test_a_key_has_the_documented_form(user: Client) -> None:
    said = await user.ask("POST", "/keys", {"type": 2, "duration": 10_000})
    assert (201, {"id", "value", "issued_at", "expires_at"}) == (said.status, set(said.json))
    issued = said.json
    shown = (await user.ask("GET", f"/keys/{issued['id']}")).json
    [owner] = (await user.ask("GET", "/users")).json["users"]
    assert {
        "id": issued["id"],
        "issuer_id": owner["id"],
        "subject": "test@email.com",
        "type": 2,
        "issued_at": issued["issued_at"],
        "expires_at": issued["expires_at"],
    } == shown
    assert TIME.fullmatch(shown["issued_at"])
    assert TIME.fullmatch(shown["expires_at"])
    assert {"total": 1, "offset": 0, "limit": 10, "keys": [shown]} == (
        await user.ask("GET", "/keys")
    ).json


@pytest.mark.parametrize("body", [{"type": 2}, {"type": 2, "duration": 0}])
async def test_an_api_key_without_duration_never_expires(user: Client, body: object) -> None:
    assert "expires_at" not in (await user.ask("POST", "/keys", body)).json


async def test_a_login_key_names_no_type(user: Client) -> None:
    issued = (await user.ask("POST", "/keys", {"type": 0})).json
    shown = (await user.ask("GET", f"/keys/{issued['id']}")).json
    assert {"id", "issuer_id", "subject", "issued_at", "expires_at"} == set(shown)


@pytest.mark.parametrize(
    "body",
    [
        {"type": 3},
        {"type": -1},
        {"type": "2"},
        {"type": True},
        {"type": 2.0},
        {"type": 2, "duration": -1},
        {"type": 2, "duration": "10"},
        {"type": 2, "duration": 1.5},
        {"type": 2, "duration": 10**19},
        [],
    ],
)
async def test_a_bad_key_is_refused(user: Client, body: object) -> None:
    said = await user.ask("POST", "/keys", body)
    assert (400, ["error"]) == (said.status, list(said.json))


async def test_a_key_works_until_it_is_revoked(user: Client) -> None:
    issued = (await user.ask("POST", "/keys", {"type": 2})).json
    program = Client(user.session, user.url, issued["value"])
    assert 201 == (await program.ask("POST", "/things", [{"name": "x"}])).status
    assert 204 == (await user.ask("DELETE", f"/keys/{issued['id']}")).status
    assert 401 == (await program.ask("GET", "/things")).status
    assert 404 == (await user.ask("GET", f"/keys/{issued['id']}")).status


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_key_that_ended_has_ended_on_every_worker_a_second_later(
    tmp_path: Path, postgres_server: str, end: str
) -> None:
    """
    Both workers have just used the key and would remember it for an hour.
    """
    async with (
        running_gateway(
            tmp_path, database_server=postgres_server, workers=2, read_cache_seconds=3600
        ) as gateway,
        aiohttp.ClientSession() as session,
    ):
        admin = await sign_in(session, gateway.url)
        body: dict[str, Any] = {"type": 2, "duration": 2 if end == "expired" else 0}
        async with session.post(f"{gateway.url}/keys", json=body, headers=admin.headers) as said:
            key = await said.json()
        assert {200} == await _statuses(gateway.url, key["value"])
        if end == "revoked":
            async with session.delete(
                f"{gateway.url}/keys/{key['id']}", headers=admin.headers
            ) as said:
                assert 204 == said.status

        async def has_ended() -> bool:
            return {401} == await _statuses(gateway.url, key["value"])

        await until(has_ended, within=10)


async def _statuses(url: str, value: str) -> set[int]:
    """What the key gets on connections of their own: enough that both workers take some."""
    found = set()
    for _ in range(FRESH_CONNECTIONS):
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/things", headers={"Authorization": f"Bearer {value}"}) as said,
        ):
            found.add(said.status)
    return found
