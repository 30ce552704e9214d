"""Another secret for a deployment that serves: nothing is lost, and the old secret opens nothing at the end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import jwt
import pytest

from gateway.identity.secrets import Keyring
from gateway.identity.tokens import TokenClaims, Tokens, utc_now
from gateway.model.errors import Failure, Unauthenticated
from tests.identity.test_secrets import KEY, OTHER_SECRET, SECRET, THING
from tests.tools import warm
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import sign_in

CHOSEN = "a-key-that-was-chosen-by-its-owner"


async def status_of(
    session: aiohttp.ClientSession, gateway: GatewayProcess, path: str, authorization: str
) -> int:
    headers = {"Authorization": authorization}
    async with session.get(f"{gateway.url}{path}", headers=headers) as answer:
        return answer.status


async def run_elsewhere(gateway: GatewayProcess, **settings: str) -> tuple[int, str]:
    """A command with another secret in the environment: its status and what it complained of."""
    named = {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
    other = GatewayProcess(gateway.data_dir.parent, gateway.environment | named, gateway.port)
    done = await asyncio.to_thread(warm.run, "-m", "gateway", "check", env=other.environment)
    return done.returncode, done.stderr


async def test_a_secret_is_rotated_while_everything_goes_on(
    tmp_path: Path, postgres_server: str
) -> None:
    async with (
        running_gateway(tmp_path, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        first = (gateway.data_dir / "secret").read_text()
        admin = await sign_in(session, gateway.url)
        old = await admin.thing()
        token = admin.headers["Authorization"]
        key = {"Authorization": f"Thing {CHOSEN}"}
        async with session.post(
            f"{gateway.url}/things", json={"key": CHOSEN}, headers=admin.headers
        ) as answer:
            assert answer.status == 201
        async with session.post(
            f"{gateway.url}/keys", json={"type": 2}, headers=admin.headers
        ) as answer:
            api_key = f"Bearer {(await answer.json())['value']}"

        assert (await gateway.run("secret", "rotate"))[0] == 0
        assert (gateway.data_dir / "secret.previous").read_text() == first
        assert (gateway.data_dir / "secret").stat().st_mode & 0o777 == 0o600
        await gateway.restart()
        for credential in (f"Thing {old.key}", f"Thing {CHOSEN}"):
            assert await status_of(session, gateway, "/files", credential) == 200
        for credential in (token, api_key):
            assert await status_of(session, gateway, "/things", credential) == 200
        async with session.post(
            f"{gateway.url}/things", json={"key": CHOSEN}, headers=admin.headers
        ) as answer:
            assert answer.status == 409
        new = await (await sign_in(session, gateway.url)).thing()
        assert (await gateway.run("secret", "rotate"))[0] == 2

        status, complaint = await run_elsewhere(gateway, secret=first.strip())
        assert (status, "a further secret" in complaint) == (1, True)
        status, complaint = await run_elsewhere(gateway, secret="x" * 40)
        assert (status, "another secret" in complaint) == (1, True)

        status, said = await gateway.run("secret", "reseal", "--forget")
        assert status == 0
        assert json.loads(said) == {
            "things": 2,
            "webhooks": 0,
            "conflicts": [],
            "api_keys_of_previous": 1,
            "forgotten": True,
        }
        assert json.loads((await gateway.run("secret", "reseal"))[1])["things"] == 0
        await gateway.restart()
        for credential in (f"Thing {old.key}", key["Authorization"], f"Thing {new.key}"):
            assert await status_of(session, gateway, "/files", credential) == 200
        for credential in (token, api_key):
            assert await status_of(session, gateway, "/things", credential) == 401
        assert await run_elsewhere(gateway, secret=first.strip()) != (0, "")


def test_a_key_is_opened_under_both_and_sealed_under_the_present() -> None:
    before, both = Keyring(OTHER_SECRET), Keyring(SECRET, OTHER_SECRET)
    unmarked = before.seal_key(KEY, THING).removeprefix(before.mark)
    for sealed in (before.seal_key(KEY, THING), unmarked):
        assert both.open_key(sealed, THING) == KEY
    sealed = both.seal_key(KEY, THING)
    assert Keyring(SECRET).open_key(sealed, THING) == KEY
    with pytest.raises(Failure):
        before.open_key(sealed, THING)
    assert before.key_digest(KEY) in both.key_digests(KEY)


def test_a_token_is_read_under_both_and_signed_under_the_present() -> None:
    first, second = b"1" * 32, b"2" * 32
    claims, both = TokenClaims(THING, "a@b.test", utc_now()), Tokens(second, first)
    text = Tokens(first).issue(claims)
    payload = jwt.decode(text, first, algorithms=["HS256"])
    unnamed = jwt.encode(payload, first, algorithm="HS256")  # as before keys had names
    for token in (text, unnamed):
        assert both.read(token).user_id == THING
        with pytest.raises(Unauthenticated):
            Tokens(second).read(token)
    assert Tokens(second).read(both.issue(claims)).user_id == THING
