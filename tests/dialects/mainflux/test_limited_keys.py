"""Keys that may little, and accounts that are disabled, on every route of every API.

For each route a written cell: a key that only reads, one of the group, one of the thing, a login of
somebody who is disabled. ``.`` is what the owner's own key gets, ``x`` is 403 and ``-`` is 401. A key
whose owner may nothing there proves nothing, so what it asks for is what the owner may do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio

from gateway.dialects import DIALECTS
from tests.tools.client import Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside

READS, GROUP, THING, DISABLED = "reads", "group", "thing", "disabled"
WHO = (READS, GROUP, THING, DISABLED)

NOTHING = "xxx-"
"""A key that is limited in any way is refused."""
READING = ".xx-"
OF_GROUP = "..x-"
IN_GROUP = "x.x-"
OF_THING = ".x.-"
IN_THING = "xx.-"
ANYBODY = "...."

_HEX = "0" * 24
_NO_ID = [f"{method} /v1/file{slash}" for method in ("GET", "PUT", "DELETE") for slash in ("", "/")]
# What is said without a credential, or whatever the credential is.
OPEN = {
    *_NO_ID,
    *("POST /tokens", "PUT /password/reset", "POST /api/login"),
    *("POST /identify", "POST /identify/channels/{id}/access-by-key"),
    *("POST /identify/channels/{id}/access-by-id", "GET /api/version", "GET /api/test"),
    *("POST /auth/user", "GET /applications/{application}/privateFiles/{file}/download"),
}
# Who asks for these is a thing, by its key: no user's credential is looked at.
THINGS_OWN = {
    *(
        "POST /files",
        "GET /files",
        "GET /files/{name}",
        "GET /files/sha256/{digest}/{name}",
        "GET /groupfiles/sha256/{digest}/{name}",
        "PUT /files/{name}",
        "DELETE /files/{name}",
    ),
    *("GET /groupfiles", "GET /groupfiles/{name}", "POST /http/channels/{id}/messages"),
    "POST /http/channels/{id}/messages/{subtopic:.*}",
}
CELLS: dict[str, str] = {
    "GET /groups/{id}": OF_GROUP,
    "GET /groups/{id}/members": OF_GROUP,
    "GET /groups/{id}/files": OF_GROUP,
    "GET /groups/{id}/files/{name}": OF_GROUP,
    "GET /groups/{id}/files/sha256/{digest}/{name}": OF_GROUP,
    "POST /groups/{id}/files/sha256/{digest}/{name}": OF_GROUP,
    "POST /groups/{id}/files": IN_GROUP,
    "PUT /groups/{id}/files/{name}": IN_GROUP,
    "DELETE /groups/{id}/files/{name}": IN_GROUP,
    "GET /things/{id}": OF_THING,
    "GET /things/{id}/groups": OF_THING,
    "GET /things/{id}/channels": OF_THING,
    "PUT /things/{id}": IN_THING,
    # Open to anybody here, but not in the name of who may make accounts.
    "POST /users": "xxx.",
    "POST /register": "xxx.",
    "POST /things/search": READING,
    "POST /channels/search": READING,
    # A login is renewed and ended by its own token alone.
    "GET /api/login/refreshtoken": "-xx-",
    "PUT /api/logout": "----",
}


def routes() -> list[tuple[str, str]]:
    """Every route of every API, and whose it is; HEAD goes with GET."""
    found = [
        (dialect.name, f"{route.method} {route.path}")
        for dialect in DIALECTS
        for route in dialect.routes
        if route.method not in ("HEAD", "OPTIONS", "*")
    ]
    return [row for row in dict.fromkeys(found) if row[0] != "losant-storage"]


def cell(route: str) -> str:
    if route in OPEN:
        return ANYBODY
    if route in CELLS:
        return CELLS[route]
    return READING if route.startswith("GET ") else NOTHING


@dataclass(frozen=True)
class World:
    """An owner with a group, a thing and a file, and those who have a little of it."""

    clients: dict[str, Client]
    named: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("limited")
    async with (
        gateway_inside(folder, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        nobody = Client(session, gateway.url)
        body = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        admin = Client(
            session, gateway.url, (await nobody.ask("POST", "/tokens", body)).json["token"]
        )
        owner, disabled = (
            await nobody.sign_up("owner@email.com"),
            await nobody.sign_up("off@email.com"),
        )
        [account] = (await disabled.ask("GET", "/users")).json["users"]
        assert 204 == (await admin.ask("POST", f"/users/{account['id']}/disable")).status
        thing, group = await owner.thing(), await owner.group()
        made = await owner.ask("PUT", f"/groups/{group}/files/a.bin", b"bytes", Content_Type="a/b")
        assert 201 == made.status, made
        clients = {"owner": owner, DISABLED: disabled, "admin": admin}
        for who, limits in (
            (READS, {"read_only": True}),
            (GROUP, {"group_id": group}),
            (THING, {"thing_id": thing["id"]}),
        ):
            key = (await owner.ask("POST", "/keys", {"type": 2, "name": who, **limits})).json
            clients[who] = Client(session, gateway.url, key["value"])
        yield World(clients, {"group": group, "thing": thing["id"], "thing_key": thing["key"]})


def filled(route: str, named: dict[str, str]) -> tuple[str, str]:
    """The method, and the path with something in its places."""
    method, _, path = route.partition(" ")
    entity = named["group"] if path.startswith("/groups/") else named["thing"]
    path = path.replace("{id}", entity).replace("{name}", "a.bin").replace("{subtopic:.*}", "x")
    while "{" in path:
        before, _, rest = path.partition("{")
        path = (
            before + (_HEX if "/applications" in path else named["thing"]) + rest.partition("}")[2]
        )
    return method, path


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("dialect", "route"), routes(), ids=[f"{name}: {route}" for name, route in routes()]
)
async def test_a_key_reaches_what_is_written(world: World, dialect: str, route: str) -> None:
    """What is let in may find a body missing: it is let in all the same."""
    method, path = filled(route, world.named)
    said = ""
    for who in WHO:
        answer = await world.clients[who].ask(method, path)
        limited = answer.status == 403 and "limited" in answer.text
        said += "x" if limited else "-" if answer.status == 401 else "."
    expected = cell(route)
    if route in THINGS_OWN:
        expected = "----"
    assert expected == said, (dialect, method, path)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", [GROUP, THING])
async def test_a_key_of_one_reaches_no_other(world: World, who: str) -> None:
    """Not one of the same owner, in any spelling of the id, nor below the prefix."""
    owner, named = world.clients["owner"], world.named
    other = await owner.group() if who == GROUP else (await owner.thing())["id"]
    kind, own = ("groups", named["group"]) if who == GROUP else ("things", named["thing"])
    for prefix in ("", "/filestore"):
        for entity, expected in ((own, 200), (own.upper(), 200), (other, 403), (f"{{{own}}}", 403)):
            answer = await world.clients[who].ask("GET", f"{prefix}/{kind}/{entity}")
            assert (entity, expected) == (entity, answer.status)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_limited_key_is_shown_a_thing_s_key(world: World) -> None:
    """Else it would be as good as all of the thing, for ever."""
    named = world.named
    owner = world.clients["owner"]
    members = {"members": [named["thing"]]}
    assert 200 == (await owner.ask("POST", f"/groups/{named['group']}/members", members)).status
    for who, paths in (
        (READS, ("/things", f"/things/{named['thing']}", f"/groups/{named['group']}/members")),
        (GROUP, (f"/groups/{named['group']}/members",)),
        (THING, (f"/things/{named['thing']}",)),
    ):
        for path in paths:
            assert named["thing_key"] in (await owner.ask("GET", path)).text
            said = await world.clients[who].ask("GET", path)
            assert (who, path, 200) == (who, path, said.status)
            assert named["thing_key"] not in said.text
    changed = await world.clients[THING].ask("PUT", f"/things/{named['thing']}", {"key": "k" * 32})
    assert 403 == changed.status


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", [READS, THING])
async def test_no_limited_key_sees_webhooks(world: World, who: str) -> None:
    """They are for whoever may see the thing's key; their addresses carry secrets."""
    assert (
        200 == (await world.clients["owner"].ask("GET", f"/webhooks/{world.named['thing']}")).status
    )
    assert 403 == (await world.clients[who].ask("GET", f"/webhooks/{world.named['thing']}")).status


@pytest.mark.asyncio(loop_scope="module")
async def test_an_administrator_sees_and_ends_the_keys_of_anybody(world: World) -> None:
    owner, admin = world.clients["owner"], world.clients["admin"]
    [account] = (await owner.ask("GET", "/users")).json["users"]
    made = (await owner.ask("POST", "/keys", {"type": 2, "name": "stolen"})).json
    thief = Client(owner.session, owner.url, made["value"])
    assert 200 == (await thief.ask("GET", "/groups")).status
    listed = (await admin.ask("GET", f"/users/{account['id']}/keys?limit=100")).json["keys"]
    shown = {key["name"]: key for key in listed}
    assert {READS, GROUP, THING, "stolen"} == set(shown)
    assert (True, world.named["group"]) == (shown[READS]["read_only"], shown[GROUP]["group_id"])
    assert "value" not in json.dumps(listed)
    assert 204 == (await admin.ask("DELETE", f"/keys/{made['id']}")).status
    assert 401 == (await thief.ask("GET", "/groups")).status


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"read_only": "yes"}, id="no flag"),
        pytest.param({"group_id": "{group}", "thing_id": "{thing}"}, id="of two"),
        pytest.param({"group_id": str(UUID(int=0))}, id="no such group"),
        pytest.param({"thing_id": str(UUID(int=0))}, id="no such thing"),
        pytest.param({"thing_id": "{group}"}, id="a group for a thing"),
        pytest.param({"name": "a\0b"}, id="a control in its name"),
    ],
)
async def test_limits_that_mean_nothing_make_no_key(world: World, body: dict[str, object]) -> None:
    owner = world.clients["owner"]
    before = (await owner.ask("GET", "/keys")).json["total"]
    text = json.dumps({"type": 2, **body})
    for name in ("group", "thing"):
        text = text.replace("{" + name + "}", world.named[name])
    assert (await owner.ask("POST", "/keys", text.encode())).status in (400, 404)
    assert before == (await owner.ask("GET", "/keys")).json["total"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_key_ends_with_the_group_that_it_is_of(world: World) -> None:
    """It must not become one without limits."""
    owner = world.clients["owner"]
    group = await owner.group()
    key = (await owner.ask("POST", "/keys", {"type": 2, "group_id": group})).json
    holder = Client(owner.session, owner.url, key["value"])
    assert 200 == (await holder.ask("GET", f"/groups/{group}")).status
    assert 204 == (await owner.ask("DELETE", f"/groups/{group}")).status
    assert 401 == (await holder.ask("GET", "/groups")).status
