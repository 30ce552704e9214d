"""``GET /audit``: what administrators see of what was done over HTTP, and from where."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.tools.client import PASSWORD, Client


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"trusted_proxies": "127.0.0.1/32", "open_registration": "true"}


async def test_a_failed_log_in_is_seen_with_the_address_that_the_proxy_names(
    root: Client, nobody: Client, user: Client
) -> None:
    body = {"email": "test@email.com", "password": "wrong-password"}
    await nobody.ask("POST", "/tokens", body, X_Forwarded_For="198.51.100.9, 203.0.113.7")
    [account] = (await user.ask("GET", "/users")).json["users"]
    found = (await root.ask("GET", "/audit?event=login-failed")).json["events"]
    assert [("203.0.113.7", account["id"], "test@email.com")] == [
        (event["address"], event["owner"], event["detail"]["email"]) for event in found
    ]
    for query, count in (("address=203.0.113.7", 1), ("address=198.51.100.9", 0)):
        assert (query, count) == (
            query,
            len((await root.ask("GET", f"/audit?{query}")).json["events"]),
        )


async def test_webhooks_and_tokens_of_applications_are_in_it(root: Client, user: Client) -> None:
    thing = await user.thing()
    hook = [{"name": "hook", "url": "https://8.8.8.8/secret-path"}]
    assert 201 == (await user.ask("POST", f"/webhooks/{thing['id']}", hook)).status
    [made] = (await user.ask("GET", f"/webhooks/{thing['id']}")).json["webhooks"]
    assert 200 == (await user.ask("PUT", f"/webhooks/{made['id']}", {"name": "x"})).status
    assert 204 == (await user.ask("DELETE", f"/webhooks/{made['id']}")).status
    application = (await user.ask("POST", "/applications", {"name": "app"})).json["applicationId"]
    path = f"/applications/{application}/tokens"
    token = (await user.ask("POST", path, {"name": "ci"})).json["apiTokenId"]
    assert 200 == (await user.ask("PATCH", f"{path}/{token}", {"status": "inactive"})).status
    assert 200 == (await user.ask("DELETE", f"{path}/{token}")).status
    for kind, expected in (
        ("webhooks", ["removed", "amended", "created"]),
        ("tokens", ["revoked", "amended", "issued"]),
    ):
        said = await root.ask("GET", f"/audit?kind={kind}")
        assert expected == [event["event"] for event in said.json["events"]]
        assert "secret-path" not in said.text


@pytest.mark.parametrize(
    "query",
    ["limit=201", "limit=x", "before=x", "before=1-x", "before=1-99999999999999999999", "since=x"],
)
async def test_a_query_that_means_nothing_is_refused(root: Client, query: str) -> None:
    assert 400 == (await root.ask("GET", f"/audit?{query}")).status


async def test_pages_and_times(root: Client, user: Client) -> None:
    for _ in range(3):
        await user.group()
    seen, query = list[int](), "/audit?event=created&kind=groups&limit=2"
    said = (await root.ask("GET", query)).json
    seen += [event["id"] for event in said["events"]]
    said = (await root.ask("GET", f"{query}&before={said['next']}")).json
    seen += [event["id"] for event in said["events"]]
    assert (3, "next" in said) == (len(set(seen)), False)
    moment = said["events"][0]["at"]
    later = (await root.ask("GET", f"/audit?event=created&kind=groups&since={moment}")).json
    earlier = (await root.ask("GET", f"/audit?event=created&kind=groups&until={moment}")).json
    assert (3, 0) == (len(later["events"]), len(earlier["events"]))


async def test_a_role_by_e_mail_waits_over_http(root: Client, nobody: Client, user: Client) -> None:
    """Registration is opened here: the whole way of a token, and the 200 of clients that know none."""
    late = await nobody.sign_up("late@email.com")
    group = await user.group()
    path = f"/groups/{group}/members"
    said = await user.ask(
        "POST", path, {"members": [{"email": "late@email.com", "role": "editor"}]}
    )
    [waiting] = said.json["pending"]
    assert (200, "editor", group) == (said.status, waiting["role"], waiting["group_id"])
    assert 404 == (await late.ask("GET", f"/groups/{group}")).status
    members = (await user.ask("GET", path)).json["members"]
    assert [(None, "owner"), (True, "editor")] == [(m.get("pending"), m["role"]) for m in members]
    taken = await late.ask("POST", "/invitations/accept", {"token": waiting["token"]})
    assert 200 == taken.status
    assert 200 == (await late.ask("GET", f"/groups/{group}")).status
    again = await user.ask(
        "POST", path, {"members": [{"email": "late@email.com", "role": "viewer"}]}
    )
    assert (200, "") == (again.status, again.text)


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u202e"])
async def test_no_new_file_has_what_is_not_seen_in_its_name_and_one_of_before_is_reached(
    root: Client, user: Client, connection: asyncpg.Connection, unseen: str
) -> None:
    """By every API and way to make one; bidirectional controls never were in a Mainflux name."""
    group, name = await user.group(), quote(f"fw{unseen}.bin")
    path = f"/groups/{group}/files"
    application = (await user.ask("POST", "/applications", {"name": "app"})).json["applicationId"]
    private = f"/applications/{application}/privateFiles"
    octets = {"Content_Type": "application/octet-stream"}
    made = {"name": f"fw{unseen}.bin", "type": "file", "fileSize": 1}
    for refused in (
        await user.ask("PUT", f"{path}/{name}", b"x", **octets),
        await root.ask("POST", f"/v1/file/{name}", b"x", **octets),
        await root.ask("PUT", f"/v1/file/{name}", b"x", **octets),
        await user.ask("POST", private, made),
    ):
        assert 400 == refused.status, refused.text
    await user.ask("PUT", f"{path}/fw.bin", b"old", **octets)
    if unseen == "\u202e":
        return
    await connection.execute("update files set name = $1 where kind = 'groups'", f"fw{unseen}.bin")
    assert "old" == (await user.ask("GET", f"{path}/{name}")).text
    assert 200 == (await user.ask("PUT", f"{path}/{name}", b"new", **octets)).status
    assert "new" == (await user.ask("GET", f"{path}/{name}")).text
    assert 204 == (await user.ask("DELETE", f"{path}/{name}")).status


async def test_disabled_with_their_things(root: Client, user: Client) -> None:
    [account] = (await user.ask("GET", "/users")).json["users"]
    key = {"Authorization": f"Thing {(await user.thing())['key']}"}
    nobody = Client(user.session, user.url)
    for body, status in ((..., 200), ({"things": True}, 403), ({"things": False}, 200)):
        assert 204 == (await root.ask("POST", f"/users/{account['id']}/disable", body)).status
        assert 401 == (await user.ask("GET", "/users")).status
        assert (body, status) == (body, (await nobody.ask("GET", "/files", **key)).status)
    assert 204 == (await root.ask("POST", f"/users/{account['id']}/enable")).status
    assert 200 == (await user.ask("GET", "/users")).status
    assert PASSWORD == "correct-horse"
