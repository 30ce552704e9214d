"""Nobody comes to what is another's: every route of every API, asked by everybody who should not.

What is asked about is the owner's: a thing, a group with a viewer, files of both, an application with a file and a token, a
user file. Each cell is the status that is told. The owner and the administrator stand beside the others, for a
request that fails for them too would prove nothing. A route without a row fails ``test_no_route_is_left_out``; those
that Mainflux has for identities have their rows in ``mainflux/test_matrix.py``.

Callers with a certificate are the thing that it is bound to, and have its cells.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from gateway.dialects import DIALECTS
from gateway.web.dialect import Route
from tests.dialects.gravwell.conftest import FORM, form
from tests.dialects.mainflux import test_matrix as identities
from tests.tools.client import PASSWORD, Answer, Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside

WHO = (
    "nobody",
    "tenant",
    "tenant's thing",
    "viewer",
    "disabled",
    "reading key",
    "other thing's key",
    "owner",
    "admin",
)
CONTENT = b"the owner's bytes"

# Bodies: none, JSON as it stands, or one of these.
FILE = "a form with a file"
RAW = "bytes as they are"
META = "a form with meta and a file"
PRIVATE = "a form with a private file"
LOGIN = "the owner's password"

MATRIX: list[tuple[str, str, str]] = [
    ("GET /files/fw.bin", "", "401 401 404 401 401 401 401 200 401"),
    ("HEAD /files/fw.bin", "", "401 401 404 401 401 401 401 200 401"),
    ("POST /files", FILE, "401 401 201 401 401 401 401 201 401"),
    ("GET /files", "", "401 401 200 401 401 401 401 200 401"),
    ("PUT /files/fw.bin", RAW, "401 401 201 401 401 401 401 200 401"),
    ("DELETE /files/fw.bin", "", "401 401 404 401 401 401 401 204 401"),
    ("POST /groups/{group}/files", FILE, "401 404 401 403 401 403 403 201 201"),
    ("GET /groups/{group}/files", "", "401 404 404 200 401 200 403 200 200"),
    ("GET /groups/{group}/files/g.bin", "", "401 404 404 200 401 200 403 200 200"),
    ("HEAD /groups/{group}/files/g.bin", "", "401 404 404 200 401 200 403 200 200"),
    ("PUT /groups/{group}/files/g.bin", RAW, "401 404 401 403 401 403 403 200 200"),
    ("DELETE /groups/{group}/files/g.bin", "", "401 404 401 403 401 403 403 204 204"),
    ("GET /files/sha256/{digest}/fw.bin", "", "401 401 404 401 401 401 401 200 401"),
    ("HEAD /files/sha256/{digest}/fw.bin", "", "401 401 404 401 401 401 401 200 401"),
    ("GET /groups/{group}/files/sha256/{digest}/g.bin", "", "401 404 404 200 401 200 403 200 200"),
    ("HEAD /groups/{group}/files/sha256/{digest}/g.bin", "", "401 404 404 200 401 200 403 200 200"),
    ("POST /groups/{group}/files/sha256/{digest}/g.bin", "{}", "401 404 404 404 401 404 403 404 404"),
    ("GET /groupfiles/sha256/{digest}/g.bin", "", "401 401 404 401 401 401 401 401 401"),
    ("HEAD /groupfiles/sha256/{digest}/g.bin", "", "401 401 404 401 401 401 401 401 401"),
    ("GET /groupfiles", "", "401 401 200 401 401 401 401 401 401"),
    ("GET /groupfiles/g.bin", "", "401 401 404 401 401 401 401 401 401"),
    ("HEAD /groupfiles/g.bin", "", "401 401 404 401 401 401 401 401 401"),
    ("POST /register", '{"email": "{fresh}@email.com", "password": "correct-horse"}', "201 201 201 201 201 403 403 201 201"),
    ("GET /users/profile", "", "401 200 401 200 401 200 403 200 200"),
    ("POST /things/bulk", '[{"name": "x"}]', "401 201 401 201 401 403 403 201 201"),
    ("POST /things/search", '{"name": "sensor"}', "401 200 401 200 401 200 403 200 200"),
    ("PATCH /things/{thing}/key", '{"key": "{fresh}"}', "401 404 401 403 401 403 403 200 200"),
    ("POST /channels/bulk", '[{"name": "x"}]', "401 201 401 201 401 403 403 201 201"),
    ("POST /channels/search", '{"name": "x"}', "401 200 401 200 401 200 403 200 200"),
    ("GET /groups/{group}/children", "", "401 404 401 200 401 200 403 200 200"),
    ("GET /groups/{group}/parents", "", "401 404 401 200 401 200 403 200 200"),
    ("GET /groups/{group}/things", "", "401 404 401 200 401 200 403 200 200"),
    ("GET /groups/{group}/channels", "", "401 404 401 200 401 200 403 200 200"),
    ("GET /members/{owner}/groups", "", "401 404 401 404 401 200 403 200 200"),
    ("POST /v1/file", FILE, "400 403 401 403 401 403 403 403 200"),
    ("GET /v1/file", "", "400 400 400 400 400 400 400 400 400"),
    ("HEAD /v1/file", "", "400 400 400 400 400 400 400 400 400"),
    ("PUT /v1/file", FILE, "400 400 400 400 400 400 400 400 400"),
    ("DELETE /v1/file", "", "400 400 400 400 400 400 400 400 400"),
    ("POST /v1/file/", FILE, "400 403 401 403 401 403 403 403 200"),
    ("GET /v1/file/", "", "400 400 400 400 400 400 400 400 400"),
    ("HEAD /v1/file/", "", "400 400 400 400 400 400 400 400 400"),
    ("PUT /v1/file/", FILE, "400 400 400 400 400 400 400 400 400"),
    ("DELETE /v1/file/", "", "400 400 400 400 400 400 400 400 400"),
    ("POST /v1/file/{hasura_file}", FILE, "400 403 401 403 401 403 403 403 400"),
    ("PUT /v1/file/{hasura_file}", FILE, "400 403 401 403 401 403 403 403 200"),
    ("GET /v1/file/{hasura_file}", "", "400 403 401 403 401 403 403 403 200"),
    ("HEAD /v1/file/{hasura_file}", "", "400 403 401 403 401 403 403 403 200"),
    ("DELETE /v1/file/{hasura_file}", "", "400 403 401 403 401 403 403 403 200"),
    ("POST /api/files", META, "401 200 401 200 401 403 403 200 200"),
    ("GET /api/files", "", "401 200 401 200 401 200 403 200 200"),
    ("GET /api/files/{user_file}", "", "401 404 401 404 401 200 403 200 404"),
    ("HEAD /api/files/{user_file}", "", "401 404 401 404 401 200 403 200 404"),
    ("POST /api/files/{user_file}", FILE, "401 404 401 404 401 403 403 200 404"),
    ("PUT /api/files/{user_file}", FILE, "401 404 401 404 401 403 403 200 404"),
    ("PATCH /api/files/{user_file}", '{"Name": "x"}', "401 404 401 404 401 403 403 200 404"),
    ("DELETE /api/files/{user_file}", "", "401 404 401 404 401 403 403 200 404"),
    ("GET /api/files/{user_file}/details", "", "401 404 401 404 401 200 403 200 404"),
    ("GET /api/version", "", "200 200 200 200 200 200 200 200 200"),
    ("GET /api/test", "", "200 200 200 200 200 200 200 200 200"),
    ("GET /api/testauth", "", "401 200 401 200 401 200 403 200 200"),
    ("GET /api/login/refreshtoken", "", "401 200 401 200 401 401 403 200 200"),
    ("GET /api/info/whoami", "", "401 200 401 200 401 200 403 200 200"),
    ("GET /api/settings", "", "401 200 401 200 401 200 403 200 200"),
    ("POST /auth/user", '{"email": "owner@email.com", "password": "correct-horse"}', "200 200 200 200 200 200 200 200 200"),
    ("GET /applications", "", "401 200 401 200 401 200 403 200 200"),
    ("POST /applications", '{"name": "x"}', "401 201 401 201 401 403 403 201 201"),
    ("GET /applications/{application}", "", "401 404 401 404 401 200 403 200 200"),
    ("GET /applications/{application}/tokens", "", "401 404 401 404 401 200 403 200 200"),
    ("POST /applications/{application}/tokens", '{"name": "x", "scope": ["all.Application"]}', "401 404 401 404 401 403 403 201 201"),
    ("GET /applications/{application}/tokens/{token}", "", "401 404 401 404 401 200 403 200 200"),
    ("PATCH /applications/{application}/tokens/{token}", '{"name": "y"}', "401 404 401 404 401 403 403 200 200"),
    ("DELETE /applications/{application}/tokens/{token}", "", "401 404 401 404 401 403 403 200 200"),
    ("GET /applications/{application}/privateFiles", "", "401 404 401 404 401 200 403 200 200"),
    ("POST /applications/{application}/privateFiles", '{"name": "{fresh}", "type": "file", "fileSize": 5}', "401 404 401 404 401 403 403 201 201"),
    ("GET /applications/{application}/privateFiles/{file}", "", "401 404 401 404 401 200 403 200 200"),
    ("PATCH /applications/{application}/privateFiles/{file}", '{"fileSize": 7}', "401 404 401 404 401 403 403 201 201"),
    ("POST /applications/{application}/privateFiles/{file}/move?name=moved.bin", "", "401 404 401 404 401 403 403 201 201"),
    ("POST /applications/{application}/privateFiles/{file}/upload", PRIVATE, "401 404 401 404 401 403 403 200 200"),
    ("DELETE /applications/{application}/privateFiles/{file}", "", "401 404 401 404 401 403 403 200 200"),
    ("DELETE /applications/{application}", "", "401 404 401 404 401 403 403 200 200"),
    ("POST /private-files", FILE, "400 400 400 400 400 400 400 400 400"),
    ("POST /private-files/", FILE, "400 400 400 400 400 400 400 400 400"),
    ("GET /private-files/{application}/{file}/p.bin", "", "403 403 403 403 403 403 403 403 403"),
    ("HEAD /private-files/{application}/{file}/p.bin", "", "403 403 403 403 403 403 403 403 403"),
    ("POST /api/login", LOGIN, "200 200 200 200 200 200 200 200 200"),
    ("PUT /api/logout", "", "401 200 401 200 401 401 401 200 200"),
    ("DELETE /api/logout", "", "401 200 401 200 401 403 403 200 200"),
]  # fmt: skip


@dataclass
class Scene:
    """Everybody, and what the owner has."""

    clients: dict[str, Client]
    named: dict[str, str] = field(default_factory=dict)

    async def ask(self, who: str, route: str, body: str) -> Answer:
        """The route as this caller asks it."""
        method, _, path = route.partition(" ")
        client = self.clients["nobody" if "thing" in who and "key" not in who else who]
        more: dict[str, str] = {}
        if who == "tenant's thing":
            more["Authorization"] = f"Thing {self.named['tenant_key']}"
        elif path.startswith("/files") and who == "owner":
            client, more["Authorization"] = self.clients["nobody"], f"Thing {self.named['key']}"
        place = filled(path, self.named)
        if not body:
            return await client.ask(method, place, **more)
        content, kind = written(body, self.named)
        return await client.ask(method, place, content, Content_Type=kind, **more)

    async def anew(self) -> None:
        """What the owner has, made again."""
        owner, admin, named = self.clients["owner"], self.clients["admin"], self.named
        thing = await owner.thing()
        named["tenant_key"] = (await self.clients["tenant"].thing())["key"]
        named |= {"thing": thing["id"], "key": thing["key"], "fresh": uuid4().hex}
        key = f"Thing {thing['key']}"
        raw = {"Content_Type": "application/octet-stream"}
        assert (await self._put("/files/fw.bin", Authorization=key, **raw)).status < 300
        group = named["group"] = await owner.group()
        member = {"email": "viewer@email.com", "role": "viewer"}
        gone = {"email": "disabled@email.com", "role": "owner"}
        members = {"members": [thing["id"], member, gone]}
        answer = await owner.ask("POST", f"/groups/{group}/members", members)
        assert answer.status < 300, answer
        answer = await owner.ask("PUT", f"/groups/{group}/files/g.bin", CONTENT, **raw)
        assert answer.status < 300, answer
        made = await owner.ask("POST", "/channels", [{"name": "hall"}])
        named["channel"] = made.json["channels"][0]["id"]
        made = await owner.ask("POST", "/applications", {"name": "app"})
        assert made.status < 300, made
        named["application"] = made.json["applicationId"]
        base = f"/applications/{named['application']}"
        made = await owner.ask(
            "POST", f"{base}/privateFiles", {"name": "p.bin", "type": "file", "fileSize": 13}
        )
        named["file"] = made.json["id"]
        made = await owner.ask(
            "POST", f"{base}/tokens", {"name": "t", "scope": ["all.Application"]}
        )
        named["token"] = made.json["id"]
        made = await owner.ask(
            "POST", "/api/files", form([("meta", b"{}"), ("file", CONTENT)]), Content_Type=FORM
        )
        named["user_file"] = made.json["ThingUUID"]
        made = await admin.ask("POST", "/v1/file", form([("file", CONTENT)]), Content_Type=FORM)
        named["hasura_file"] = made.json["file_id"]

    async def log_in(self, who: str) -> Client:
        """The same once more, who was logged out."""
        said = {"email": f"{who}@email.com", "password": PASSWORD}
        if who == "admin":
            said = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        nobody = self.clients["nobody"]
        answer = await nobody.ask("POST", "/tokens", said)
        return Client(nobody.session, nobody.url, answer.json["token"])

    async def _put(self, path: str, **headers: str) -> Answer:
        return await self.clients["nobody"].ask("PUT", path, CONTENT, **headers)

    async def is_whole(self) -> bool:
        """Whether the owner's files have the owner's bytes."""
        owner, key = self.clients["owner"], f"Thing {self.named['key']}"
        own = await self.clients["nobody"].ask("GET", "/files/fw.bin", Authorization=key)
        shared = await owner.ask("GET", f"/groups/{self.named['group']}/files/g.bin")
        user = await owner.ask("GET", f"/api/files/{self.named['user_file']}")
        return [own.text, shared.text, user.text] == [CONTENT.decode()] * 3


def filled(text: str, named: dict[str, str]) -> str:
    for name, value in named.items():
        text = text.replace("{" + name + "}", value)
    return text


def written(body: str, named: dict[str, str]) -> tuple[bytes, str]:
    """A body and its type."""
    if body == FILE:
        return form([("file", b"foreign bytes")]), FORM
    if body == META:
        return form([("meta", b"{}"), ("file", b"foreign bytes")]), FORM
    if body == PRIVATE:
        return form([("file", b"foreign bytes")]).replace(
            b'name="file";', b'name="privateFile";'
        ), FORM
    if body == LOGIN:
        return f"User=owner@email.com&Pass={PASSWORD}".encode(), "application/x-www-form-urlencoded"
    if body == RAW:
        return b"foreign bytes", "application/octet-stream"
    return filled(body, named).encode(), "application/json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("tenants")
    async with (
        gateway_inside(folder, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        nobody = Client(session, gateway.url)
        said = await nobody.ask(
            "POST", "/tokens", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        )
        admin = Client(session, gateway.url, said.json["token"])
        made = Scene({"nobody": nobody, "admin": admin})
        for role in ("tenant", "viewer", "disabled", "owner"):
            made.clients[role] = await nobody.sign_up(f"{role}@email.com")
        other = await made.clients["owner"].thing()
        await made.anew()
        for name, limits in (
            ("reading key", {"read_only": True}),
            ("other thing's key", {"thing_id": other["id"]}),
        ):
            key = await made.clients["owner"].ask("POST", "/keys", {"type": 2, **limits})
            made.clients[name] = Client(session, gateway.url, key.json["value"])
        [account] = (await made.clients["disabled"].ask("GET", "/users")).json["users"]
        made.named["disabled"] = account["id"]
        [account] = (await made.clients["owner"].ask("GET", "/users")).json["users"]
        made.named["owner"] = account["id"]
        answer = await admin.ask("POST", f"/users/{made.named['disabled']}/disable")
        assert answer.status == 204
        made.named["digest"] = hashlib.sha256(CONTENT).hexdigest()
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("route", "body", "statuses"), MATRIX, ids=[row[0] for row in MATRIX])
async def test_what_is_anothers_is_kept_from_everybody(
    scene: Scene, route: str, body: str, statuses: str
) -> None:
    """What is refused leaves the owner's bytes as they are."""
    said: dict[str, str] = {}
    for who in WHO:
        answer = await scene.ask(who, route, body)
        said[who] = str(answer.status)
        if route.endswith("/logout") and answer.status == 200:
            scene.clients[who] = await scene.log_in(who)
        if not route.startswith(("GET", "HEAD")) and answer.status < 300:
            await scene.anew()
    assert await scene.is_whole()
    assert dict(zip(WHO, statuses.split(), strict=True)) == said


_PATTERN = re.compile(r"[{]([a-z_]+):[^}]*[}]")
_BARE = r"{\1}"
NAMES = {
    "{thing}": "{id}",
    "{group}": "{id}",
    "{channel}": "{id}",
    "{owner}": "{id}",
    "{user_file}": "{id}",
    "{hasura_file}": "{file_id}",
    "fw.bin": "{name}",
    "g.bin": "{name}",
    "p.bin": "{name}",
}


def as_routed(route: str) -> str:
    """The route that a row is about."""
    for name, parameter in NAMES.items():
        route = route.replace(name, parameter)
    return route.partition("?")[0]


def served() -> set[str]:
    """Every route of every API."""
    routes: list[Route] = [route for dialect in DIALECTS for route in dialect.routes]
    return {f"{r.method} {_PATTERN.sub(_BARE, r.path)}" for r in routes}


def test_no_route_is_left_out() -> None:
    elsewhere = {identities._as_routed(route) for route, _, _ in identities.MATRIX}
    assert served() - elsewhere == {as_routed(route) for route, _, _ in MATRIX}
