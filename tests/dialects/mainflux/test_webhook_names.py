"""Hosts of webhooks are names of anybody's choice: nobody waits for them, and nobody learns by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.database.pool import Database
from gateway.messaging.delivery import delivering
from gateway.messaging.targets import TargetRules
from tests.dialects.conftest import new_user
from tests.tools.client import Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, running_gateway
from tests.tools.nameserver import Nameserver, running_nameserver
from tests.tools.receiver import Receiver, running_receiver
from tests.tools.waiting import PATIENCE_SECONDS, until
from tests.tools.webhooks import ANYWHERE, Talker, policy_of

PUBLIC = "https://erp.example.com/in"


@pytest.fixture
async def nameserver() -> AsyncIterator[Nameserver]:
    """It knows a receiver and something of the inside, and is silent about the rest."""
    known = {"well_test": ["127.0.0.1"], "inside_test": ["10.0.0.5"], "gone_test": []}
    async with running_nameserver(**known) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


async def test_a_name_is_taken_whatever_it_stands_for(user: Client) -> None:
    """One response for names of the inside, of the internet, and of nothing."""
    path = f"/webhooks/{(await user.thing())['id']}"
    hosts = ("postgres", "db.internal", "example.com", "does-not-exist.test", "x" * 64)
    said = [await user.ask("POST", path, [{"name": "a", "url": f"http://{h}/"}]) for h in hosts]
    assert {(201, "")} == {(answer.status, answer.text) for answer in said}


async def test_where_a_name_leads_is_judged_at_delivery_and_told_to_nobody(
    database: Database, user: Client, receiver: Receiver, nameserver: Nameserver
) -> None:
    """A name of the inside and one that does not exist come to the same."""
    talker = await Talker.of(user)
    for host in ("inside.test", "gone.test", "well.test"):
        await talker.hook(f"http://{host}:{receiver.port}/")
    await talker.say()
    policy = policy_of(attempts=3, rules=TargetRules(), nameservers=(nameserver.place,))
    async with delivering(database, policy):
        await until(lambda: _all_dead(talker))
    shown = await talker.hooks()
    for hook in shown:
        del hook["id"], hook["url"]
    assert [shown[0]] * 3 == shown
    assert [] == receiver.tried
    async with database.session() as session:
        errors = await session.connection.fetch("select distinct error from deliveries")
    assert ["unreachable"] == [row["error"] for row in errors]


async def _all_dead(talker: Talker) -> bool:
    return all(hook["dead"] == 1 for hook in await talker.hooks())


async def test_hosts_that_nobody_answers_for_keep_no_other_user_waiting(
    database: Database, nobody: Client, user: Client, receiver: Receiver, nameserver: Nameserver
) -> None:
    """One user's webhooks are on more names without an answer than there are places."""
    greedy = await Talker.of(await new_user(nobody, database, "greedy@email.com"))
    for i in range(12):
        await greedy.hook(f"http://h{i}.slow.test/")
    await greedy.say()
    honest = await Talker.of(user)
    await honest.hook(f"http://well.test:{receiver.port}/")
    policy = policy_of(nameservers=(nameserver.place,), timeout_seconds=300)
    # Neither the delivery nor the end waits for a look-up, which takes five minutes.
    async with asyncio.timeout(PATIENCE_SECONDS), delivering(database, policy):
        await until(lambda: len({h for h in nameserver.asked if "slow" in h}) == 6)
        await honest.say()
        await receiver.until(lambda: len(receiver.taken) == 1)
        assert 6 == len({host for host in nameserver.asked if "slow" in host})


@pytest.mark.parametrize("settings", [{"webhook_hosts": ("erp.example.com",)}], ids=["listed"])
async def test_only_hosts_of_the_list_are_named(user: Client) -> None:
    path = f"/webhooks/{(await user.thing())['id']}"
    other, listed = {"name": "a", "url": "http://a.test/"}, {"name": "a", "url": PUBLIC}
    assert 400 == (await user.ask("POST", path, [listed, other])).status
    assert 201 == (await user.ask("POST", path, [listed])).status
    [made] = (await user.ask("GET", path)).json["webhooks"]
    assert 400 == (await user.ask("PUT", f"/webhooks/{made['id']}", other)).status


async def test_a_host_that_is_no_longer_listed_is_not_called(
    database: Database, user: Client, receiver: Receiver
) -> None:
    talker = await Talker.of(user)
    await talker.hook(f"http://8.8.8.8:{receiver.port}/")
    await talker.say()
    rules = TargetRules(ANYWHERE.private, ("erp.example.com",))
    async with delivering(database, policy_of(attempts=1, rules=rules)):
        await until(lambda: _all_dead(talker))
    assert [] == receiver.tried


async def test_names_without_an_answer_hold_up_neither_requests_nor_a_stop(
    tmp_path: Path, postgres_server: str, nameserver: Nameserver
) -> None:
    """Twenty webhooks on such names: making them asks nothing; a stop in their midst is at once."""
    settings = {
        "webhook_nameservers": nameserver.place,
        "webhook_timeout_seconds": 300,
        "shutdown_seconds": 150,  # ``terminate`` waits for a minute
    }
    async with (
        running_gateway(tmp_path, database_server=postgres_server, **settings) as gateway,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, gateway.url)
        body = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        said = await client.ask("POST", "/tokens", body)
        talker = await Talker.of(Client(session, gateway.url, said.json["token"]))
        for i in range(20):
            await talker.hook(f"http://h{i}.slow.test/")
        assert [] == nameserver.asked
        await talker.say()
        await until(lambda: len(set(nameserver.asked)) >= 20)
        assert 1 == len((await talker.client.ask("GET", "/channels")).json["channels"])
        await session.close()
        assert 0 == await gateway.terminate()
