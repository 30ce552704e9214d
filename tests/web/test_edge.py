"""Edge mode: nginx acts on a decision for a moment, for nobody else, and never beyond the bound.

The bound is ``GATEWAY_EDGE_SECONDS`` after the change was answered. It is the promise itself, so
it is measured here, with ``SLACK`` for a busy machine.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio

from gateway.catalogue.postgres_damage import PostgresQuarantine
from gateway.database.pool import open_database
from gateway.model.damage import Damage, Fault, FoundBy
from tests.tools.deployment import sql_folders
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.hook import HookServer, Say, deny, running_hook
from tests.tools.mainflux import Thing, User, sign_in, upload
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUND = 2.0
SLACK = 1.0
SIZE = 50_000
FAILED = b'{"error":"internal server error"}'
DAMAGED = b'{"error":"the file is damaged: upload it again"}'
OLD = Firmware(61, SIZE)
NEW = Firmware(62, SIZE)
READS = 'gateway_requests_total{dialect="mainflux",method="GET"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hook() -> AsyncIterator[HookServer]:
    """A hook that allows."""
    async with running_hook() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, hook: HookServer
) -> AsyncIterator[tuple[GatewayProcess, Nginx]]:
    """A gateway that asks the hook, behind an edge of its own."""
    async with (
        running_gateway(
            tmp_path_factory.mktemp("asking"),
            database_server=postgres_server,
            accel=ACCEL,
            trusted_proxies=f"{HOST}/32",
            hook_url=hook.url,
        ) as gateway,
        running_nginx(
            tmp_path_factory.mktemp("asking-edge"),
            upstream=f"{HOST}:{gateway.port}",
            blobs=gateway.data_dir / "blobs",
            edge=True,
        ) as edge,
    ):
        yield gateway, edge


GOOD = ("Authorization", "")
"""A thing's own."""


async def ask(port: int, path: str, headers: Mapping[str, str]) -> Answer:
    async with raw_connection(port) as connection:
        return await connection.ask("GET", path, headers.items())


async def decisions(http: aiohttp.ClientSession, gateway: GatewayProcess) -> float:
    """How many reads the gateway has been asked for, with whatever outcome."""
    async with http.get(f"{gateway.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(READS))


@dataclass
class Reader:
    """A device that never stops reading: what it got, and when it last asked for what it got."""

    port: int
    path: str
    headers: Mapping[str, str]
    last_read: dict[bytes, float] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    async def read_until(self, is_over: Callable[[], bool]) -> None:
        """One request after the other."""
        async with raw_connection(self.port) as connection:
            while not is_over():
                asked = time.monotonic()
                answer = await connection.ask("GET", self.path, self.headers.items())
                self.statuses.append(answer.status)
                if answer.status == 200:
                    self.last_read[answer.body] = asked
                await asyncio.sleep(0.01)


async def test_one_decision_serves_many_ranges(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, thing: Thing
) -> None:
    await upload(http, f"{gateway.url}/files", thing.headers, "many.bin", OLD.content)
    before, started = await decisions(http, gateway), time.monotonic()
    async with raw_connection(edge.port) as connection:
        for start in range(0, SIZE, 100):
            ranged = {**thing.headers, "Range": f"bytes={start}-{start + 99}"}
            answer = await connection.ask("GET", "/files/many.bin", ranged.items())
            assert (answer.status, answer.body) == (206, OLD.read(start, 100))
    seconds = time.monotonic() - started
    assert await decisions(http, gateway) - before <= 2 + seconds


async def test_a_decision_is_never_anybody_else_s(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, admin: User
) -> None:
    """Every credential is asked for a file under one address, while a good one is being remembered."""
    owner, other = await admin.thing(), await admin.thing()
    path = "/filestore/files/mine.bin"
    await upload(http, f"{gateway.url}/files", owner.headers, "mine.bin", OLD.content)
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        (other.headers, 404),
        ({"Authorization": f"Thing {owner.key.swapcase()}"}, 403),
        ({"Authorization": f"Thing {owner.key}x"}, 403),
        ({"Authorization": f"Thing {owner.key[:-1]}"}, 403),
        ({"Authorization": f"Bearer {owner.key}"}, 401),
        ({"Authorization": ""}, 401),
        (admin.headers, 401),
    ]
    for _ in range(3):
        for headers, status in asked:
            allowed = await ask(edge.port, path, owner.headers)
            assert (allowed.status, allowed.body) == (200, OLD.content)
            refused = await ask(edge.port, path, headers)
            assert (headers, refused.status) == (headers, status)
            assert refused.head.one("Content-Type") == "application/json"
            assert set(json.loads(refused.body)) == {"error"}


async def test_two_things_have_files_of_one_name(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, admin: User
) -> None:
    owners = {await admin.thing(): OLD, await admin.thing(): NEW}
    for owner, image in owners.items():
        await upload(http, f"{gateway.url}/files", owner.headers, "same.bin", image.content)
    for _ in range(20):
        for owner, image in owners.items():
            answer = await ask(edge.port, "/files/same.bin", owner.headers)
            assert answer.body == image.content


@pytest.mark.parametrize(
    "path", ["/_filestore_edge", "/_filestore_decision", "/_filestore_gateway"]
)
async def test_what_is_internal_cannot_be_asked_for(edge: Nginx, thing: Thing, path: str) -> None:
    answer = await ask(edge.port, path, {**thing.headers, "X-Filestore-Edge": "1700000000.000"})
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "not found"})


async def test_a_client_gets_bytes_and_no_decision(
    gateway: GatewayProcess, nginx: Nginx, edge: Nginx, http: aiohttp.ClientSession, thing: Thing
) -> None:
    """Whatever it says of itself, and on every way through nginx."""
    await upload(http, f"{gateway.url}/files", thing.headers, "bytes.bin", OLD.content)
    asked = {**thing.headers, "X-Filestore-Edge": "1700000000.000"}
    for port in (nginx.port, edge.port):
        for more in ({}, {"If-Match": "*"}, {"Range": "bytes=0-"}):
            answer = await ask(port, "/files/bytes.bin", {**asked, **more})
            assert answer.body == OLD.content
            names = {name.lower() for name, _ in answer.head.headers}
            assert names.isdisjoint({"x-filestore-blob", "x-filestore-size", "x-accel-expires"})


async def test_a_stranger_is_told_no_place_of_a_blob(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, http: aiohttp.ClientSession
) -> None:
    """A peer that is no trusted proxy gets bytes, and refusals in words."""
    folder = tmp_path_factory.mktemp("stranger")
    async with running_gateway(folder, database_server=postgres_server, accel=ACCEL) as gateway:
        thing = await (await sign_in(http, gateway.url)).thing()
        await upload(http, f"{gateway.url}/files", thing.headers, "a.bin", b"content")
        asked = {**thing.headers, "X-Filestore-Edge": "1700000000.000"}
        answer = await ask(gateway.port, "/files/a.bin", asked)
        assert (answer.status, answer.body) == (200, b"content")
        assert answer.head.all("X-Filestore-Blob") == []
        refused = await ask(gateway.port, "/files/b.bin", asked)
        assert (refused.status, json.loads(refused.body)) == (404, {"error": "entity not found"})


async def asked_at_once(
    gateway: GatewayProcess, port: int, path: str, headers: Mapping[str, str], readers: int
) -> list[Answer]:
    """What that many are answered who ask while the gateway stands still; one who asked before has left."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(raw_connection(port)) for _ in range(readers + 1)
        ]
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            for connection in connections:
                await connection.send_head("GET", path, headers.items())
            connections[0].reset()
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        return [await connection.read_answer() for connection in connections[1:]]


async def test_many_who_ask_at_once_ask_the_gateway_once(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, thing: Thing
) -> None:
    await upload(http, f"{gateway.url}/files", thing.headers, "herd.bin", OLD.content)
    before = await decisions(http, gateway)
    answers = await asked_at_once(gateway, edge.port, "/files/herd.bin", thing.headers, 30)
    assert [OLD.content] * 30 == [answer.body for answer in answers]
    looked = 1  # at the metrics
    assert await decisions(http, gateway) - before == looked + 1


async def test_a_decision_for_no_time_is_for_one_request(
    asking: tuple[GatewayProcess, Nginx], http: aiohttp.ClientSession, hook: HookServer
) -> None:
    """Also if others wait for it."""
    gateway, edge = asking
    place = await prepare(gateway, http)
    hook.always(Say(headers={"Cache-Control": "no-store"}))
    try:
        asked, path = len(hook.requests), f"/groups/{place.group}/files/fw.bin"
        answers = await asked_at_once(gateway, edge.port, path, place.thing.headers, 5)
    finally:
        hook.decide = lambda _: Say()
    assert [OLD.content] * 5 == [answer.body for answer in answers]
    assert len(hook.requests) - asked >= 5


async def test_many_who_are_refused_at_once_are_each_told_so(
    gateway: GatewayProcess, edge: Nginx, thing: Thing
) -> None:
    answers = await asked_at_once(gateway, edge.port, "/files/none.bin", thing.headers, 30)
    said = {(a.status, json.loads(a.body)["error"]) for a in answers}
    assert said == {(404, "entity not found")}


async def test_no_credential_and_no_decision_is_on_the_disk(
    gateway: GatewayProcess, edge: Nginx, http: aiohttp.ClientSession, thing: Thing
) -> None:
    await upload(http, f"{gateway.url}/files", thing.headers, "secret.bin", OLD.content)
    assert (await ask(edge.port, "/files/secret.bin", thing.headers)).body == OLD.content
    written = [f for f in edge.folder.rglob("*") if f.is_file()]
    assert [] == [f for f in written if thing.key.encode() in f.read_bytes()]


async def test_a_blob_that_nginx_does_not_find_is_the_gateways_to_answer(
    gateway: GatewayProcess, nginx: Nginx, edge: Nginx, http: aiohttp.ClientSession, admin: User
) -> None:
    """Also while the decision holds; nothing of the response that was prepared is left."""
    thing = await admin.thing()
    await upload(http, f"{gateway.url}/files", thing.headers, "gone.bin", OLD.content)
    ranged = {**thing.headers, "Range": "bytes=0-9"}
    assert (await ask(edge.port, "/files/gone.bin", ranged)).status == 206
    [blob] = (gateway.data_dir / "blobs" / "things" / thing.id).iterdir()
    blob.unlink()
    first = await ask(edge.port, "/files/gone.bin", ranged)
    assert (500, FAILED) == (first.status, first.body)
    # It is looked at meanwhile, and known to be damaged from then on.
    async with asyncio.timeout(20):
        while (await ask(gateway.port, "/files/gone.bin", ranged)).body != DAMAGED:
            await asyncio.sleep(0.02)
    for path in ("/files/gone.bin", "/filestore/files/gone.bin"):
        edged, plain = [await ask(port, path, ranged) for port in (edge.port, nginx.port)]
        assert (500, DAMAGED) == (edged.status, edged.body)
        assert (500, DAMAGED) == (plain.status, plain.body)
        assert [n for n, _ in edged.head.headers] == [n for n, _ in plain.head.headers]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Authorization", "Thing " + 5000 * "x")], id="a long credential"),
        pytest.param([("Authorization", "Thing a\tb")], id="a tab in it"),
        pytest.param([], id="none"),
        pytest.param([GOOD, ("Authorization", "Thing another")], id="two credentials"),
        pytest.param(
            [GOOD, ("X-Filestore-Range", "x"), ("X-A", "1"), ("x-a", "2")], id="two of one"
        ),
        pytest.param(
            [GOOD, *((f"X-{n}", "1") for n in range(100)), ("If-Match", '"another"')],
            id="more than are looked at",
        ),
        pytest.param([GOOD, ("Range", "bytes=0-1"), ("Range", "bytes=3-4")], id="two ranges"),
    ],
)
async def test_what_is_odd_is_answered_as_without_edge_mode(
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
    http: aiohttp.ClientSession,
    admin: User,
    headers: list[tuple[str, str]],
) -> None:
    """While the edge has a decision for the good credential."""
    thing = await admin.thing()
    await upload(http, f"{gateway.url}/files", thing.headers, "odd.bin", OLD.content)
    assert (await ask(edge.port, "/files/odd.bin", thing.headers)).body == OLD.content
    asked = [(n, thing.headers[n] if (n, v) == GOOD else v) for n, v in headers]
    answers = []
    for port in (edge.port, nginx.port):
        async with raw_connection(port) as connection:
            answers.append(await connection.ask("GET", "/files/odd.bin", asked))
    edged, plain = answers
    assert (edged.status, edged.body) == (plain.status, plain.body)
    assert "[lua]" not in edge.log


PADDED = {
    "before a range": ("\tbytes=7-9", '{}'),
    "behind a range": ("bytes=7-9\t", '{}'),
    "before a condition": ("bytes=7-9", '\t{}'),
    "behind a condition": ("bytes=7-9", '{} \t'),
}  # fmt: skip


@pytest.mark.parametrize(("range_", "if_range"), PADDED.values(), ids=PADDED.keys())
async def test_white_space_around_a_value_is_no_part_of_it(
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
    http: aiohttp.ClientSession,
    admin: User,
    range_: str,
    if_range: str,
) -> None:
    """Nor a tab, which nginx leaves there (RFC 9110, section 5.5)."""
    thing = await admin.thing()
    await upload(http, f"{gateway.url}/files", thing.headers, "padded.bin", OLD.content)
    for port in (gateway.port, nginx.port, edge.port):
        whole = await ask(port, "/files/padded.bin", thing.headers)
        asked = {"Range": range_, "If-Range": if_range.format(whole.head.one("ETag"))}
        answer = await ask(port, "/files/padded.bin", {**thing.headers, **asked})
        assert (206, OLD.content[7:10]) == (answer.status, answer.body)


@dataclass
class Place:
    """A file that a device reads through the edge, and what its readers depend on."""

    gateway: GatewayProcess
    http: aiohttp.ClientSession
    admin: User
    thing: Thing
    group: str

    async def request(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        async with self.http.request(method, self.gateway.url + path, headers=headers) as answer:
            assert answer.status in (200, 204), await answer.text()

    async def remove_file(self) -> None:
        await self.request("DELETE", f"/groups/{self.group}/files/fw.bin", self.admin.headers)

    async def replace_file(self) -> None:
        url = f"{self.gateway.url}/groups/{self.group}/files/fw.bin"
        await upload(self.http, url, self.admin.headers, "fw.bin", NEW.content, method="PUT")

    async def remove_thing(self) -> None:
        await self.request("DELETE", f"/things/{self.thing.id}", self.admin.headers)

    async def unassign(self) -> None:
        url = f"{self.gateway.url}/groups/{self.group}/members"
        body = {"members": [self.thing.id]}
        async with self.http.delete(url, json=body, headers=self.admin.headers) as answer:
            assert answer.status == 204, await answer.text()

    async def quarantine_blob(self) -> None:
        """As whoever finds damage does; the bytes are what they were, so that they are known."""
        dsn = self.gateway.environment["GATEWAY_DATABASE_URL"]
        async with open_database(dsn, sql_folders()) as database, database.session() as session:
            blob_id = await session.connection.fetchval(
                "select blob_id from files where kind = 'groups' and owner = $1", self.group
            )
            fault = Fault(Damage.DAMAGED, "seen")
            assert await PostgresQuarantine(database).put(blob_id, fault, FoundBy.SCRUB)


async def prepare(gateway: GatewayProcess, http: aiohttp.ClientSession) -> Place:
    admin = await sign_in(http, gateway.url)
    thing = await admin.thing()
    group = await admin.group("readers", thing.id)
    url = f"{gateway.url}/groups/{group}/files"
    await upload(http, url, admin.headers, "fw.bin", OLD.content)
    return Place(gateway, http, admin, thing, group)


async def check_bound(edge: Nginx, place: Place, revoke: Callable[[], Awaitable[None]]) -> Reader:
    """Read without pause, revoke meanwhile; nothing of the old is read once the bound is over."""
    paths = (f"/filestore/groups/{place.group}/files/fw.bin", "/groupfiles/fw.bin")
    readers = [Reader(edge.port, path, place.thing.headers) for path in paths]
    revoked = math.inf

    def is_over() -> bool:
        return time.monotonic() > revoked + BOUND + SLACK

    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader.read_until(is_over))
        while not all(reader.last_read for reader in readers):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.7)
        await revoke()
        revoked = time.monotonic()
    for reader in readers:
        assert set(reader.last_read) <= {OLD.content, NEW.content}
        assert reader.last_read[OLD.content] - revoked <= BOUND + SLACK
    return readers[0]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("remove_file", 404),
        ("remove_thing", 403),
        ("unassign", 404),
        ("replace_file", 200),
        ("quarantine_blob", 500),
    ],
)
async def test_a_change_takes_effect_within_the_bound(
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
    http: aiohttp.ClientSession,
    change: str,
    status: int,
) -> None:
    place = await prepare(gateway, http)
    reader = await check_bound(edge, place, getattr(place, change))
    assert reader.statuses[-1] == status
    path = f"/groups/{place.group}/files/fw.bin"
    assert status == (await ask(nginx.port, path, place.thing.headers)).status
    assert (NEW.content in reader.last_read) == (change == "replace_file")


async def test_a_hook_that_turns_to_no_is_heard_within_the_bound(
    asking: tuple[GatewayProcess, Nginx], http: aiohttp.ClientSession, hook: HookServer
) -> None:
    gateway, edge = asking
    place = await prepare(gateway, http)

    async def turn() -> None:
        hook.always(deny("not any more"))

    try:
        reader = await check_bound(edge, place, turn)
    finally:
        hook.decide = lambda _: Say()
    assert reader.statuses[-1] == 403


async def test_a_hook_that_wants_to_be_asked_is_asked_every_time(
    asking: tuple[GatewayProcess, Nginx], http: aiohttp.ClientSession, hook: HookServer
) -> None:
    gateway, edge = asking
    place = await prepare(gateway, http)
    path = f"/groups/{place.group}/files/fw.bin"
    hook.always(Say(headers={"Cache-Control": "no-store"}))
    try:
        for _ in range(5):
            asked = len(hook.requests)
            assert (await ask(edge.port, path, place.thing.headers)).body == OLD.content
            assert len(hook.requests) > asked
        hook.always(deny("no"))
        assert (await ask(edge.port, path, place.thing.headers)).status == 403
    finally:
        hook.decide = lambda _: Say()
