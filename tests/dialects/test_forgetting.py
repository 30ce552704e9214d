"""What callers may read is looked up again when something may have changed it, and at nobody else's bidding.

Everything is kept for an hour here, and forgotten as the database says: as on any other worker and gateway. Each case
reads until it is kept, takes a right away, and reads once more. Bystanders of every API have reads kept meanwhile:
nobody else's change may cost them anything.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from aiohttp.web import Application

from gateway.database.pool import Database, open_database
from gateway.identity.rows.users import add_user, make_admin
from gateway.web.authentication import CALLERS
from gateway.web.downloads.context import DOWNLOADS
from tests.dialects.conftest import HASH, ROOT_EMAIL
from tests.dialects.gravwell.conftest import add, numbers_of_groups
from tests.tools.certificates import Authority
from tests.tools.client import PASSWORD, Client
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.tools.inside import hearing_application
from tests.tools.ports import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")

Headers = dict[str, str]


@dataclass
class Person:
    """Somebody with an account."""

    id: str
    email: str
    client: Client

    async def ask(self, method: str, path: str, body: object = ...) -> dict[str, object]:
        """Must be granted; its JSON, with ``created`` for the id in its Location."""
        answer = await self.client.ask(method, path, body)
        assert answer.status < 300, (method, path, answer)
        said = answer.json if answer.text.startswith("{") else {}
        return said | ({"created": answer.created} if "Location" in answer.headers else {})

    @property
    def headers(self) -> Headers:
        return {"Authorization": f"Bearer {self.client.token}"}


@dataclass
class Scene:
    """A gateway that keeps what it knows, and its people."""

    app: Application
    nobody: Client
    database: Database
    authority: Authority
    root: Person = field(init=False)
    bystanders: dict[str, tuple[str, Headers]] = field(default_factory=dict)

    async def person(self) -> Person:
        """Somebody new."""
        email, identity = f"{uuid4()}@test.test", uuid4()
        await add_user(self.database, identity, email, HASH, {})
        return Person(str(identity), email, await self.nobody.log_in(email))

    async def status(self, path: str, headers: Headers) -> int:
        async with self.nobody.session.get(self.nobody.url + path, headers=headers) as answer:
            await answer.read()
            return answer.status

    def kept(self) -> set[str]:
        """The bystanders whose reads are still known."""
        reads, found = self.app[DOWNLOADS].reads, set[str]()
        for name, (path, headers) in self.bystanders.items():
            credential: object = (headers["Authorization"],)
            for key in (credential, ((), credential), ((), (), (), (), credential, True)):
                if (known := reads.find((path, key))) is not None:
                    known.reader.release()
                    found.add(name)
        return found


@dataclass
class Reading:
    """What is read by whom, and what their right to it is made of."""

    path: str
    headers: Headers
    owner: Person
    reader: Person
    group: str = ""
    org: str = ""
    thing: str = ""
    key: str = ""
    file: str = ""


Have = Callable[[Scene], Awaitable[Reading]]
End = Callable[[Scene, Reading], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Scene]:
    url = await new_database(postgres_server, copied=True)
    folder = tmp_path_factory.mktemp("forgetting")
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, sql_folders()))
        await make_admin(database, uuid4(), ROOT_EMAIL, HASH)
        app = await stack.enter_async_context(
            hearing_application(folder, url, read_cache_seconds=3600, trusted_proxies=f"{HOST}/32")
        )
        server = await stack.enter_async_context(TestServer(app))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        nobody = Client(session, str(server.make_url("")).rstrip("/"))
        made = Scene(app, nobody, database, Authority(folder))
        made.root = Person("", ROOT_EMAIL, await nobody.log_in(ROOT_EMAIL))
        for have in (a_thing, a_member, an_org_owner, an_administrator, by_guid):
            read = await have(made)
            made.bystanders[have.__name__] = (read.path, read.headers)
        yield made


# What somebody may read.


async def put(owner: Person, path: str, headers: Headers | None = None, status: int = 201) -> str:
    sent = {"Content-Type": "application/octet-stream", **(headers or owner.headers)}
    async with owner.client.session.put(
        owner.client.url + path, data=b"firmware", headers=sent
    ) as answer:
        assert answer.status == status, await answer.text()
    return path


async def a_thing(scene: Scene) -> Reading:
    """Its own file."""
    owner = await scene.person()
    thing = await owner.client.thing()
    headers = {"Authorization": f"Thing {thing['key']}"}
    path = await put(owner, "/files/own.bin", headers)
    return Reading(path, headers, owner, owner, thing=thing["id"])


async def of_a_group(scene: Scene) -> Reading:
    """A thing reads a file of its group."""
    read = await a_thing(scene)
    read.group = await read.owner.client.group()
    await members(read, [read.thing])
    read.path = await put(read.owner, f"/groups/{read.group}/files/fw.bin")
    return read


async def offered(scene: Scene) -> Reading:
    """The same, from whichever group has it."""
    read = await of_a_group(scene)
    read.path = "/groupfiles/fw.bin"
    return read


async def certified(scene: Scene) -> Reading:
    """A thing that shows a certificate instead of its key."""
    read = await a_thing(scene)
    shown = scene.authority.issue(read.thing)
    said = {"certificate": shown.pem, "use": "alone"}
    bound = await read.owner.ask("POST", f"/things/{read.thing}/certificates", said)
    async with scene.nobody.session.get(
        scene.nobody.url + read.path, headers=read.headers | shown.headers
    ) as answer:  # it shows that it has both
        assert answer.status == 200
    read.headers, read.key = shown.headers, str(bound["id"])
    return read


async def members(read: Reading, wanted: list[object]) -> None:
    await read.owner.ask("POST", f"/groups/{read.group}/members", {"members": wanted})


async def a_member(scene: Scene) -> Reading:
    """A viewer of a group reads its file."""
    owner, reader = await scene.person(), await scene.person()
    read = Reading("", reader.headers, owner, reader, group=await owner.client.group())
    await members(read, [{"email": reader.email, "role": "viewer"}])
    read.path = await put(owner, f"/groups/{read.group}/files/fw.bin")
    return read


async def one_who_owns_all(scene: Scene) -> Reading:
    """An administrator of the gateway, who is a member of nothing."""
    read = await a_member(scene)
    read.headers = scene.root.headers
    return read


async def an_org_owner(scene: Scene) -> Reading:
    """Who owns an org reads the files of its groups."""
    read = await a_member(scene)
    read.reader = await scene.person()
    read.headers = read.reader.headers
    read.org = str((await read.owner.ask("POST", "/orgs", {"name": "o"}))["created"])
    said = {"members": [{"email": read.reader.email, "role": "owner"}]}
    await read.owner.ask("POST", f"/orgs/{read.org}/members", said)
    await read.owner.ask("POST", f"/orgs/{read.org}/groups", {"group_ids": [read.group]})
    return read


async def an_api_key(scene: Scene) -> Reading:
    """A program with a member's key."""
    read = await a_member(scene)
    issued = await read.reader.ask("POST", "/keys", {"type": 2})
    read.headers, read.key = {"Authorization": f"Bearer {issued['value']}"}, str(issued["id"])
    return read


async def a_limited_key(scene: Scene) -> Reading:
    """A program with a key to one group."""
    read = await a_member(scene)
    said = {"type": 2, "group_id": read.group}
    issued = await read.owner.ask("POST", "/keys", said)
    read.reader = read.owner
    read.headers, read.key = {"Authorization": f"Bearer {issued['value']}"}, str(issued["id"])
    return read


async def an_administrator(scene: Scene) -> Reading:
    """Of the Hasura files."""
    reader = await scene.person()
    await scene.root.ask("POST", "/policies", authority(reader))
    path = await put(reader, f"/v1/file/{uuid4()}", status=200)
    return Reading(path, reader.headers, scene.root, reader)


def authority(person: Person) -> dict[str, object]:
    return {"object": "authorities", "subjects": [person.id], "policies": ["member"]}


async def user_file(scene: Scene) -> Reading:
    """One's own, of the Gravwell API."""
    reader = await scene.person()
    made = await add(reader.client)
    path = f"/api/files/{made['ThingUUID']}"
    return Reading(path, reader.headers, reader, reader, file=path)


async def by_guid(scene: Scene) -> Reading:
    """Somebody else's that is shared with a group, by the GUID of it."""
    read = await a_member(scene)
    return await shared(read)


async def by_guid_through_an_org(scene: Scene) -> Reading:
    return await shared(await an_org_owner(scene))


async def shared(read: Reading) -> Reading:
    [number] = (await numbers_of_groups(read.owner.client)).values()
    made = await add(read.owner.client, GUID=str(uuid4()), GIDs=[number])
    read.path, read.file = f"/api/files/{made['GUID']}", f"/api/files/{made['ThingUUID']}"
    return read


async def a_token(scene: Scene) -> Reading:
    """Of an application: nothing of a file is read with it, but what there is."""
    owner = await scene.person()
    made = await owner.ask("POST", "/applications", {"name": "a"})
    issued = await owner.ask("POST", f"/applications/{made['id']}/tokens", {"name": "t"})
    path, headers = f"/applications/{made['id']}", {"Authorization": f"Bearer {issued['token']}"}
    return Reading(f"{path}/privateFiles", headers, owner, owner, org=path, key=str(issued["id"]))


# How it ends.


async def another_key(scene: Scene, read: Reading) -> None:
    await read.owner.ask("PUT", f"/things/{read.thing}", {"key": uuid4().hex})


async def thing_removed(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/things/{read.thing}")


async def certificate_wanted(scene: Scene, read: Reading) -> None:
    said = {"certificate": scene.authority.issue("x").pem}
    await read.owner.ask("POST", f"/things/{read.thing}/certificates", said)


async def certificate_unbound(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/things/{read.thing}/certificates/{read.key}")


async def owner_locked_with_things(scene: Scene, read: Reading) -> None:
    await scene.root.ask("POST", f"/users/{read.owner.id}/disable", {"things": True})


async def taken_out(scene: Scene, read: Reading) -> None:
    said = {"members": [read.thing or read.reader.id]}
    await read.owner.ask("DELETE", f"/groups/{read.group}/members", said)


async def a_hundred_taken_out(scene: Scene, read: Reading) -> None:
    """At once, with the one that reads."""
    made = await read.owner.ask("POST", "/things", [{"name": "x"}] * 100)
    ids = [thing["id"] for thing in made["things"]]  # type: ignore[attr-defined]
    await members(read, ids)
    said = {"members": [*ids, read.thing]}
    await read.owner.ask("DELETE", f"/groups/{read.group}/members", said)


async def group_removed(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/groups/{read.group}")


async def lower_in_the_org(scene: Scene, read: Reading) -> None:
    said = {"members": [{"email": read.reader.email, "role": "viewer"}]}
    await read.owner.ask("PUT", f"/orgs/{read.org}/members", said)


async def out_of_the_org(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/orgs/{read.org}/members", {"member_ids": [read.reader.id]})


async def group_out_of_the_org(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/orgs/{read.org}/groups", {"group_ids": [read.group]})


async def org_removed(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"/orgs/{read.org}")


async def locked(scene: Scene, read: Reading) -> None:
    await scene.root.ask("POST", f"/users/{read.reader.id}/disable")


async def another_password(scene: Scene, read: Reading) -> None:
    said = {"old_password": PASSWORD, "password": f"{PASSWORD}!"}
    await read.reader.ask("PATCH", "/password", said)


async def logged_out(scene: Scene, read: Reading) -> None:
    await read.reader.ask("PUT", "/api/logout")


async def logged_out_everywhere(scene: Scene, read: Reading) -> None:
    await read.reader.ask("DELETE", "/api/logout")


async def everything_ended(scene: Scene, read: Reading) -> None:
    await read.reader.ask("POST", f"/users/{read.reader.id}/end-sessions")


async def key_revoked(scene: Scene, read: Reading) -> None:
    await read.reader.ask("DELETE", f"/keys/{read.key}")


async def no_administrator(scene: Scene, read: Reading) -> None:
    await scene.root.ask("PUT", "/policies", authority(read.reader))


async def shared_no_more(scene: Scene, read: Reading) -> None:
    await read.owner.ask("PATCH", read.file, {"GIDs": []})


async def file_removed(scene: Scene, read: Reading) -> None:
    assert (await read.owner.client.ask("DELETE", read.file)).status == 200


async def given_away(scene: Scene, read: Reading) -> None:
    """To somebody else, by an administrator; it is shared as before."""
    to = (await read.reader.ask("GET", "/api/info/whoami"))["UID"]
    await scene.root.ask("PATCH", f"{read.file}?admin=true", {"UID": to, "GIDs": []})


async def token_removed(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", f"{read.org}/tokens/{read.key}")


async def token_inactive(scene: Scene, read: Reading) -> None:
    await read.owner.ask("PATCH", f"{read.org}/tokens/{read.key}", {"status": "inactive"})


async def application_removed(scene: Scene, read: Reading) -> None:
    await read.owner.ask("DELETE", read.org)


TABLE: list[tuple[int, Have, End]] = [
    (403, a_thing, another_key),
    (403, a_thing, thing_removed),
    (403, a_thing, certificate_wanted),
    (403, a_thing, owner_locked_with_things),
    (404, of_a_group, taken_out),
    (404, of_a_group, a_hundred_taken_out),
    (404, of_a_group, group_removed),
    (403, of_a_group, thing_removed),
    (404, offered, taken_out),
    (404, offered, group_removed),
    (403, certified, certificate_unbound),
    (403, certified, thing_removed),
    (404, a_member, taken_out),
    (404, a_member, group_removed),
    (401, a_member, locked),
    (401, a_member, another_password),
    (401, a_member, logged_out),
    (401, a_member, logged_out_everywhere),
    (401, a_member, everything_ended),
    (404, one_who_owns_all, group_removed),
    (404, an_org_owner, lower_in_the_org),
    (404, an_org_owner, out_of_the_org),
    (404, an_org_owner, group_out_of_the_org),
    (404, an_org_owner, org_removed),
    (404, an_org_owner, group_removed),
    (401, an_api_key, key_revoked),
    (401, an_api_key, everything_ended),
    (401, an_api_key, locked),
    (404, an_api_key, taken_out),
    (401, a_limited_key, key_revoked),
    (401, a_limited_key, group_removed),
    (403, an_administrator, no_administrator),
    (401, an_administrator, logged_out),
    (401, an_administrator, locked),
    (401, user_file, locked),
    (401, user_file, logged_out),
    (404, user_file, file_removed),
    (404, by_guid, taken_out),
    (404, by_guid, shared_no_more),
    (404, by_guid, file_removed),
    (404, by_guid, group_removed),
    (200, by_guid, given_away),
    (404, by_guid_through_an_org, group_out_of_the_org),
    (404, by_guid_through_an_org, group_removed),
    (404, by_guid_through_an_org, org_removed),
    (401, a_token, token_removed),
    (401, a_token, token_inactive),
    (401, a_token, application_removed),
    (401, a_token, locked),
    (401, a_token, everything_ended),
]


@pytest.mark.parametrize(
    ("expected", "have", "end"), TABLE, ids=[f"{h.__name__}-{e.__name__}" for _, h, e in TABLE]
)
async def test_what_is_taken_away_is_not_read_again_and_nobody_else_is_asked(
    scene: Scene, expected: int, have: Have, end: End
) -> None:
    everybody = {await scene.status(*bystander) for bystander in scene.bystanders.values()}
    assert ({200}, set(scene.bystanders)) == (everybody, scene.kept())
    read = await have(scene)
    assert {200} == {await scene.status(read.path, read.headers) for _ in range(2)}
    await end(scene, read)
    assert (expected, set(scene.bystanders)) == (
        await scene.status(read.path, read.headers),
        scene.kept(),
    )


# What takes nothing from anybody.


async def an_org_with_a_group(scene: Scene, one: Person) -> None:
    org = str((await one.ask("POST", "/orgs", {"name": "o"}))["created"])
    await one.ask("POST", f"/orgs/{org}/groups", {"group_ids": [await one.client.group()]})


async def a_user_file(scene: Scene, one: Person) -> None:
    await add(one.client)


async def a_chosen_guid(scene: Scene, one: Person) -> None:
    """Of a user file, that of somebody's account and of a thing."""
    await add(one.client, GUID=scene.bystanders["a_member"][0].split("/")[2])


async def a_group_with_a_thing(scene: Scene, one: Person) -> None:
    thing, group = await one.client.thing(), await one.client.group()
    await one.ask("POST", f"/groups/{group}/members", {"members": [thing["id"]]})


async def refused(scene: Scene, one: Person) -> None:
    assert (await one.client.ask("POST", "/things", "no thing")).status == 400


async def guessed(scene: Scene, one: Person) -> None:
    wrong = {"email": ROOT_EMAIL, "password": "not-the-password"}
    assert (await scene.nobody.ask("POST", "/tokens", wrong)).status == 401


@pytest.mark.parametrize(
    "act",
    [an_org_with_a_group, a_user_file, a_chosen_guid, a_group_with_a_thing, refused, guessed],
    ids=lambda act: act.__name__,
)
async def test_what_somebody_makes_costs_nobody_else_anything(
    scene: Scene, act: Callable[[Scene, Person], Awaitable[None]]
) -> None:
    one, credentials = await scene.person(), scene.app[CALLERS].credentials
    for bystander in scene.bystanders.values():
        assert await scene.status(*bystander) == 200
    before = time.monotonic()
    await act(scene, one)
    assert scene.kept() == set(scene.bystanders)
    assert not credentials.changed_since([str(UUID(int=0))], before)


async def test_a_newer_file_of_a_guid_is_read_at_once(scene: Scene) -> None:
    """Whoever made it: what a GUID means is not only its owner's."""
    read = await by_guid(scene)
    assert await scene.status(read.path, read.headers) == 200
    guid = read.path.rpartition("/")[2]
    await add(read.reader.client, b"one's own comes first", GUID=guid)
    answer = await read.reader.client.ask("GET", read.path)
    assert answer.text == "one's own comes first"
