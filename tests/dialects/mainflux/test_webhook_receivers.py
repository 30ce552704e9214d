"""Receivers that want no more, want it later, or misbehave; and what one user may send them in an hour."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web

from gateway.database.pool import Database
from gateway.messaging.budget import Budget
from gateway.messaging.delivery import delivering
from gateway.messaging.posting import AttemptOutcome
from gateway.messaging.rows.outbox import outbox_state, remove_dead
from tests.tools.client import Client
from tests.tools.ports import HOST
from tests.tools.receiver import Received, Receiver, running_receiver
from tests.tools.waiting import until
from tests.tools.webhooks import Talker, policy_of

OK = b"HTTP/1.1 200 OK\r\n"


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


@contextlib.asynccontextmanager
async def misbehaving(head: bytes, piece: bytes | None, heads: list[bytes]) -> AsyncIterator[str]:
    """The URL of somebody who answers each request with ``head`` and ``piece``s without end, or,
    without a piece, closes after the head; ``heads`` are those of the requests."""

    answering = set[asyncio.Task[None]]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            answering.add(task)
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head)
        try:
            while piece is not None:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        finally:
            writer.transport.abort() if piece is not None else writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(OK + b"Content-Length: 99\r\n\r\nab", None, id="cut body"),
        pytest.param(OK + b"Content-Length: 99\r\n\r\n", b"", id="no body"),
        pytest.param(OK + b"\r\n", b"x" * 65536, id="endless body"),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", None, id="gzip"
        ),
    ],
)
async def test_a_status_counts_whatever_follows_it(
    database: Database, talker: Talker, head: bytes, piece: bytes | None
) -> None:
    heads = list[bytes]()
    async with misbehaving(head, piece, heads) as url:
        await talker.hook(url)
        await talker.say()
        async with delivering(database, policy_of()):
            await until(lambda: _waiting(talker, 0))
    assert 1 == len(heads)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"HTTP/1.1 ", b"x" * 65536, id="endless line"),
        pytest.param(OK + b"a: ", b"x" * 65536, id="endless head"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="endless interim responses"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", None, id="redirect"),
        pytest.param(b"HTTP/1.1 500 x\r\nRetry-After: x\r\n\r\n", None, id="odd Retry-After"),
    ],
)
async def test_what_is_no_yes_is_tried_again_in_bounded_time(
    database: Database, talker: Talker, head: bytes, piece: bytes | None
) -> None:
    heads = list[bytes]()
    policy = policy_of(timeout_seconds=0.3)
    async with misbehaving(head, piece, heads) as url:
        await talker.hook(url)
        await talker.say()
        async with delivering(database, policy):
            await until(lambda: len(heads) >= 2)
    assert await _waiting(talker, 1)


async def _waiting(talker: Talker, count: int) -> bool:
    return all(hook["waiting"] == count for hook in await talker.hooks())


async def test_gone_ends_the_webhook_and_what_waits_until_it_is_changed(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    await talker.hook(f"{receiver.url}/gone")
    receiver.decide = lambda _: 410
    for _ in range(3):
        await talker.say()
    async with delivering(database, policy_of()):
        await until(lambda: _is_disabled(talker, "gone"))
        [hook] = await talker.hooks()
        assert (0, 3) == (hook["waiting"], hook["dead"])
        await talker.say()
        assert 3 == await connection.fetchval("select count(*) from deliveries")
        assert 1 == len(receiver.tried)
        assert 1 == (await outbox_state(database)).disabled
        receiver.decide = lambda _: 200
        said = await talker.client.ask("PUT", f"/webhooks/{hook['id']}", {"name": "again"})
        assert 200 == said.status
        await talker.say()
        await receiver.until(lambda: len(receiver.taken) == 1)
    assert "disabled" not in (await talker.hooks())[0]


async def _is_disabled(talker: Talker, why: str) -> bool:
    return all(hook.get("disabled") == why for hook in await talker.hooks())


async def test_what_was_queued_while_a_webhook_ended_is_given_up_by_the_sweeper(
    database: Database, connection: asyncpg.Connection, talker: Talker
) -> None:
    await talker.hook("http://192.0.2.1/")
    await talker.say()
    await connection.execute("update webhooks set disabled = 'gone'")
    async with delivering(database, policy_of()):
        await remove_dead(database, 3600)
    [hook] = await talker.hooks()
    assert (0, 1, "gone") == (hook["waiting"], hook["dead"], hook["disabled"])


async def test_a_receiver_says_when_to_come_back(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver
) -> None:
    """It is left alone until then, whatever our own pauses are, and others are told meanwhile."""
    await talker.hook(f"{receiver.url}/later")
    await talker.hook(f"{receiver.url}/now")
    receiver.decide = lambda received: (
        web.Response(status=503, headers={"Retry-After": "3600"})
        if received.path == "/later"
        else 200
    )
    await talker.say()
    async with delivering(database, policy_of()):
        await receiver.until(lambda: len(receiver.tried) == 2)
        await until(lambda: _rests(connection))
    rest = "select extract(epoch from max(retry_at) - now()) from webhooks"
    assert 3500 < await connection.fetchval(rest) <= 3600
    assert ["/now"] == [received.path for received in receiver.taken]


async def _rests(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("select true from webhooks where retry_at > now()"))


async def test_who_is_over_budget_waits_for_the_next_hour_and_nobody_else_does(
    database: Database, connection: asyncpg.Connection, talker: Talker, root: Client,
    receiver: Receiver,
) -> None:  # fmt: skip
    """Three messages fit; the fourth waits; in the next hour it goes, in order."""
    outcomes = Counter[AttemptOutcome]()
    pack = b'[{"n":"count","t":1.6e9,"v":%d}]'
    size = 512 + len(pack % 0)
    other = await Talker.of(root)
    await talker.hook(f"{receiver.url}/mine")
    await other.hook(f"{receiver.url}/other")
    policy = policy_of(bytes_per_hour=3 * size + 20)
    async with delivering(database, policy, observe=lambda o: outcomes.update([o])):
        for number in range(4):
            await talker.say(pack % number)
        await until(lambda: outcomes[AttemptOutcome.POSTPONED] == 1)
        await other.say()
        await receiver.until(lambda: len(receiver.taken) == 4)
        assert 1 == (await talker.hooks())[0]["waiting"]
        assert (0, 0) == ((await talker.hooks())[0]["dead"], (await talker.hooks())[0]["failures"])
        assert 0 < (await outbox_state(database)).oldest_seconds < 60
        await connection.execute(
            "update webhook_budgets set hour = hour - interval '1 hour';"
            " update webhooks set retry_at = now()"
        )
        await until(lambda: outcomes[AttemptOutcome.DELIVERED] == 5)
    mine = [received.json[0]["v"] for received in receiver.taken if received.path == "/mine"]
    assert [0, 1, 2, 3] == mine
    assert {AttemptOutcome.DELIVERED: 5, AttemptOutcome.POSTPONED: 1} == dict(outcomes)


async def test_two_gateways_together_keep_to_the_budget(
    database: Database, connection: asyncpg.Connection, talker: Talker
) -> None:
    """Forty at once ask two of them for a tenth of the hour each: ten get it."""
    owner = await connection.fetchval("select owner_id from things")
    budgets = [Budget(database, 10_000_000), Budget(database, 10_000_000)]
    waits = await asyncio.gather(*(budgets[i % 2].take(owner, 1_000_000) for i in range(40)))
    assert 10 == waits.count(0.0)
    assert all(0 < wait <= 3600 for wait in waits if wait)
    assert 0.0 == await Budget(database, 0).take(owner, 10**12)
    assert 0.0 < await budgets[0].take(uuid4(), 1), "somebody who is gone sends nothing"


async def test_what_is_reserved_lasts_for_its_hour_and_spares_round_trips(
    database: Database, connection: asyncpg.Connection, talker: Talker
) -> None:
    owner, now = await connection.fetchval("select owner_id from things"), [time.monotonic()]
    budget = Budget(database, 1 << 30, clock=lambda: now[0])
    for _ in range(100):
        assert 0.0 == await budget.take(owner, 1000)
    reserved = "select bytes from webhook_budgets"
    assert 256 * 1024 == await connection.fetchval(reserved)
    now[0] += 3600
    assert 0.0 == await budget.take(owner, 1000)
    assert 2 * 256 * 1024 == await connection.fetchval(reserved)


Say = Callable[[bytes], bytes]


@pytest.mark.parametrize("form", ["text", "JSON"])
async def test_a_new_host_is_asked_first_and_only_once(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver,
    form: str,
) -> None:  # fmt: skip
    """Of one user's webhooks on a host the first asks; the others go by its answer."""

    def decide(received: Received) -> web.Response:
        said = received.json
        if isinstance(said, dict) and said.get("type") == "webhook.confirmation":
            word = said["challenge"]
            if form == "text":
                return web.Response(text=f"{word}\n")
            return web.json_response({"challenge": word})
        return web.Response()

    receiver.decide = decide
    for path in "ab":
        await talker.hook(f"{receiver.url}/{path}")
    await connection.execute("update webhooks set unconfirmed = true")
    assert [True, True] == [hook["unconfirmed"] for hook in await talker.hooks()]
    await talker.say()
    async with delivering(database, policy_of(concurrency=1)):
        await receiver.until(lambda: len(receiver.tried) == 3)
        await until(lambda: _waiting(talker, 0))
    events = [received.headers["X-Webhook-Event"] for received in receiver.tried]
    assert ["webhook.confirmation", "messages", "messages"] == events


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(lambda _: b"", id="nothing"),
        pytest.param(lambda body: body, id="what it was sent"),
        pytest.param(lambda body: b"<html>" + body, id="a page with it"),
        pytest.param(lambda _: b'{"challenge": null}', id="another word"),
    ],
)
async def test_a_host_that_does_not_say_the_word_is_told_nothing(
    database: Database, connection: asyncpg.Connection, talker: Talker, receiver: Receiver, say: Say
) -> None:
    """Ten times it is asked, with pauses; then the webhook is at its end."""
    receiver.decide = lambda received: web.Response(body=say(received.body))
    await talker.hook(receiver.url)
    await connection.execute("update webhooks set unconfirmed = true")
    await talker.say()
    outcomes = Counter[AttemptOutcome]()
    async with delivering(database, policy_of(), observe=lambda o: outcomes.update([o])):
        await until(lambda: _is_disabled(talker, "unconfirmed"))
    assert {"webhook.confirmation"} == {r.headers["X-Webhook-Event"] for r in receiver.tried}
    assert {AttemptOutcome.UNCONFIRMED: 10} == dict(outcomes)
    [hook] = await talker.hooks()
    assert (0, 1) == (hook["waiting"], hook["dead"])
