"""What the product's client asks before and after it touches a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from gateway.dialects.gravwell.session import build_date
from tests.dialects.conftest import ROOT_EMAIL
from tests.dialects.gravwell.conftest import FILES, add
from tests.tools.client import PASSWORD, Answer, Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside

FORM = "application/x-www-form-urlencoded"


async def log_in(nobody: Client, user: str = ROOT_EMAIL, password: str = PASSWORD) -> Answer:
    body = urlencode({"User": user, "Pass": password}).encode()
    return await nobody.ask("POST", "/api/login", body, **{"Content-Type": FORM})


async def test_a_session_as_the_client_has_it(nobody: Client, root: Client) -> None:
    version = (await nobody.ask("GET", "/api/version")).json
    assert {"Major": 0, "Minor": 2} == version["API"]
    assert 2000 < datetime.fromisoformat(version["Build"]["BuildDate"]).year
    assert 200 == (await nobody.ask("GET", "/api/test")).status
    assert 401 == (await nobody.ask("GET", "/api/testauth")).status
    answer = (await log_in(nobody)).json
    assert (True, True, False, False) == tuple(
        answer[key] for key in ("LoginStatus", "Admin", "MFARequired", "MFASetupRequired")
    )
    client = Client(nobody.session, nobody.url, answer["JWT"])
    assert 3 == len(answer["JWT"].split("."))
    assert 200 == (await client.ask("GET", "/api/testauth")).status
    await client.group(name="line", description="all of it")
    me = (await client.ask("GET", "/api/info/whoami")).json
    assert (ROOT_EMAIL, True, False) == (me["Email"], me["Admin"], me["Locked"])
    assert 0 < me["UID"] < 2**31
    [group] = me["Groups"]
    assert (me["DefaultGID"], "line", "all of it") == (group["GID"], group["Name"], group["Desc"])
    assert 8 * 1024 * 1024 == (await client.ask("GET", "/api/settings")).json["MaxFileSize"]
    assert 200 == (await client.ask("PUT", "/api/logout")).status
    for path in ("/api/testauth", FILES, "/things", "/api/info/whoami"):
        assert 401 == (await client.ask("GET", path)).status
    assert 200 == (await root.ask("GET", "/api/testauth")).status


async def test_all_sessions_end_at_once(nobody: Client) -> None:
    clients = [
        Client(nobody.session, nobody.url, (await log_in(nobody)).json["JWT"]) for _ in range(2)
    ]
    assert 200 == (await clients[0].ask("DELETE", "/api/logout")).status
    assert [401, 401] == [(await c.ask("GET", "/api/testauth")).status for c in clients]


async def test_a_token_is_renewed(nobody: Client, root: Client) -> None:
    answer = await root.ask("GET", "/api/login/refreshtoken")
    renewed = Client(nobody.session, nobody.url, answer.json["JWT"])
    assert 200 == (await renewed.ask("GET", "/api/testauth")).status
    assert 401 == (await nobody.ask("GET", "/api/login/refreshtoken")).status


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param(ROOT_EMAIL, "wrong-horse", id="wrong password"),
        pytest.param("nobody@email.com", PASSWORD, id="nobody"),
        pytest.param("", "", id="nothing"),
    ],
)
async def test_a_wrong_log_in_is_a_422(nobody: Client, user: str, password: str) -> None:
    answer = await log_in(nobody, user, password)
    assert (422, "invalid username or password\n") == (answer.status, answer.text)


async def test_a_locked_account_is_a_423_at_the_log_in_and_nobody_elsewhere(
    nobody: Client, user: Client, root: Client
) -> None:
    users = (await root.ask("GET", "/users")).json["users"]
    wanted = next(u["id"] for u in users if u["email"] == "test@email.com")
    assert 204 == (await root.ask("POST", f"/users/{wanted}/disable")).status
    assert 423 == (await log_in(nobody, "test@email.com")).status
    assert 422 == (await log_in(nobody, "test@email.com", "wrong-horse")).status
    assert 401 == (await user.ask("GET", "/api/testauth")).status
    assert 204 == (await root.ask("POST", f"/users/{wanted}/enable")).status
    assert 200 == (await log_in(nobody, "test@email.com")).status


async def test_an_api_key_in_the_header_of_the_products_own(nobody: Client, user: Client) -> None:
    key = (await user.ask("POST", "/keys", {"type": 2})).json["value"]
    made = await add(user)
    token = {"Gravwell-Token": key}
    assert 200 == (await nobody.ask("GET", "/api/testauth", **token)).status
    path = f"{FILES}/{made['GUID']}"
    assert "hello" == (await nobody.ask("GET", path, **token)).text
    assert 401 == (await nobody.ask("GET", path, **{"Gravwell-Token": "nonsense"})).status
    assert 401 == (await nobody.ask("GET", path)).status


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"{}", "application/json", 415, id="JSON"),
        pytest.param(b"User=x", FORM, 400, id="no password"),
        pytest.param(b"User=x&User=y&Pass=z", FORM, 400, id="two users"),
        pytest.param(b"a=1&" * 50, FORM, 400, id="many fields"),
        pytest.param(b"User=%FF&Pass=x", FORM, 400, id="no UTF-8"),
        pytest.param(b"User=" + b"x" * 20_000 + b"&Pass=x", FORM, 413, id="long"),
    ],
)
async def test_what_is_no_log_in(
    nobody: Client, body: bytes, content_type: str, status: int
) -> None:
    answer = await nobody.ask("POST", "/api/login", body, **{"Content-Type": content_type})
    assert status == answer.status


async def test_the_first_administrator_is_number_one(tmp_path: Path, postgres_server: str) -> None:
    async with (
        gateway_inside(tmp_path, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        answer = await log_in(Client(session, gateway.url), ADMIN_EMAIL, ADMIN_PASSWORD)
        admin = Client(session, gateway.url, answer.json["JWT"])
        assert 1 == (await admin.ask("GET", "/api/info/whoami")).json["UID"]


async def test_the_version_is_dated_as_the_build_is(tmp_path: Path, postgres_server: str) -> None:
    said = {"build_time": "2026-11-26T03:00:00+02:00", "commit": "0123abcd"}
    async with (
        gateway_inside(tmp_path, database_server=postgres_server, **said) as gateway,
        aiohttp.ClientSession() as session,
    ):
        build = (await Client(session, gateway.url).ask("GET", "/api/version")).json["Build"]
    assert ("2026-11-26T01:00:00Z", "0123abcd") == (build["BuildDate"], build["BuildID"])


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        pytest.param("2026-11-26T01:02:03Z", "2026-11-26T01:02:03Z", id="as date -u writes it"),
        pytest.param("2026-11-26T01:02:03Z", "2026-11-26 01:02:03.9", id="of no zone"),
        pytest.param("2026-11-26T00:00:00Z", "2026-11-26", id="a day"),
        pytest.param("2026-01-01T00:00:00Z", "", id="not said"),
        pytest.param("2026-01-01T00:00:00Z", "on a Tuesday", id="no time"),
    ],
)
def test_a_build_s_time_is_one_that_the_client_parses(expected: str, said: str) -> None:
    assert expected == build_date(said)
