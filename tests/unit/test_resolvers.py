"""Look-ups: of tenants' names, which nobody may answer for, and of the deployment's own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import ResolveResult

from gateway.resolvers import ForeignNames, LookUp, OwnNames, literal_address, system_look_up
from tests.tools.nameserver import Nameserver, running_nameserver
from tests.tools.waiting import PATIENCE_SECONDS, until


@pytest.fixture
async def nameserver() -> AsyncIterator[Nameserver]:
    async with running_nameserver(well_test=["192.0.2.7", "192.0.2.8"], gone_test=[]) as running:
        yield running


def addresses(found: list[ResolveResult]) -> list[str]:
    return [each["host"] for each in found]


@pytest.mark.parametrize(
    ("expected", "host"),
    [
        *[("127.0.0.1", host) for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001")],
        *[("127.0.0.1", host) for host in ("0177.0.0.1", "0x7f.1", "127.0.0.1.", "127.1.")],
        *[("0.0.0.0", "0"), ("::1", "::1"), ("::ffff:127.0.0.1", "::ffff:127.0.0.1")],
        *[(None, host) for host in ("a.test", "localhost", "1.2.3.4.5", "127.1.test", "", "..")],
    ],
)
def test_an_address_in_any_spelling_is_no_name(expected: str | None, host: str) -> None:
    found = literal_address(host)
    assert expected == (found and found.replace("::ffff:7f00:1", "::ffff:127.0.0.1"))


async def test_a_name_stands_for_its_addresses_and_an_address_for_itself(
    nameserver: Nameserver,
) -> None:
    names = ForeignNames([nameserver.place])
    found = await names.resolve("well.test", 81)
    assert ["192.0.2.7", "192.0.2.8"] == sorted(addresses(found))
    assert {(81, socket.AF_INET)} == {(each["port"], each["family"]) for each in found}
    assert ["127.0.0.1"] == addresses(await names.resolve("127.1", 80))
    assert {"well.test"} == set(nameserver.asked)
    await names.close()


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("gone.test", id="no such name"),
        pytest.param("a.slow.test", id="nobody answers"),
        pytest.param("x" * 64 + ".test", id="no name at all"),
    ],
)
async def test_what_has_no_address_is_an_error_in_time(nameserver: Nameserver, host: str) -> None:
    names = ForeignNames([nameserver.place], seconds=0.2)
    async with asyncio.timeout(5):
        with pytest.raises(OSError, match=r"no address|cannot be|^$"):
            await names.resolve(host, 80)
    await names.close()


async def test_names_that_nobody_answers_for_keep_no_other_waiting(nameserver: Nameserver) -> None:
    """Two hundred of them are under way; then there is no room for more, until they are over."""
    names = ForeignNames([nameserver.place], seconds=300, most=200)
    slow = [asyncio.create_task(names.resolve(f"h{i}.slow.test", 80)) for i in range(199)]
    await until(lambda: len(set(nameserver.asked)) == 199)
    threads = threading.active_count()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert addresses(await names.resolve("well.test", 80))
    assert threads <= 8, "a look-up has no thread"
    last = asyncio.create_task(names.resolve("last.slow.test", 80))
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many"):
        await names.resolve("well.test", 80)
    async with asyncio.timeout(PATIENCE_SECONDS):  # nobody waits for them to end
        await names.close()
        done = await asyncio.gather(*slow, last, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in done)


async def test_answers_are_not_kept_for_ever(
    nameserver: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name once stood for is forgotten after so many others, whatever its time to live."""
    monkeypatch.setattr("gateway.resolvers._ENOUGH_ANSWERS", 3)
    names = ForeignNames([nameserver.place])
    for _ in range(7):
        await names.resolve("well.test", 80)
    assert 3 == nameserver.asked.count("well.test") / 2  # A and AAAA
    await names.close()


class System:
    """The system's look-up: what it says next, or silence until the test is over."""

    def __init__(self) -> None:
        self.answer: list[ResolveResult] | OSError | None = None
        self.asked = 0
        self.over = threading.Event()

    def look_up(self, host: str, port: int, family: int) -> list[ResolveResult]:
        self.asked += 1
        if self.answer is None:
            self.over.wait(20)
        if not isinstance(self.answer, list):
            raise self.answer or OSError("no answer")
        return self.answer


GOOD = system_look_up("127.0.0.1", 80, socket.AF_INET)
NEW = system_look_up("127.0.0.2", 80, socket.AF_INET)


@pytest.mark.parametrize(
    ("expected", "then"),
    [
        pytest.param(NEW, NEW, id="another answer"),
        pytest.param(GOOD, OSError("no such name"), id="a failure"),
        pytest.param(GOOD, None, id="silence"),
    ],
)
async def test_the_last_good_answer_stands_in_for_one_that_does_not_come(
    expected: list[ResolveResult], then: list[ResolveResult] | OSError | None
) -> None:
    system = System()
    look_up: LookUp = system.look_up
    names = OwnNames(look_up, patience_seconds=0.05)
    system.answer = GOOD
    assert GOOD == await names.resolve("hook.test", 80)
    system.answer = then
    for _ in range(3):
        assert expected == await names.resolve("hook.test", 80)
    assert then is not None or 2 == system.asked, "one look-up of a name is under way at a time"
    await names.close()
    system.over.set()


async def test_a_name_that_was_never_known_is_an_error() -> None:
    system = System()
    system.answer = OSError("no such name")
    with pytest.raises(OSError, match="cannot be looked up"):
        await OwnNames(system.look_up).resolve("hook.test", 80)
