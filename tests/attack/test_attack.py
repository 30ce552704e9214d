"""Every attack once, small and short, against one gateway: an honest device meets no error, everybody is served after.

Times are not looked at here, for whoever runs the tests has other things to do: ``make attack`` does. What is
said of an attack in docs/security.md is told from the one table of attacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attack import sink
from tests.attack.attacks import ATTACKS
from tests.attack.honest import percentile
from tests.attack.stage import MOST_BYTES, Scene, Verdict, resident_bytes, scene_of
from tests.attack.target import Attacker, Target
from tests.documents.test_findings import FINDINGS
from tests.tools.ports import HOST

SCALE = 0.03
SECONDS = 0.25
SMALL = [name for name, attack in ATTACKS.items() if not attack.fills]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("attacked")
    async with scene_of(folder, "small", database_server=postgres_server, scale=SCALE) as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SMALL)
async def test_whoever_attacks_the_others_are_served(scene: Scene, name: str) -> None:
    attacker, neighbour = Attacker(scene.target), scene.neighbour
    scene.device.take()
    attack = asyncio.create_task(ATTACKS[name].run(attacker))
    await asyncio.wait({attack}, timeout=SECONDS)
    assert not attack.done(), attack.exception()
    attack.cancel()
    await asyncio.gather(attack, return_exceptions=True)
    await neighbour.once()
    waited = scene.device.take()
    assert ([], []) == (waited.errors, neighbour.errors)
    assert waited.seconds, "nothing was downloaded"
    assert resident_bytes(scene.gateway.pid) < MOST_BYTES
    assert attacker.seen["500"] == 0
    assert attacker.seen["503"] == 0


def test_every_attack_says_which_finding_it_was() -> None:
    assert {attack.finding for attack in ATTACKS.values()} <= set(FINDINGS)
    kinds = {"stranger", "fresh user", "tenant", "local process"}
    kinds |= {"hostile hook", "hostile receiver", "hostile DNS"}
    assert kinds == {attack.who for attack in ATTACKS.values()}


class Counted(Exception):
    """So many came at once."""


class Counting(Attacker):
    """Only says how many would come."""

    async def crowd(self, count: int, *_: object, **__: object) -> None:
        raise Counted(count)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("half-heads", 10_000),
        ("slow-json", 600),
        ("slow-uploads", 256),
        ("log-ins", 120),
        ("full-disk", 8),
        ("messages", 12),
    ],
)
async def test_in_full_an_attack_is_of_as_many_as_the_review_was(name: str, count: int) -> None:
    """Each of them ends in a verdict that asks for recovery within seconds ("stays down", below)."""
    with pytest.raises(Counted, match=rf"^{count}$"):
        await ATTACKS[name].run(Counting(Target(0, "", "", "", "")))


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        pytest.param([], {}, id="held"),
        pytest.param(["p99"], {"p99": 31.0}, id="slow"),
        pytest.param([], {"p99": 31.0, "control_p99": 11.0}, id="the machine is slow"),
        pytest.param(["the device met errors"], {"errors": ["500"]}, id="an error"),
        pytest.param(["nothing was downloaded"], {"requests": 0}, id="nothing"),
        pytest.param(["memory"], {"memory": 513}, id="memory"),
        pytest.param(["no recovery"], {"recovered_seconds": 11.0}, id="stays down"),
        pytest.param(["the neighbour met errors"], {"neighbour_errors": ["x"]}, id="neighbour"),
        pytest.param(["the attack broke off"], {"failed": "KeyError()"}, id="no attack"),
    ],
)
def test_what_is_not_as_promised_is_seen(expected: list[str], changed: dict[str, object]) -> None:
    fine = {
        "who": "stranger",
        "finding": 1,
        "quiet_p99": 10.0,
        "control_p99": 10.0,
        "p50": 1.0,
        "p99": 29.0,
        "longest": 30.0,
        "worked_p99": 9.0,
        "loop_p99": 2.0,
        "loop_longest": 5.0,
        "requests": 9,
        "memory": 100,
        "recovered_seconds": 1.0,
        "errors": [],
        "neighbour_longest": 1.0,
        "neighbour_errors": [],
        "seen": {},
    }
    verdict = Verdict(**(fine | changed))  # type: ignore[arg-type]
    verdict.judge(timed=True)
    assert expected == verdict.unmet


@pytest.mark.parametrize(
    ("expected", "values"), [(0.0, []), (1.0, [1.0]), (99.0, [*map(float, range(1, 101))])]
)
def test_a_percentile_is_a_value_that_was_there(expected: float, values: list[float]) -> None:
    assert expected == percentile(values, 0.99)


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        pytest.param(1, [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], id="no body"),
        pytest.param(2, [b"GET / HTTP/1.1\r\n\r\nGET / HTTP", b"/1.1\r\n\r\n"], id="in pieces"),
        pytest.param(
            2,
            [b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", b"cdGET / HTTP/1.1\r\n\r\n"],
            id="a length",
        ),
        pytest.param(
            1,
            [b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r", b"\n\r\n"],
            id="chunks",
        ),
        pytest.param(0, [b"GET / HTTP/1.1\r\nX-Slow: "], id="half a head"),
    ],
)
async def test_the_control_s_sink_answers_each_request_once(
    answers: int, sent: list[bytes]
) -> None:
    given = sink.Answers(1000.0)
    server = await asyncio.get_running_loop().create_server(
        lambda: sink.SinkProtocol(given), HOST, 0
    )
    giving = asyncio.create_task(given.give())
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in sent:
            writer.write(piece)
            await asyncio.sleep(2 * sink.ROUND_SECONDS)
        for _ in range(answers):
            assert sink.ANSWER == await reader.readexactly(len(sink.ANSWER))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()
    giving.cancel()
