"""Webhooks with secrets and headers of their own: what their owner sees, and what receivers can check."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from standardwebhooks.webhooks import Webhook

from gateway.database.pool import Database
from gateway.identity.secrets import webhook_seal
from gateway.messaging.delivery import delivering
from gateway.messaging.reseal import reseal_webhooks
from gateway.messaging.signing import WebhookSecrets
from gateway.model.errors import Failure
from tests.tools.client import Client
from tests.tools.receiver import Received, Receiver, running_receiver
from tests.tools.waiting import until
from tests.tools.webhooks import PACK, Talker, policy_of

# As the application of these tests has it.
SECRETS = WebhookSecrets(webhook_seal(b"s" * 32))
OWN = {"Authorization": "Bearer of the receiver", "X-Route": "7"}
KEPT = dict.fromkeys(OWN)
PUBLIC = "https://8.8.8.8/"


@pytest.fixture
def settings() -> dict[str, object]:
    return {"webhook_private_targets": True}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest.fixture
async def talker(user: Client) -> Talker:
    return await Talker.of(user)


async def told(database: Database, receiver: Receiver, talker: Talker, count: int) -> Received:
    """The last of so many deliveries, after one more message."""
    await talker.say()
    async with delivering(database, policy_of(), SECRETS):
        await receiver.until(lambda: len(receiver.taken) == count)
        await until(lambda: _none_waits(talker))
    return receiver.taken[-1]


async def _none_waits(talker: Talker) -> bool:
    return all(hook["waiting"] == 0 for hook in await talker.hooks())


def verifies(secret: str, received: Received) -> bool:
    headers = {name.lower(): value for name, value in received.headers.items()}
    return bool(PACK == Webhook(secret).verify(received.body, headers))


async def test_a_secret_is_shown_once_and_signs_what_is_delivered(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    path = f"/webhooks/{talker.thing['id']}"
    body = [
        {"name": "plain", "url": PUBLIC, "events": ["files"]},
        {"name": "signed", "url": receiver.url, "signed": True},
    ]
    said = await talker.client.ask("POST", path, body)
    assert (200, "no-store") == (said.status, said.headers["Cache-Control"])
    plain, made = said.json["webhooks"]
    secret = made.pop("secret")
    assert ("plain", "signed", True) == (plain["name"], made["name"], made["signed"])
    assert not {"secret", "signed"} & plain.keys()
    assert [plain, made] == (await talker.client.ask("GET", path)).json["webhooks"]
    stored = await connection.fetchval("select secret from webhooks where secret is not null")
    assert secret.encode() not in stored
    assert verifies(secret, await told(database, receiver, talker, 1))


async def test_a_secret_is_rotated_with_an_overlap(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    """The first comes later, too; while two overlap, whoever has either can verify."""
    await talker.hook(receiver.url)
    [hook] = await talker.hooks()
    path = f"/webhooks/{hook['id']}/secret"
    assert "webhook-signature" not in (await told(database, receiver, talker, 1)).headers
    first = await talker.client.ask("POST", path)
    assert (201, 0) == (first.status, first.json["overlap_seconds"])
    second = await talker.client.ask("POST", path, {"overlap_seconds": 60})
    assert (201, 60) == (second.status, second.json["overlap_seconds"])
    got = await told(database, receiver, talker, 2)
    assert 2 == len(got.headers["webhook-signature"].split(" "))
    assert all(verifies(one.json["secret"], got) for one in (first, second))
    await connection.execute("update webhooks set previous_until = now()")
    got = await told(database, receiver, talker, 3)
    assert 1 == len(got.headers["webhook-signature"].split(" "))
    assert verifies(second.json["secret"], got)


async def test_an_overlap_is_bounded(talker: Talker) -> None:
    await talker.hook(PUBLIC)
    path = f"/webhooks/{(await talker.hooks())[0]['id']}/secret"
    for overlap in (-1, 2_592_001, 1.5, "60", True, [1]):
        said = await talker.client.ask("POST", path, {"overlap_seconds": overlap})
        assert 400 == said.status, overlap
    assert "signed" not in (await talker.hooks())[0]


async def test_an_attempt_is_known_again_by_its_id_and_has_its_own_time(
    database: Database, talker: Talker, receiver: Receiver
) -> None:
    await talker.hook(receiver.url)
    receiver.decide = lambda _: 500 if len(receiver.tried) < 3 else 200
    await told(database, receiver, talker, 1)
    await told(database, receiver, talker, 2)
    ids = [received.headers["webhook-id"] for received in receiver.tried]
    assert [1, 1, 1, 1, 2] == [len(set(ids[: i + 1])) for i in range(5)]


async def test_own_headers_are_sent_kept_and_not_shown(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    await talker.hook(receiver.url, headers=OWN)
    [hook] = await talker.hooks()
    assert KEPT == hook["headers"]
    one = f"/webhooks/{hook['id']}"
    assert b"receiver" not in await connection.fetchval("select headers from webhooks")
    got = await told(database, receiver, talker, 1)
    assert OWN.items() <= dict(got.headers).items()
    for change in ({"name": "new"}, hook, {"headers": None}, {"headers": KEPT}):
        assert 200 == (await talker.client.ask("PUT", one, change)).status
    got = await told(database, receiver, talker, 2)
    assert OWN.items() <= dict(got.headers).items()
    change = {"headers": {"X-Route": None, "X-New": "8"}}
    assert 200 == (await talker.client.ask("PUT", one, change)).status
    got = await told(database, receiver, talker, 3)
    assert ("7", "8") == (got.headers["X-Route"], got.headers["X-New"])
    assert "Authorization" not in got.headers
    assert 200 == (await talker.client.ask("PUT", one, {"headers": {}})).status
    assert "headers" not in (await talker.hooks())[0]


async def test_a_webhook_with_a_bad_header_is_refused(talker: Talker) -> None:
    for headers in ({"Host": "a"}, {"X-A": None}, ["X-A"], "X-A: b", {"a": 1}):
        body = [{"name": "a", "url": PUBLIC, "headers": headers}]
        said = await talker.client.ask("POST", f"/webhooks/{talker.thing['id']}", body)
        assert 400 == said.status, headers
    assert [] == await talker.hooks()


async def test_what_was_sealed_under_another_secret_waits(
    database: Database, talker: Talker, receiver: Receiver
) -> None:
    """An operator's mistake must not send unsigned what was to be signed, nor lose it."""
    await talker.hook(receiver.url)
    [hook] = await talker.hooks()
    await talker.client.ask("POST", f"/webhooks/{hook['id']}/secret")
    await talker.say()
    failures = list[str]()
    other = WebhookSecrets(webhook_seal(b"t" * 32))
    async with delivering(database, policy_of(), other, observe=failures.append):
        await until(lambda: len(failures) >= 2)
    assert ({"failed"}, []) == (set(failures), receiver.tried)
    async with delivering(database, policy_of(), SECRETS):
        await receiver.until(lambda: len(receiver.taken) == 1)


@pytest.mark.parametrize("settings", [{"webhook_confirmation": "true"}], ids=["asked"])
async def test_another_host_has_to_confirm_and_one_that_has_does_not(
    connection: asyncpg.Connection, talker: Talker, root: Client
) -> None:
    """Of the same user: what a host said to one is nothing to another."""
    await talker.hook(PUBLIC)
    await connection.execute("update webhooks set unconfirmed = false")
    await talker.hook("http://8.8.8.8:81/other")
    await talker.hook("https://1.1.1.1/")
    shown = await talker.hooks()
    assert [False, False, True] == [hook.get("unconfirmed", False) for hook in shown]
    for url, expected in (("https://9.9.9.9/", True), (PUBLIC, False), (PUBLIC + "x", False)):
        said = await talker.client.ask("PUT", f"/webhooks/{shown[0]['id']}", {"url": url})
        assert (200, expected) == (said.status, (await talker.hooks())[0].get("unconfirmed", False))
    other = await Talker.of(root)
    await other.hook(PUBLIC)
    assert (await other.hooks())[0]["unconfirmed"]


async def test_what_is_sealed_follows_the_deployment_to_another_secret(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    """Both secrets of a rotation, and headers; in the end the earlier secret opens nothing."""
    await talker.hook(PUBLIC, events=["files"])
    await talker.hook(receiver.url, headers=OWN)
    path = f"/webhooks/{(await talker.hooks())[1]['id']}/secret"
    made = [(await talker.client.ask("POST", path)).json["secret"] for _ in range(2)]
    after = WebhookSecrets(webhook_seal(b"t" * 32, b"s" * 32))
    assert [1, 0] == [await reseal_webhooks(database, after) for _ in range(2)]
    row = await connection.fetchrow("select * from webhooks where secret is not null")
    alone = WebhookSecrets(webhook_seal(b"t" * 32))
    await talker.say()
    async with delivering(database, policy_of(), alone):
        await receiver.until(lambda: len(receiver.taken) == 1)
    assert all(verifies(secret, receiver.taken[0]) for secret in made)
    assert OWN.items() <= dict(receiver.taken[0].headers).items()
    assert row is not None
    with pytest.raises(Failure):
        SECRETS.open_secret(row["secret"], row["id"])
