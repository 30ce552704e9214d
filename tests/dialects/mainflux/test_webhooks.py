"""Mainflux webhooks: kept as the page says, and told everything at least once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.database.pool import Database
from gateway.messaging.delivery import DeliveryPolicy, delivering
from gateway.messaging.posting import NotPublic, open_public_socket
from gateway.messaging.rows.outbox import RetryPolicy
from tests.tools.client import Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, upload
from tests.tools.receiver import Receiver, running_receiver

UNKNOWN = "64140f0b-6448-41cf-967e-1bbcc703c332"
PUBLIC = "https://8.8.8.8/"
QUICK = {
    "webhook_private_targets": True,
    "webhook_timeout_seconds": 1,
    "webhook_retry_seconds": 0.1,
    "webhook_longest_retry_seconds": 0.5,
    "access_log": False,
}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


class House:
    """A real gateway, its admin, one channel and one thing that is connected to it."""

    def __init__(self, gateway: GatewayProcess, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.session = session
        self.client = Client(session, gateway.url)
        self.channel = ""
        self.thing: dict[str, Any] = {}

    async def furnish(self) -> None:
        body = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        said = await self.client.ask("POST", "/tokens", body)
        self.client = Client(self.session, self.gateway.url, said.json["token"])
        said = await self.client.ask("POST", "/channels", [{"name": "hall"}])
        self.channel, self.thing = said.json["channels"][0]["id"], await self.client.thing()
        await self.client.ask("PUT", f"/channels/{self.channel}/things/{self.thing['id']}")

    async def hook(self, url: str, **fields: object) -> None:
        body = [{"name": "hook", "format": "json", "url": url, **fields}]
        said = await self.client.ask("POST", f"/webhooks/{self.thing['id']}", body)
        assert 201 == said.status, said.text

    async def hooks(self) -> list[dict[str, Any]]:
        said = await self.client.ask("GET", f"/webhooks/{self.thing['id']}")
        return list(said.json["webhooks"])

    async def send(self, number: float) -> None:
        said = await self.client.ask(
            "POST",
            f"/http/channels/{self.channel}/messages/under/way",
            [{"bn": "gate:", "n": "count", "t": 1.6e9, "v": number}],
            Authorization=f"Thing {self.thing['key']}",
        )
        assert 202 == said.status, said.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """One for all tests that want nothing special of it."""
    folder = tmp_path_factory.mktemp("gateway")
    async with running_gateway(folder, database_server=postgres_server, **QUICK) as running:
        yield running


@pytest.fixture
async def home(gateway: GatewayProcess) -> AsyncIterator[House]:
    """A thing and a channel of the test's own; afterwards nothing is delivered of them."""
    async with aiohttp.ClientSession() as session:
        made = House(gateway, session)
        await made.furnish()
        yield made
        assert 204 == (await made.client.ask("DELETE", f"/things/{made.thing['id']}")).status


@asynccontextmanager
async def house(folder: Path, server: str, **settings: object) -> AsyncIterator[House]:
    async with (
        running_gateway(folder, database_server=server, **{**QUICK, **settings}) as gateway,
        aiohttp.ClientSession() as session,
    ):
        made = House(gateway, session)
        await made.furnish()
        yield made


def numbers(receiver: Receiver) -> list[float]:
    return [received.json[0]["v"] for received in receiver.taken]


async def test_webhooks_are_kept_as_the_page_says(user: Client) -> None:
    thing = await user.thing()
    path = f"/webhooks/{thing['id']}"
    body: list[dict[str, Any]] = [
        {"name": "Test", "format": "json", "url": "https://8.8.8.8/"},
        {"name": "Test2", "format": "senml", "url": "https://8.8.4.4/", "events": ["files"]},
    ]
    said = await user.ask("POST", path, body)
    assert (201, "") == (said.status, said.text)
    assert "application/json" == said.headers["Content-Type"]
    said = await user.ask("GET", path)
    shown = said.json["webhooks"]
    known = {"thing_id": thing["id"], "failures": 0, "waiting": 0, "dead": 0}
    assert [
        {**known, **body[0], "id": shown[0]["id"], "events": ["messages"]},
        {**known, **body[1], "id": shown[1]["id"], "events": ["files"]},
    ] == shown
    assert shown[0] == (await user.ask("GET", f"/webhooks/{shown[0]['id']}")).json


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"name": "a", "url": PUBLIC}, id="one"),
        pytest.param({"webhooks": [{"name": "a", "url": PUBLIC}]}, id="in a field"),
        pytest.param([{"name": "a", "url": PUBLIC, "format": None, "events": None}], id="nulls"),
    ],
)
async def test_other_forms_of_one_webhook(user: Client, body: object) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    assert 201 == (await user.ask("POST", path, body)).status
    [made] = (await user.ask("GET", path)).json["webhooks"]
    assert ("a", "json", ["messages"]) == (made["name"], made["format"], made["events"])


@pytest.mark.parametrize(
    "change",
    [
        *({"name": ""}, {"name": 7}, {"format": "xml"}, {"format": 7}, {"url": "8.8.8.8"}),
        *({"url": None}, {"events": []}, {"events": ["all"]}, {"events": "files"}),
        *({"url": "http://user@8.8.8.8/"}, {"url": "ftp://8.8.8.8/"}, {"url": PUBLIC + "#x"}),
    ],
)
async def test_a_bad_webhook_is_refused_with_its_batch(user: Client, change: object) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    good = {"name": "a", "format": "json", "url": PUBLIC}
    assert isinstance(change, dict)
    assert 400 == (await user.ask("POST", path, [good, {**good, **change}])).status
    assert [] == (await user.ask("GET", path)).json["webhooks"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "localhost"),
        *("10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fd00::1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "224.0.0.1", "255.255.255.255"),
    ],
)
async def test_a_target_that_is_not_public_is_refused(user: Client, host: str) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    body = [{"name": "a", "url": f"http://{host}/"}]
    assert 400 == (await user.ask("POST", path, body)).status
    assert 201 == (await user.ask("POST", path, [{"name": "a", "url": PUBLIC}])).status
    [made] = (await user.ask("GET", path)).json["webhooks"]
    said = await user.ask("PUT", f"/webhooks/{made['id']}", {"url": f"http://{host}/"})
    assert 400 == said.status


async def test_a_thing_has_a_limit_of_webhooks(user: Client) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    one = {"name": "a", "url": PUBLIC}
    assert 400 == (await user.ask("POST", path, [one] * 21)).status
    assert 201 == (await user.ask("POST", path, [one] * 20)).status
    assert 400 == (await user.ask("POST", path, [one])).status


async def test_a_webhook_is_changed_and_removed(user: Client) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    await user.ask("POST", path, [{"name": n, "url": PUBLIC} for n in "abcd"])
    one, two, three, four = (await user.ask("GET", path)).json["webhooks"]
    change = {"name": "b", "url": "https://1.1.1.1/x", "format": "senml", "events": ["files"]}
    assert 200 == (await user.ask("PUT", f"/webhooks/{one['id']}", {"name": "e"})).status
    assert {**one, "name": "e"} == (await user.ask("GET", f"/webhooks/{one['id']}")).json
    assert 200 == (await user.ask("PUT", f"/webhooks/{one['id']}", change)).status
    assert {**one, **change} == (await user.ask("GET", f"/webhooks/{one['id']}")).json
    assert 204 == (await user.ask("DELETE", f"/webhooks/{one['id']}")).status
    assert 404 == (await user.ask("DELETE", f"/webhooks/{one['id']}")).status
    both = {"webhook_ids": [two["id"], three["id"]]}
    assert 404 == (await user.ask("PATCH", "/webhooks", {"webhook_ids": [two["id"], one["id"]]})).status  # fmt: skip
    assert 204 == (await user.ask("PATCH", "/webhooks", both)).status
    assert [four] == (await user.ask("GET", path)).json["webhooks"]


async def test_webhooks_are_the_owners_alone(
    user: Client, stranger: Client, root: Client, nobody: Client
) -> None:
    thing = await user.thing()
    path, body = f"/webhooks/{thing['id']}", [{"name": "a", "url": PUBLIC}]
    await user.ask("POST", path, body)
    [made] = (await user.ask("GET", path)).json["webhooks"]
    one, key = f"/webhooks/{made['id']}", {"Authorization": f"Thing {thing['key']}"}
    for who, headers, status in [
        (nobody, {}, 401),
        (nobody, key, 401),
        (stranger, {}, 404),
        (root, {}, 200),
    ]:
        assert status == (await who.ask("GET", path, **headers)).status
        assert status == (await who.ask("GET", one, **headers)).status
        assert (201 if status == 200 else status) == (await who.ask("POST", path, body, **headers)).status  # fmt: skip
        assert status == (await who.ask("PUT", one, {"name": "x"}, **headers)).status
        if status != 200:
            assert status == (await who.ask("DELETE", one, **headers)).status
            ids = {"webhook_ids": [made["id"]]}
            assert status == (await who.ask("PATCH", "/webhooks", ids, **headers)).status
    for method in ("GET", "POST", "PUT", "DELETE"):
        said = await user.ask(method, f"/webhooks/{UNKNOWN}", body[0])
        assert 404 == said.status, method


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"])  # fmt: skip
def test_no_socket_is_made_for_an_address_that_is_not_public(address: str) -> None:
    """Whatever name stood for it a moment ago."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(NotPublic):
        open_public_socket((family, socket.SOCK_STREAM, 6, "", (address, 80)))


async def test_a_name_that_came_to_mean_us_is_not_called(
    database: Database, user: Client, receiver: Receiver
) -> None:
    """Rebinding: the webhook was made when the name was public; now it is the loopback."""
    thing = await user.thing()
    said = await user.ask("POST", f"/webhooks/{thing['id']}", [{"name": "a", "url": PUBLIC}])
    assert 201 == said.status
    async with database.session() as session:
        await session.connection.execute(
            "update webhooks set url = $1, host = 'localhost'",
            f"http://localhost:{receiver.port}/",
        )
        await session.connection.execute(
            "insert into deliveries (webhook_id, event, body)"
            " select id, 'file.uploaded', '{}' from webhooks"
        )
    patience = RetryPolicy(2, 3600, 0.05, 0.1)
    async with delivering(database, DeliveryPolicy(1, 4, patience)):
        async with asyncio.timeout(30):
            path = f"/webhooks/{thing['id']}"
            while (await user.ask("GET", path)).json["webhooks"][0]["dead"] == 0:
                await asyncio.sleep(0.05)
    assert [] == receiver.tried


async def test_a_receiver_that_was_down_refused_and_hung_gets_everything_in_order(
    home: House, receiver: Receiver
) -> None:
    """Down, then answering 500, then hanging, then well: every message, in order."""
    await home.hook(receiver.url)
    await receiver.down()
    for number in range(5):
        await home.send(number)
    receiver.decide = lambda _: 500
    await receiver.up()
    await receiver.until(lambda: len(receiver.tried) >= 2)
    await home.send(5)
    receiver.decide = lambda _: None
    hung = len(receiver.tried)
    await receiver.until(lambda: len(receiver.tried) > hung + 1)
    await home.send(6)
    receiver.decide = lambda _: 204
    await receiver.until(lambda: len(receiver.taken) >= 7)
    assert list(range(7)) == numbers(receiver)


async def test_a_redirect_is_a_failure_and_is_not_followed(home: House, receiver: Receiver) -> None:
    await home.hook(f"{receiver.url}/here")
    receiver.decide = lambda _: 307
    await home.send(1)
    await receiver.until(lambda: len(receiver.tried) >= 2)
    assert {"/here"} == {received.path for received in receiver.tried}
    assert 1 == (await home.hooks())[0]["waiting"]


async def test_kill_nine_loses_nothing(
    tmp_path: Path, postgres_server: str, receiver: Receiver
) -> None:
    """Killed while deliveries are under way and others wait; the next process delivers them."""
    async with house(tmp_path, postgres_server) as home:
        await home.hook(receiver.url)
        receiver.decide = lambda _: None if len(receiver.taken) == 3 else 200
        for number in range(10):
            await home.send(number)
        await receiver.until(lambda: len(receiver.tried) >= 4)
        await home.gateway.kill9()
        receiver.decide = lambda _: 200
        await home.gateway.start()
        await receiver.until(lambda: set(range(10)) <= set(numbers(receiver)))
        assert list(range(10)) == list(dict.fromkeys(numbers(receiver)))


async def test_a_receiver_that_hangs_keeps_neither_senders_nor_others_waiting(
    tmp_path: Path, postgres_server: str, receiver: Receiver
) -> None:
    """Nineteen webhooks of a host that hangs, and six places in all, of which one user has five:
    another host has its own."""
    patient = {"webhook_concurrency": 6, "webhook_timeout_seconds": 300}
    async with house(tmp_path, postgres_server, **patient) as home:
        receiver.decide = lambda received: None if received.path == "/hang" else 200
        hanging = f"http://localhost:{receiver.port}/hang"
        for _ in range(19):
            await home.hook(hanging)
        await home.hook(f"{receiver.url}/well")
        for number in range(3):
            await home.send(number)
        await receiver.until(lambda: len(receiver.taken) == 3)
        assert [0, 1, 2] == numbers(receiver)
        assert {"/well"} == {received.path for received in receiver.taken}


async def test_workers_share_the_webhooks_and_none_is_served_by_two(
    tmp_path: Path, postgres_server: str, receiver: Receiver
) -> None:
    """Two processes, a receiver that takes its time, and news of more while it does."""
    async with house(tmp_path, postgres_server, workers=2) as home:
        await home.hook(receiver.url)
        receiver.delay_seconds = 0.1
        for number in range(15):
            await home.send(number)
        await receiver.until(lambda: len(receiver.taken) >= 15)
        assert list(range(15)) == numbers(receiver)
        assert 1 == receiver.most_at_once


async def test_what_fails_too_often_is_a_dead_letter_and_the_next_is_delivered(
    tmp_path: Path, postgres_server: str, receiver: Receiver
) -> None:
    async with house(tmp_path, postgres_server, webhook_attempts=3) as home:
        await home.hook(receiver.url)
        receiver.decide = lambda received: 500 if received.json[0]["v"] == 0 else 200
        for number in range(2):
            await home.send(number)
        await receiver.until(lambda: len(receiver.taken) == 1)
        assert [1] == numbers(receiver)
        assert 4 == len(receiver.tried)
        # The receiver has it before the gateway has heard that it has.
        while (hooks := await home.hooks())[0]["failures"]:
            await asyncio.sleep(0.01)
        assert [1] == [hook["dead"] for hook in hooks]


async def test_file_events_are_forwarded_when_they_are_asked_for(
    home: House, receiver: Receiver
) -> None:
    await home.hook(f"{receiver.url}/files", events=["files"], format="senml")
    await home.hook(f"{receiver.url}/messages")
    thing = Thing(home.thing["id"], home.thing["key"])
    url = f"{home.gateway.url}/files"
    await upload(home.session, url, thing.headers, "a.bin", b"one")
    await upload(home.session, f"{url}/a.bin", thing.headers, "a.bin", b"two!", method="PUT")
    async with home.session.delete(f"{url}/a.bin", headers=thing.headers) as said:
        assert 204 == said.status
    await receiver.until(lambda: len(receiver.taken) == 3)
    assert {"/files"} == {received.path for received in receiver.taken}
    told = [received.json for received in receiver.taken]
    assert ["uploaded", "replaced", "deleted"] == [event["event"] for event in told]
    assert [3, 4, None] == [event.get("size") for event in told]
    assert {(thing.id, "a.bin")} == {(event["thing_id"], event["name"]) for event in told}
    assert "file.uploaded" == receiver.taken[0].headers["X-Webhook-Event"]
