"""A right that ends while an upload is under way ends the upload, too.

Half of a body is sent and the right is taken away: the upload is cut within two seconds, and has left
nothing: no row, no blob. Each API words the refusal as it does for whoever comes without the right. How
the commit itself asks again is in ``tests/contract/test_guard.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from gateway.model.access import FRESH_SECONDS
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, sign_in
from tests.tools.rawhttp import Answer, multipart, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct-horse"
CONTENT = bytes(1 << 20)
CUT_SECONDS = 20.0
"""A third of what an upload may stall, after which it would be cut anyway."""
JSON = ("Content-Type", "application/json")


@dataclass
class Scene:
    """An administrator, who takes away, and somebody who has what is taken away."""

    gateway: GatewayProcess
    admin: User
    someone: User
    email: str
    id: str
    group: str = ""
    thing: Thing = field(default_factory=lambda: Thing("", ""))
    key_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, user: User, method: str, path: str, body: object = None) -> object:
        """Must be granted; its JSON."""
        async with user.session.request(
            method, f"{self.gateway.url}{path}", json=body, headers=user.headers
        ) as answer:
            text = await answer.text()
            assert answer.status < 300, (path, answer.status, text)
            return json.loads(text) if text else None

    def stored(self) -> set[str]:
        """The names of everything that has bytes."""
        found = (self.gateway.data_dir / "blobs").rglob("*")
        return {path.name for path in found if path.is_file()}

    def incoming(self) -> list[Path]:
        return list((self.gateway.data_dir / "incoming").glob("*.part"))


@pytest_asyncio.fixture(loop_scope="module")
async def scene(gateway: GatewayProcess) -> AsyncIterator[Scene]:
    email = f"{uuid4()}@test.test"
    async with aiohttp.ClientSession() as session:
        admin = await sign_in(session, gateway.url)
        said = {"email": email, "password": PASSWORD}
        async with session.post(f"{gateway.url}/users", json=said, headers=admin.headers) as answer:
            identifier = answer.headers["Location"].rpartition("/")[2]
        someone = await sign_in(session, gateway.url, email, PASSWORD)
        yield Scene(gateway, admin, someone, email, identifier)


# What is had.


async def a_thing(scene: Scene) -> str:
    scene.thing = await scene.admin.thing()
    scene.headers = scene.thing.headers
    return "/files"


async def a_group(scene: Scene) -> str:
    scene.group = await scene.admin.group("g")
    await with_role(scene, "editor")
    scene.headers = scene.someone.headers
    return f"/groups/{scene.group}/files"


async def an_api_key(scene: Scene) -> str:
    path = await a_group(scene)
    key = await scene.ask(scene.someone, "POST", "/keys", {"type": 2})
    assert isinstance(key, dict)
    scene.key_id, scene.headers = key["id"], {"Authorization": f"Bearer {key['value']}"}
    return path


async def administration(scene: Scene) -> str:
    """Of the Hasura files."""
    await scene.ask(scene.admin, "POST", "/policies", authority(scene))
    scene.headers = scene.someone.headers
    return f"/v1/file/{uuid4()}"


async def user_files(scene: Scene) -> str:
    """Of the Gravwell API."""
    scene.headers = scene.someone.headers
    return "/api/files"


# How it ends.


async def with_role(scene: Scene, role: str) -> None:
    body = {"members": [{"email": scene.email, "role": role}]}
    await scene.ask(scene.admin, "POST", f"/groups/{scene.group}/members", body)


async def another_key(scene: Scene) -> None:
    await scene.ask(scene.admin, "PUT", f"/things/{scene.thing.id}", {"key": uuid4().hex})


async def thing_removed(scene: Scene) -> None:
    await scene.ask(scene.admin, "DELETE", f"/things/{scene.thing.id}")


async def out_of_the_group(scene: Scene) -> None:
    body = {"members": [scene.id]}
    await scene.ask(scene.admin, "DELETE", f"/groups/{scene.group}/members", body)


async def only_viewer(scene: Scene) -> None:
    await with_role(scene, "viewer")


async def group_removed(scene: Scene) -> None:
    await scene.ask(scene.admin, "DELETE", f"/groups/{scene.group}")


async def another_password(scene: Scene) -> None:
    body = {"old_password": PASSWORD, "password": f"{PASSWORD}!"}
    await scene.ask(scene.someone, "PATCH", "/password", body)


async def locked(scene: Scene) -> None:
    await scene.ask(scene.admin, "POST", f"/users/{scene.id}/disable")


async def logged_out(scene: Scene) -> None:
    async with scene.someone.session.put(
        f"{scene.gateway.url}/api/logout", headers=scene.someone.headers
    ) as answer:
        assert answer.status == 200


async def key_revoked(scene: Scene) -> None:
    await scene.ask(scene.someone, "DELETE", f"/keys/{scene.key_id}")


async def no_administrator(scene: Scene) -> None:
    await scene.ask(scene.admin, "PUT", "/policies", authority(scene))


async def nothing(scene: Scene) -> None:
    del scene


def authority(scene: Scene) -> dict[str, object]:
    return {"object": "authorities", "subjects": [scene.id], "policies": ["member"]}


Step = Callable[[Scene], Awaitable[None]]
Have = Callable[[Scene], Awaitable[str]]
TABLE: list[tuple[int, Have, Step]] = [
    (200, a_thing, nothing),
    (403, a_thing, another_key),
    (403, a_thing, thing_removed),
    (200, a_group, nothing),
    (404, a_group, out_of_the_group),
    (403, a_group, only_viewer),
    (404, a_group, group_removed),
    (401, a_group, another_password),
    (401, a_group, locked),
    (401, a_group, logged_out),
    (200, an_api_key, nothing),
    (401, an_api_key, key_revoked),
    (401, an_api_key, locked),
    (404, an_api_key, out_of_the_group),
    (200, administration, nothing),
    (403, administration, no_administrator),
    (401, administration, another_password),
    (401, administration, locked),
    (200, user_files, nothing),
    (401, user_files, another_password),
    (401, user_files, logged_out),
    (401, user_files, locked),
]


@pytest.mark.parametrize("old", [False, True], ids=["POST", "PUT"])
@pytest.mark.parametrize(
    ("expected", "have", "end"), TABLE, ids=[f"{h.__name__}-{e.__name__}" for _, h, e in TABLE]
)
async def test_an_upload_ends_with_the_right_to_it(
    scene: Scene, expected: int, have: Have, end: Step, old: bool
) -> None:
    collection = await have(scene)
    method, path = await target(scene, collection, old=old)
    before = scene.stored()
    answer = await upload_and(scene, method, path, lambda: end(scene), cut=expected != 200)
    if expected == 200:
        assert answer.status in (200, 201), answer
        assert len(scene.stored()) == len(before) + 1
    else:
        assert answer.status == expected, answer
        assert scene.stored() == before
    assert scene.incoming() == []


async def target(scene: Scene, collection: str, *, old: bool) -> tuple[str, str]:
    """Where to send to: a new file, or one that there is."""
    is_named = collection.startswith("/v1/")
    if not old:
        return "POST", collection
    first = await upload_and(scene, "POST", collection, None)
    assert first.status in (200, 201), first
    if is_named:
        return "PUT", collection
    if collection == "/api/files":
        return "PUT", f"/api/files/{json.loads(first.body)['ThingUUID']}"
    return "PUT", f"{collection}/fw.bin"


async def upload_and(
    scene: Scene,
    method: str,
    path: str,
    meanwhile: Callable[[], Awaitable[None]] | None,
    part: str = "file",
    *,
    cut: bool = False,
    port: int | None = None,
) -> Answer:
    """The upload, in whose middle something happens, which is answered at once if it is ``cut``."""
    disposition = f'Content-Disposition: form-data; name="{part}"; filename="fw.bin"'
    headers, body = multipart([(disposition, CONTENT)])
    async with raw_connection(port or scene.gateway.port) as raw:
        await raw.send_head(method, path, [*scene.headers.items(), *headers])
        await raw.send(body[: len(body) // 2])
        if meanwhile is not None:
            async with asyncio.timeout(20):
                while not scene.incoming():
                    await asyncio.sleep(0.01)
            await meanwhile()
        if not cut:
            await raw.send(body[len(body) // 2 :])
        async with asyncio.timeout(CUT_SECONDS if cut else 30):
            return await raw.read_answer()


async def test_a_share_that_ends_ends_the_upload_through_it(scene: Scene) -> None:
    """The user files of the Gravwell API: somebody else's, writable for a group. Unseen, it is absent."""
    await a_group(scene)
    scene.headers = scene.admin.headers
    _, path = await target(scene, "/api/files", old=True)
    known = await scene.ask(scene.someone, "GET", "/api/info/whoami")
    assert isinstance(known, dict)
    [group] = known["Groups"]
    access = {"Global": False, "GIDs": [group["GID"]]}
    said = {"GIDs": [group["GID"]], "WriteAccess": access}
    await scene.ask(scene.admin, "PATCH", path, said)
    scene.headers = scene.someone.headers
    assert (await upload_and(scene, "PUT", path, None)).status == 200
    before = scene.stored()
    answer = await upload_and(scene, "PUT", path, lambda: out_of_the_group(scene), cut=True)
    assert (answer.status, scene.stored()) == (404, before)


@pytest.mark.parametrize(("expected", "end"), [(200, nothing), (401, locked), (401, logged_out)])
async def test_an_upload_to_an_application_ends_with_its_callers_right(
    scene: Scene, expected: int, end: Step
) -> None:
    """In one step, by the Losant API."""
    scene.headers = scene.someone.headers
    made = await scene.ask(scene.someone, "POST", "/applications", {"name": "a"})
    assert isinstance(made, dict)
    files = f"/applications/{made['id']}/privateFiles"
    said = {"name": "fw.bin", "type": "file", "parentDirectory": "/", "fileSize": len(CONTENT)}
    file = await scene.ask(
        scene.someone, "POST", files, {**said, "contentType": "application/octet-stream"}
    )
    assert isinstance(file, dict)
    before, path = scene.stored(), f"{files}/{file['id']}/upload"
    answer = await upload_and(
        scene, "POST", path, lambda: end(scene), "privateFile", cut=expected != 200
    )
    assert answer.status == expected, answer
    assert len(scene.stored() - before) == (expected == 200)


async def test_a_credential_that_ends_while_a_json_body_comes_changes_nothing(
    scene: Scene,
) -> None:
    body = b'{"metadata": {"a": 1}}'
    head = [*scene.someone.headers.items(), JSON, ("Content-Length", str(len(body)))]
    async with raw_connection(scene.gateway.port) as raw:
        await raw.send_head("PUT", "/users", [*head, ("Expect", "100-continue")])
        assert (await raw.read_head()).status == 100
        await raw.send(body[:5])
        await asyncio.sleep(2 * FRESH_SECONDS)
        await another_password(scene)
        await raw.send(body[5:])
        assert (await raw.read_answer()).status == 401
    shown = await scene.ask(scene.admin, "GET", f"/users/{scene.id}")
    assert isinstance(shown, dict)
    assert "metadata" not in shown


async def test_a_role_that_ends_while_metadata_of_a_file_comes_changes_nothing(
    scene: Scene,
) -> None:
    collection = await a_group(scene)
    _, path = await target(scene, collection, old=True)
    body = b'{"metadata": {"a": 1}}'
    head = [*scene.headers.items(), JSON, ("Content-Length", str(len(body)))]
    async with raw_connection(scene.gateway.port) as raw:
        await raw.send_head("PUT", path, [*head, ("Expect", "100-continue")])
        assert (await raw.read_head()).status == 100
        await asyncio.sleep(2 * FRESH_SECONDS)
        await only_viewer(scene)
        await raw.send(body)
        assert (await raw.read_answer()).status == 403
