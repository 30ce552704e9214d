"""Applications and their tokens: made, seen, changed, ended, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.database.pool import Database
from tests.dialects.conftest import new_user
from tests.dialects.losant.conftest import Inside, Owner
from tests.tools.client import PASSWORD, Answer, Client

TOKEN = {
    *("id", "apiTokenId", "ownerId", "ownerType", "creatorId", "creatorType", "name"),
    *("description", "creationDate", "lastUpdated", "scope", "status"),
}


async def token_of(owner: Owner, *scopes: str, **fields: object) -> tuple[dict[str, Any], Owner]:
    """A new token, and its holder."""
    body = {"name": "robot", "scope": list(scopes), **fields}
    said = await owner.client.ask("POST", f"/applications/{owner.application}/tokens", body)
    assert 201 == said.status, said
    client = Client(owner.client.session, owner.client.url, said.json["token"])
    return dict(said.json), Owner(client, owner.application, owner.inside)


async def test_a_token_is_shown_once_and_works(owner: Owner) -> None:
    made, robot = await token_of(owner, "privateFiles.*", "privateFile.*")
    assert TOKEN | {"token"} == set(made)
    assert (owner.application, "application", "user") == (
        made["ownerId"],
        made["ownerType"],
        made["creatorType"],
    )
    path = f"/applications/{owner.application}/tokens"
    listed = (await owner.client.ask("GET", path)).json
    assert [TOKEN] == [set(item) for item in listed["items"]]
    assert (owner.application, "application") == (listed["ownerId"], listed["ownerType"])
    seen = await owner.client.ask("GET", f"{path}/{made['id']}")
    assert TOKEN == set(seen.json)

    posted = await robot.awaited("a")
    assert (made["id"], "apiToken") == (posted["authorId"], posted["authorType"])


@pytest.mark.parametrize("how", ["deleted", "inactive", "over", "application removed"])
async def test_a_token_ends_at_once(owner: Owner, database: Database, how: str) -> None:
    made, robot = await token_of(owner, "all.Application")
    assert 200 == (await robot.ask("GET")).status  # and is remembered
    path = f"/applications/{owner.application}/tokens/{made['id']}"
    if how == "deleted":
        assert {"success": True} == (await owner.client.ask("DELETE", path, {})).json
    elif how == "inactive":
        said = await owner.client.ask("PATCH", path, {"status": "inactive"})
        assert (200, "inactive") == (said.status, said.json["status"])
    elif how == "over":
        end = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        _, robot = await token_of(owner, "all.Application", expirationDate=end)
    else:
        said = await owner.client.ask("DELETE", f"/applications/{owner.application}", {})
        assert {"success": True} == said.json
    assert 401 == (await robot.ask("GET")).status


async def test_a_token_that_is_active_again_works_again(owner: Owner) -> None:
    made, robot = await token_of(owner, "all.Application")
    path = f"/applications/{owner.application}/tokens/{made['id']}"
    for status, expected in (("inactive", 401), ("active", 200)):
        await owner.client.ask("PATCH", path, {"status": status, "name": "renamed"})
        assert expected == (await robot.ask("GET")).status


async def test_a_token_is_of_its_application_only(owner: Owner, other: Owner) -> None:
    _, robot = await token_of(owner, "all.Application")
    elsewhere = Owner(robot.client, other.application, other.inside)
    assert 404 == (await elsewhere.ask("GET")).status
    assert 404 == (await elsewhere.ask("POST", "", {"name": "a", "type": "directory"})).status
    assert 403 == (await robot.client.ask("GET", "/applications")).status


async def test_a_token_gives_no_more_than_it_has(owner: Owner) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    _, robot = await token_of(owner, "applicationApiTokens.*", expirationDate=soon)
    path = f"/applications/{owner.application}/tokens"

    async def make(**fields: object) -> Answer:
        return await robot.client.ask("POST", path, {"name": "child", **fields})

    assert 403 == (await make(scope=["all.Application"])).status
    assert 403 == (await make(scope=["privateFiles.get"])).status
    assert 403 == (await make()).status  # all.Application, unless said otherwise
    late = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    fields = {"scope": ["applicationApiTokens.post"], "expirationDate": late}
    assert 403 == (await make(**fields)).status
    said = await make(scope=["applicationApiTokens.post"])
    assert (201, "apiToken") == (said.status, said.json["creatorType"])
    assert datetime.fromisoformat(said.json["expirationDate"]) <= datetime.fromisoformat(soon)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="no name"),
        pytest.param({"name": ""}, id="empty name"),
        pytest.param({"name": "x" * 256}, id="long name"),
        pytest.param({"name": 1}, id="a number for a name"),
        pytest.param({"name": "a", "scope": []}, id="no scope"),
        pytest.param({"name": "a", "scope": "all.Application"}, id="scope is no list"),
        pytest.param({"name": "a", "scope": ["nonsense"]}, id="no scope at all"),
        pytest.param({"name": "a", "scope": ["all.Application"] * 2}, id="twice"),
        pytest.param({"name": "a", "scope": ["all.User"]}, id="more than an application"),
        pytest.param({"name": "a", "scope": ["all.Organization.read"]}, id="an organization"),
        pytest.param({"name": "a", "status": "dormant"}, id="status"),
        pytest.param({"name": "a", "expirationDate": "tomorrow"}, id="date"),
        pytest.param({"name": "a", "expirationDate": "2030-01-01"}, id="date without a zone"),
        pytest.param({"name": "a", "colour": "red"}, id="unknown property"),
    ],
)
async def test_a_bad_token_is_refused(owner: Owner, fields: dict[str, object]) -> None:
    path = f"/applications/{owner.application}/tokens"
    said = await owner.client.ask("POST", path, fields)
    assert (400, "Validation") == (said.status, said.json["type"])
    assert 0 == (await owner.client.ask("GET", path)).json["totalCount"]


async def test_a_log_in_with_scopes_can_no_more_than_they_say(owner: Owner, nobody: Client) -> None:
    body = {"email": "OWNER@email.com", "password": PASSWORD, "requestedScopes": ["all.User.read"]}
    said = await nobody.ask("POST", "/auth/user", body)
    holder = Client(nobody.session, nobody.url, said.json["token"])
    assert 200 == (await holder.ask("GET", owner.path)).status
    assert 403 == (await holder.ask("POST", owner.path, {})).status
    # It is none for the other dialects.
    assert 401 == (await holder.ask("GET", "/things")).status
    # A new password ends it, as it ends every log-in.
    await owner.client.ask(
        "PATCH", "/password", {"old_password": PASSWORD, "password": "another-horse"}
    )
    assert 401 == (await holder.ask("GET", owner.path)).status


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        pytest.param(401, {"email": "owner@email.com", "password": "wrong-horse"}, id="wrong"),
        pytest.param(401, {"email": "absent@email.com", "password": PASSWORD}, id="nobody"),
        pytest.param(401, {"email": "not an e-mail", "password": PASSWORD}, id="no e-mail"),
        pytest.param(400, {"email": "owner@email.com"}, id="no password"),
        pytest.param(400, {"email": 1, "password": PASSWORD}, id="a number"),
        pytest.param(400, {"email": "a@b.c", "password": PASSWORD, "x": 1}, id="unknown"),
        pytest.param(400, [], id="a list"),
    ],
)
async def test_a_bad_log_in_is_refused(
    owner: Owner, nobody: Client, expected: int, body: object
) -> None:
    said = await nobody.ask("POST", "/auth/user", body)
    assert (expected, {"type", "message"}) == (said.status, set(said.json))


async def test_applications_are_their_users(owner: Owner, other: Owner, root: Client) -> None:
    listed = (await owner.client.ask("GET", "/applications")).json
    assert [owner.application] == [item["id"] for item in listed["items"]]
    assert 404 == (await other.client.ask("GET", f"/applications/{owner.application}")).status
    assert (
        404 == (await other.client.ask("DELETE", f"/applications/{owner.application}", {})).status
    )
    assert 200 == (await root.ask("GET", f"/applications/{owner.application}")).status
    both = (await root.ask("GET", "/applications?sortField=id")).json
    assert sorted([owner.application, other.application]) == [i["id"] for i in both["items"]]


@pytest.mark.parametrize(
    ("role", "read", "write", "administer"),
    [
        pytest.param("viewer", 200, 403, 403, id="viewer"),
        pytest.param("editor", 200, 201, 403, id="editor"),
        pytest.param("admin", 200, 201, 200, id="admin"),
        pytest.param("owner", 200, 201, 200, id="owner"),
    ],
)
async def test_in_an_orgs_application_the_role_decides(
    inside: Inside,
    owner: Owner,
    database: Database,
    role: str,
    read: int,
    write: int,
    administer: int,
) -> None:
    made = await owner.client.ask("POST", "/orgs", {"name": "org"})
    org = made.created
    org_id = org.replace("-", "")[:24]
    said = await owner.client.ask("POST", "/applications", {"name": "shared", "orgId": org_id})
    assert (201, org_id, "organization") == (
        said.status,
        said.json["ownerId"],
        said.json["ownerType"],
    )
    member = await new_user(inside.nobody, database, "member@email.com")
    shared = Owner(member, said.json["id"], inside)
    assert 404 == (await shared.ask("GET")).status
    assert 404 == (await member.ask("POST", "/applications", {"name": "x", "orgId": org_id})).status
    members = {"members": [{"email": "member@email.com", "role": role}]}
    assert 200 == (await owner.client.ask("POST", f"/orgs/{org}/members", members)).status
    assert read == (await shared.ask("GET")).status
    assert write == (await shared.ask("POST", "", {"name": "a", "type": "directory"})).status
    tokens = await member.ask("GET", f"/applications/{shared.application}/tokens")
    assert administer == tokens.status
    assert (
        administer == (await member.ask("DELETE", f"/applications/{shared.application}", {})).status
    )


async def test_with_an_org_go_its_applications_and_their_files(
    owner: Owner, database: Database
) -> None:
    org = (await owner.client.ask("POST", "/orgs", {"name": "org"})).created
    body = {"name": "shared", "orgId": org.replace("-", "")[:24]}
    made = (await owner.client.ask("POST", "/applications", body)).json
    shared = Owner(owner.client, made["id"], owner.inside)
    await shared.file("a")
    assert 204 == (await owner.client.ask("DELETE", f"/orgs/{org}")).status
    assert 404 == (await shared.ask("GET")).status
    assert await left_of(database, shared.application) == (0, 0, 0)


async def test_with_an_application_go_its_files_and_their_bytes(
    owner: Owner, database: Database
) -> None:
    await owner.directory("d")
    await owner.file("a", "/d/")
    await owner.awaited("b")
    assert (
        200 == (await owner.client.ask("DELETE", f"/applications/{owner.application}", {})).status
    )
    assert await left_of(database, owner.application) == (0, 0, 0)
    assert 404 == (await owner.ask("GET")).status


async def left_of(database: Database, application: str) -> tuple[int, int, int]:
    """Files, scopes, and blobs that are not condemned."""
    async with database.session() as session:
        values = [
            await session.connection.fetchval(text, application)
            for text in (
                "select count(*) from files where owner = $1",
                "select count(*) from scopes where owner = $1",
                "select count(*) from blobs where owner = $1 and condemned_until is null",
            )
        ]
    return values[0], values[1], values[2]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no name"),
        pytest.param({"name": "x" * 256}, id="long name"),
        pytest.param({"name": "a", "description": "x" * 1025}, id="long description"),
        pytest.param({"name": "a", "orgId": "nonsense"}, id="org id"),
        pytest.param({"name": "a", "colour": 1}, id="unknown property"),
    ],
)
async def test_a_bad_application_is_refused(owner: Owner, body: object) -> None:
    said = await owner.client.ask("POST", "/applications", body)
    assert (400, "Validation") == (said.status, said.json["type"])
    assert 1 == (await owner.client.ask("GET", "/applications")).json["totalCount"]


async def test_an_unknown_org_is_not_found(owner: Owner) -> None:
    body = {"name": "a", "orgId": "0" * 24}
    assert 404 == (await owner.client.ask("POST", "/applications", body)).status
