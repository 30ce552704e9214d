"""The identity part of the Mainflux API, over HTTP, as its page describes it."""

from __future__ import annotations

import re
from typing import Any

import jwt
import pytest

from tests.dialects.conftest import ROOT_EMAIL
from tests.tools.client import PASSWORD, Client

UNKNOWN = "64140f0b-6448-41cf-967e-1bbcc703c332"
EXTERNAL = "4328f3e4-4c67-40b3-9491-0ab782c48d50"
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_a_user_is_created_at_a_location(nobody: Client) -> None:
    said = await nobody.ask("POST", "/users", {"email": "test@email.com", "password": PASSWORD})
    assert (201, "") == (said.status, said.text)
    assert re.fullmatch(f"/users/{ID}", said.headers["Location"])
    assert "application/json" == said.headers["Content-Type"]


async def test_under_the_prefix_a_location_is_at_the_root(nobody: Client) -> None:
    body = {"email": "test@email.com", "password": PASSWORD}
    said = await nobody.ask("POST", "/filestore/users", body)
    assert re.fullmatch(f"/users/{ID}", said.headers["Location"])


async def test_a_token_has_the_documented_form(nobody: Client) -> None:
    await nobody.sign_up("test@email.com")
    said = await nobody.ask("POST", "/tokens", {"email": "test@email.com", "password": PASSWORD})
    assert 201 == said.status
    claims = jwt.decode(said.json["token"], options={"verify_signature": False})
    assert ("mainflux.auth", "test@email.com", 0) == (claims["iss"], claims["sub"], claims["type"])


BAD_USERS: list[tuple[str, object, int]] = [
    ("no e-mail", {"password": PASSWORD}, 400),
    ("no password", {"email": "new@email.com"}, 400),
    ("short password", {"email": "new@email.com", "password": "seven77"}, 400),
    ("e-mail is no text", {"email": 7, "password": PASSWORD}, 400),
    ("metadata is a list", {"email": "new@email.com", "password": PASSWORD, "metadata": [1]}, 400),
    ("taken", {"email": "ADMIN@example.com", "password": PASSWORD}, 409),
    ("a list", [{"email": "new@email.com", "password": PASSWORD}], 400),
    ("malformed", b'{"email": ', 400),
    ("NUL", {"email": "new@email.com", "password": PASSWORD, "metadata": {"a": "\0"}}, 400),
    ("too deep", b'{"metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41, 400),
    ("too large", b" " * (1024 * 1024 + 1), 413),
]


@pytest.mark.parametrize(
    ("body", "status"), [c[1:] for c in BAD_USERS], ids=[c[0] for c in BAD_USERS]
)
async def test_a_bad_account_is_refused(nobody: Client, body: object, status: int) -> None:
    said = await nobody.ask("POST", "/users", body)
    assert status == said.status
    assert ["error"] == list(said.json)


@pytest.mark.parametrize("path", ["/users", "/tokens", "/identify"])
async def test_only_json_is_read(nobody: Client, path: str) -> None:
    said = await nobody.ask("POST", path, b"{}", Content_Type="text/plain")
    assert 415 == said.status
    assert ["error"] == list(said.json)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"email": ROOT_EMAIL, "password": "wrong-horse"}, 401, id="wrong password"),
        pytest.param({"email": "no@email.com", "password": PASSWORD}, 401, id="unknown"),
        pytest.param({}, 401, id="nothing"),
        pytest.param({"email": ROOT_EMAIL, "password": 7}, 400, id="not text"),
    ],
)
async def test_a_bad_login_is_refused(nobody: Client, body: object, status: int) -> None:
    said = await nobody.ask("POST", "/tokens", body)
    assert status == said.status


async def test_users_are_listed_under_both_keys(root: Client, user: Client) -> None:
    said = await root.ask("GET", "/users")
    shown = said.json["Users"]
    assert [ROOT_EMAIL, "test@email.com"] == [u["email"] for u in shown]
    assert {"total": 2, "offset": 0, "limit": 10, "Users": shown, "users": shown} == said.json
    assert {"id", "email"} == set(shown[0])
    own = await user.ask("GET", "/users")
    assert ["test@email.com"] == [u["email"] for u in own.json["users"]]


async def test_a_user_sees_and_amends_themselves(root: Client, user: Client) -> None:
    [shown] = (await user.ask("GET", "/users")).json["users"]
    said = await user.ask("PUT", "/users", {"metadata": {"foo": "bar"}})
    assert (200, "") == (said.status, said.text)
    said = await user.ask("GET", f"/users/{shown['id']}")
    assert (200, {**shown, "metadata": {"foo": "bar"}}) == (said.status, said.json)
    assert 200 == (await root.ask("GET", f"/users/{shown['id']}")).status


async def test_a_password_is_changed_by_who_knows_it(nobody: Client, user: Client) -> None:
    wrong = {"old_password": "wrong-horse", "password": "battery-staple"}
    assert 401 == (await user.ask("PATCH", "/password", wrong)).status
    short = {"old_password": PASSWORD, "password": "short"}
    assert 400 == (await user.ask("PATCH", "/password", short)).status
    right = {"old_password": PASSWORD, "password": "battery-staple"}
    assert 201 == (await user.ask("PATCH", "/password", right)).status
    assert 401 == (await user.ask("GET", "/users")).status
    new = {"email": "test@email.com", "password": "battery-staple"}
    assert 201 == (await nobody.ask("POST", "/tokens", new)).status


class TestClosedRegistration:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"open_registration": False}

    async def test_only_an_admin_makes_accounts(self, nobody: Client, root: Client) -> None:
        body = {"email": "test@email.com", "password": PASSWORD}
        assert 401 == (await nobody.ask("POST", "/users", body)).status
        assert 201 == (await root.ask("POST", "/users", body)).status
        user = await nobody.log_in("test@email.com")
        assert 403 == (await user.ask("POST", "/users", b"not read")).status


async def test_things_are_created_together(user: Client) -> None:
    said = await user.ask("POST", "/things", [{"name": "thing_name_1"}, {"name": "thing_name_2"}])
    assert 201 == said.status
    [one, two] = said.json["things"]
    assert ["thing_name_1", "thing_name_2"] == [one["name"], two["name"]]
    for thing in (one, two):
        assert {"id", "name", "key"} == set(thing)
        assert re.fullmatch(ID, thing["id"])
        assert (200, thing) == await _status_and_json(user, "GET", f"/things/{thing['id']}")
    listed = {"total": 2, "offset": 0, "limit": 10, "order": "", "direction": ""}
    expected = (200, {**listed, "things": [one, two]})
    assert expected == await _status_and_json(user, "GET", "/things")


async def test_one_thing_may_come_without_a_list(user: Client) -> None:
    said = await user.ask("POST", "/things", {"name": "sensor", "metadata": {"a": 1}})
    [thing] = said.json["things"]
    assert (201, f"/things/{thing['id']}") == (said.status, said.headers["Location"])
    assert {"a": 1} == thing["metadata"]


async def test_an_external_id_that_is_taken_stops_the_whole_batch(
    user: Client, stranger: Client
) -> None:
    assert EXTERNAL == (await stranger.thing(id=EXTERNAL))["id"]
    batch = [{"name": "a"}, {"id": EXTERNAL, "name": "b"}]
    assert 409 == (await user.ask("POST", "/things", batch)).status
    assert 0 == (await user.ask("GET", "/things")).json["total"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="no things"),
        pytest.param(["sensor"], id="a thing is text"),
        pytest.param([{"id": "7"}], id="not a UUID"),
        pytest.param([{"id": "d782b42b-e317-1cd7-9dd0-4e2ea0f349c8"}], id="a UUID of version 1"),
        pytest.param([{"name": 7}], id="name is a number"),
        pytest.param([{"name": "a\nb"}], id="name of two lines"),
        pytest.param([{"name": "x" * 1025}], id="endless name"),
        pytest.param([{"key": "short"}], id="short key"),
        pytest.param([{"metadata": "text"}], id="metadata is text"),
        pytest.param(b"[{]", id="malformed"),
        pytest.param(b'[{"name": "\xff"}]', id="not UTF-8"),
    ],
)
async def test_bad_things_are_refused(user: Client, body: object) -> None:
    said = await user.ask("POST", "/things", body)
    assert 400 == said.status
    assert ["error"] == list(said.json)
    assert 0 == (await user.ask("GET", "/things")).json["total"]


async def test_a_thing_is_amended_and_removed(user: Client) -> None:
    thing = await user.thing(metadata={"a": 1})
    path = f"/things/{thing['id']}"
    said = await user.ask("PUT", path, {"name": "new"})
    assert (200, "") == (said.status, said.text)
    assert {**thing, "name": "new"} == (await user.ask("GET", path)).json
    said = await user.ask("DELETE", path)
    assert (204, "") == (said.status, said.text)
    assert 404 == (await user.ask("GET", path)).status
    assert 404 == (await user.ask("DELETE", path)).status


PAGES: list[tuple[str, int, list[str]]] = [
    ("?limit=2", 200, ["b", "a"]),
    ("?limit=2&offset=1", 200, ["a", "c"]),
    ("?limit=0", 200, ["b", "a", "c"]),
    ("?order=name", 200, ["a", "b", "c"]),
    ("?order=name&dir=desc", 200, ["c", "b", "a"]),
    ("?dir=desc", 200, ["c", "a", "b"]),
    ("?name=B", 200, ["b"]),
    ('?metadata={"n":1}', 200, ["b"]),
    ("?limit=200", 200, ["b", "a", "c"]),
    ("?limit=201", 400, []),
    ("?limit=-2", 400, []),
    ("?limit=1&limit=2", 400, []),
    ("?offset=x", 400, []),
    ("?order=color", 400, []),
    ("?dir=up", 400, []),
    ("?metadata=[1]", 400, []),
    ("?metadata={", 400, []),
]


@pytest.mark.parametrize(("query", "status", "names"), PAGES, ids=[p[0] for p in PAGES])
async def test_things_are_paged_ordered_and_filtered(
    user: Client, query: str, status: int, names: list[str]
) -> None:
    for number, name in enumerate("bac", 1):
        await user.thing(name=name, metadata={"n": number})
    said = await user.ask("GET", f"/things{query}")
    assert status == said.status
    if status == 200:
        assert names == [t["name"] for t in said.json["things"]]


async def test_a_group_has_the_documented_form(user: Client) -> None:
    parent = await user.group()
    body = {"name": "group_name", "description": "desc", "metadata": {}, "parent_id": parent}
    said = await user.ask("POST", "/groups", body)
    assert (201, "") == (said.status, said.text)
    assert re.fullmatch(f"/groups/{ID}", said.headers["Location"])
    shown = (await user.ask("GET", said.headers["Location"])).json
    [owner] = (await user.ask("GET", "/users")).json["users"]
    assert all(TIME.fullmatch(shown.pop(at)) for at in ("created_at", "updated_at"))
    assert {
        "id": said.created,
        "name": "group_name",
        "owner_id": owner["id"],
        "description": "desc",
        "parent_id": parent,
        "level": 2,
        "path": f"{parent}.{said.created}",
    } == shown
    listed = (await user.ask("GET", "/groups?name=group")).json
    assert {"total": 1, "offset": 0, "limit": 10} == {k: listed[k] for k in list(listed)[:3]}
    assert [said.created] == [g["id"] for g in listed["groups"]]


async def test_a_group_is_amended_and_removed(user: Client) -> None:
    group = await user.group(description="desc")
    assert 400 == (await user.ask("PUT", f"/groups/{group}", {"name": ""})).status
    assert 400 == (await user.ask("POST", "/groups", {"description": "no name"})).status
    said = await user.ask("PUT", f"/groups/{group}", {"name": "new", "metadata": {"a": 1}})
    assert (200, "") == (said.status, said.text)
    shown = (await user.ask("GET", f"/groups/{group}")).json
    assert ("new", "desc", {"a": 1}) == (shown["name"], shown["description"], shown["metadata"])
    assert 204 == (await user.ask("DELETE", f"/groups/{group}")).status
    assert 404 == (await user.ask("GET", f"/groups/{group}")).status


async def test_members_are_assigned_listed_and_unassigned(user: Client, stranger: Client) -> None:
    group, thing = await user.group(), await user.thing()
    other = (await stranger.ask("GET", "/users")).json["users"][0]["id"]
    path = f"/groups/{group}/members"
    said = await user.ask("POST", path, {"members": [thing["id"], other]})
    assert (200, "") == (said.status, said.text)
    [owner] = (await user.ask("GET", "/users")).json["users"]
    things = [{**thing, "metadata": {}}]
    users = [
        {"id": owner["id"], "email": "test@email.com", "role": "owner"},
        {"id": other, "email": "stranger@email.com", "role": "viewer"},
    ]
    page = {"limit": 10, "offset": 0, "name": ""}
    assert {"total": 3, **page, "members": things + users} == (await user.ask("GET", path)).json
    assert {"total": 1, **page, "members": things} == (
        await user.ask("GET", f"{path}?type=things")
    ).json
    assert {"total": 2, **page, "members": users} == (
        await user.ask("GET", f"{path}?type=users")
    ).json
    assert 400 == (await user.ask("GET", f"{path}?type=cats")).status
    said = await user.ask("DELETE", path, {"members": [thing["id"], other]})
    assert (204, "") == (said.status, said.text)
    assert [users[0]] == (await user.ask("GET", path)).json["members"]


async def test_a_role_is_given_by_id_or_email(user: Client, stranger: Client) -> None:
    group = await user.group()
    path = f"/groups/{group}/members"
    for member in ("email", "id"):
        known = (await stranger.ask("GET", "/users")).json["users"][0][member]
        role = {"email": "editor", "id": "admin"}[member]
        body = {"members": [{member: known, "role": role}]}
        assert 200 == (await user.ask("POST", path, body)).status
        assert role == (await user.ask("GET", path)).json["members"][-1]["role"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"members": []}, 400, id="nobody"),
        pytest.param({}, 400, id="no members"),
        pytest.param({"members": "all"}, 400, id="text"),
        pytest.param({"members": [7]}, 400, id="a number"),
        pytest.param({"members": [{"email": "test@email.com", "role": "king"}]}, 400, id="role"),
        pytest.param({"members": [{"role": "viewer"}]}, 404, id="role of nobody"),
        pytest.param({"members": ["7"]}, 404, id="not a UUID"),
        pytest.param({"members": [UNKNOWN]}, 404, id="unknown"),
        pytest.param({"members": [{"email": "no@email.com"}]}, 404, id="unknown e-mail"),
    ],
)
async def test_bad_members_are_refused(user: Client, body: object, status: int) -> None:
    said = await user.ask("POST", f"/groups/{await user.group()}/members", body)
    assert status == said.status


async def test_a_fellow_member_does_not_see_the_keys_of_others(
    user: Client, stranger: Client
) -> None:
    group, thing = await user.group(), await user.thing()
    members = [thing["id"], {"email": "stranger@email.com", "role": "admin"}]
    await user.ask("POST", f"/groups/{group}/members", {"members": members})
    said = await stranger.ask("GET", f"/groups/{group}/members")
    assert {"id": thing["id"], "name": "sensor", "metadata": {}} == said.json["members"][0]
    assert thing["key"] not in said.text


async def test_the_groups_of_a_thing_are_listed(user: Client, stranger: Client) -> None:
    thing, groups = await user.thing(), [await user.group(), await user.group()]
    for group in groups:
        await user.ask("POST", f"/groups/{group}/members", {"members": [thing["id"]]})
    said = await user.ask("GET", f"/things/{thing['id']}/groups")
    assert (200, 2, groups) == (
        said.status,
        said.json["total"],
        [g["id"] for g in said.json["groups"]],
    )
    assert 404 == (await stranger.ask("GET", f"/things/{thing['id']}/groups")).status


@pytest.mark.parametrize(
    ("form", "status"),
    [
        pytest.param('{"token": "KEY"}', 200, id="token"),
        pytest.param('{"type": "internal", "value": "KEY"}', 200, id="type and value"),
        pytest.param('{"type": "external", "value": "KEY"}', 404, id="external"),
        pytest.param('{"token": "KEYx"}', 404, id="unknown"),
        pytest.param('{"token": ""}', 401, id="empty"),
        pytest.param("{}", 401, id="absent"),
        pytest.param('{"token": 7}', 400, id="a number"),
        pytest.param("{", 400, id="malformed"),
    ],
)
async def test_a_key_is_identified(nobody: Client, user: Client, form: str, status: int) -> None:
    thing = await user.thing()
    said = await nobody.ask("POST", "/identify", form.replace("KEY", thing["key"]).encode())
    assert status == said.status
    assert ({"id": thing["id"]} if status == 200 else said.json) == said.json


# Every route with a caller's rights behind it. {thing} and {group} are the user's.
GUARDED = [
    ("GET", "/users", ...),
    ("GET", f"/users/{UNKNOWN}", ...),
    ("PUT", "/users", {"metadata": {}}),
    ("PATCH", "/password", {"old_password": PASSWORD, "password": PASSWORD}),
    ("POST", "/things", [{"name": "x"}]),
    ("GET", "/things", ...),
    ("GET", "/things/{thing}", ...),
    ("PUT", "/things/{thing}", {"name": "x"}),
    ("DELETE", "/things/{thing}", ...),
    ("GET", "/things/{thing}/groups", ...),
    ("POST", "/groups", {"name": "x"}),
    ("GET", "/groups", ...),
    ("GET", "/groups/{group}", ...),
    ("PUT", "/groups/{group}", {"name": "x"}),
    ("DELETE", "/groups/{group}", ...),
    ("GET", "/groups/{group}/members", ...),
    ("POST", "/groups/{group}/members", {"members": ["{thing}"]}),
    ("DELETE", "/groups/{group}/members", {"members": ["{thing}"]}),
]
OWNED = [row for row in GUARDED if "{" in row[1]]


@pytest.mark.parametrize("credential", ["", "Bearer x.y.z", "Bearer", "Basic YTpi", "Thing {key}"])
async def test_who_proves_nothing_gets_nowhere(
    nobody: Client, user: Client, credential: str
) -> None:
    """
    Before the body is looked at: what is not JSON is a 401 all the same.
    """
    thing, group = await user.thing(), await user.group()
    header = {"Authorization": credential.format(**thing)} if credential else {}
    for method, path, _ in GUARDED:
        place = path.format(thing=thing["id"], group=group)
        said = await nobody.ask(method, place, b"{", **header)
        assert (method, place, 401) == (method, place, said.status)
        assert ["error"] == list(said.json)


async def test_a_stranger_sees_what_is_yours_as_if_it_were_not(
    user: Client, stranger: Client
) -> None:
    """
    Even with a body that could not be read: the answer is the one for an unknown id.
    """
    thing, group = await user.thing(), await user.group()
    for method, path, body in OWNED:
        refusals = []
        for ids in ({"thing": thing["id"], "group": group}, {"thing": UNKNOWN, "group": UNKNOWN}):
            for sent in (body, b"{"):
                said = await stranger.ask(method, path.format(**ids), sent)
                refusals.append((said.status, said.text))
        assert [(404, '{"error":"entity not found"}')] * 4 == refusals
    assert {**thing} == (await user.ask("GET", f"/things/{thing['id']}")).json


@pytest.mark.parametrize(("method", "path", "body"), OWNED, ids=[f"{r[0]} {r[1]}" for r in OWNED])
async def test_an_admin_may_do_what_the_owner_may(
    user: Client, root: Client, method: str, path: str, body: Any
) -> None:
    thing, group = await user.thing(), await user.group()
    sent = {"members": [thing["id"]]} if "members" in path and body is not ... else body
    said = await root.ask(method, path.format(thing=thing["id"], group=group), sent)
    assert said.status in {200, 204}


@pytest.mark.parametrize(
    "path", ["/things/7", "/groups/7", "/users/7", "/things/6b5c7f4e-0d3a-4a1b-9a57-3d1f0c2e8b64"]
)
async def test_an_id_that_cannot_be_is_unknown(user: Client, path: str) -> None:
    assert 404 == (await user.ask("GET", path)).status


async def _status_and_json(client: Client, method: str, path: str) -> tuple[int, Any]:
    said = await client.ask(method, path)
    return said.status, said.json
