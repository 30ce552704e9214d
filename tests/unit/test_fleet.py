"""The fleet simulator: what its devices ask for, what they accept, where it may be aimed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from gateway.fleet.aim import OWNER_FLAG, Refused, aim_at, check_loopback
from gateway.fleet.answers import Head, Unusable, parse_head, request_bytes, span_of
from gateway.fleet.flash import Image, RandomFlash, SequentialFlash, WrongBytes
from gateway.fleet.mission import (
    MISSION,
    LinkConditions,
    Mission,
    bandwidth_of,
    mix_of,
    share_out,
    size_of,
)
from gateway.fleet.plans import KIB, PROFILES, Ask, Got
from gateway.fleet.swarm import crew, fly
from gateway.fleet.tally import TALLY, Tally, percentile
from tests.tools.fleet import flown

SIZE = 300 * KIB + 7


def played(name: str, cuts: list[int], size: int = SIZE) -> list[Ask]:
    """What a profile asks of a server that answers as it should.

    ``cuts``: of the first answers, how many bytes arrive; later ones arrive whole.
    """
    plan, asks = PROFILES[name].plan(random.Random(4)), []
    ask = next(plan)
    for number in range(10_000):
        asks.append(ask)
        start = ask.start or 0
        whole = 0 if ask.method == "HEAD" else min(ask.stop or size, size) - start
        count = min(cuts[number], whole) if number < len(cuts) else whole
        try:
            ask = plan.send(Got(200 if ask.start is None else 206, start, count, size))
        except StopIteration:
            return asks
    raise AssertionError("the plan has no end")


def ranges(asks: list[Ask]) -> list[str | None]:
    return [ask.range_header for ask in asks]


@pytest.mark.parametrize(
    ("expected", "name", "cuts"),
    [
        pytest.param([None], "curl", [], id="curl, no cut"),
        pytest.param([None, "bytes=1000-"], "curl", [1000], id="curl resumes with an open range"),
        pytest.param(
            [None, f"bytes=1000-{SIZE - 1}"], "mender", [1000], id="mender spells the end out"
        ),
        pytest.param(
            [None, "bytes=1000-", "bytes=1500-"], "zephyr", [1000, 500], id="zephyr resumes twice"
        ),
        pytest.param(
            [None, None, "bytes=9-"], "swupdate", [0, 9], id="swupdate asks for the head first"
        ),
    ],
)
def test_a_resuming_client_asks_for_what_it_lacks(
    expected: list[str | None], name: str, cuts: list[int]
) -> None:
    assert expected == ranges(played(name, cuts))


def test_swupdate_and_esp_idf_begin_with_head() -> None:
    assert ["HEAD", "GET"] == [ask.method for ask in played("swupdate", [])]
    assert "HEAD" == played("esp-idf", [])[0].method


def test_zephyr_sends_if_range_only_when_it_resumes() -> None:
    assert [False, True] == [ask.if_range for ask in played("zephyr", [10])]


def test_zephyr_starts_over_when_its_validator_no_longer_holds() -> None:
    plan = PROFILES["zephyr"].plan(random.Random(1))
    next(plan)
    assert Ask(10, if_range=True) == plan.send(Got(200, 0, 10, SIZE))
    assert Ask(4, if_range=True) == plan.send(Got(200, 0, 4, SIZE))


def test_esp_idf_covers_the_file_in_order_and_ends_with_an_open_range() -> None:
    _, *asks = played("esp-idf", [])
    assert {4 * KIB, 16 * KIB, 64 * KIB} >= {(a.stop or 0) - (a.start or 0) for a in asks[:-1]}
    assert sorted(asks, key=lambda ask: ask.start or 0) == asks
    assert asks[-1].stop is None


def test_nrf_asks_for_two_kib_at_a_time_also_behind_the_end_of_a_small_file() -> None:
    assert ["bytes=0-2047", "bytes=2048-2499"] == ranges(played("nrf", [], 2500))
    assert ["bytes=0-2047"] == ranges(played("nrf", [], 100))


def test_nrf_asks_for_the_rest_of_a_block_that_was_cut() -> None:
    assert ["bytes=0-2047", "bytes=5-2047", "bytes=2048-2499"] == ranges(played("nrf", [5], 2500))


def test_rauc_asks_for_four_bytes_and_then_for_each_block_once_in_any_order() -> None:
    first, *blocks = played("rauc", [])
    assert "bytes=0-3" == first.range_header
    starts = [block.start or 0 for block in blocks]
    assert [0, 128 * KIB, 256 * KIB] == sorted(starts)
    assert SIZE == sum((block.stop or 0) - (block.start or 0) for block in blocks)


def test_rauc_asks_for_a_block_again_until_it_is_whole() -> None:
    _, cut, again, *_ = played("rauc", [4, 17])
    assert cut == again


@pytest.mark.parametrize("name", PROFILES)
def test_a_cut_before_the_first_answer_is_followed_by_the_same_request(name: str) -> None:
    plan = PROFILES[name].plan(random.Random(1))
    assert next(plan) == plan.send(Got())


def test_a_request_has_its_range_and_the_validator_of_the_first_answer() -> None:
    target = aim_at("http://127.0.0.1:8080/files/a.bin?x=1")
    request = request_bytes(target, {"Authorization": "Thing k"}, Ask(5, if_range=True), '"v"')
    assert (
        b"GET /files/a.bin?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Thing k\r\n"
        b'Range: bytes=5-\r\nIf-Range: "v"\r\n\r\n'
    ) == request


def head(status: int, **headers: str) -> Head:
    return Head(status, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("expected", "ask", "answer"),
    [
        pytest.param((0, 100), Ask(), head(200, content_length="100"), id="whole"),
        pytest.param((0, 0), Ask(method="HEAD"), head(200, content_length="100"), id="HEAD"),
        pytest.param(
            (90, 100),
            Ask(90, 200),
            head(206, content_length="10", content_range="bytes 90-99/100"),
            id="end behind the file",
        ),
        pytest.param(
            (0, 100),
            Ask(90, if_range=True),
            head(200, content_length="100"),
            id="validator no longer holds",
        ),
    ],
)
def test_an_answer_says_where_its_bytes_belong(
    expected: tuple[int, int], ask: Ask, answer: Head
) -> None:
    span = span_of(ask, answer, 100)
    assert expected == (span.start, span.stop)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(Ask(), head(206, content_length="100"), id="206 to no range"),
        pytest.param(Ask(), head(200), id="no length"),
        pytest.param(Ask(), head(200, content_length="99"), id="wrong length"),
        pytest.param(Ask(5), head(200, content_length="100"), id="200 to a range"),
        pytest.param(Ask(5), head(416, content_length="0"), id="416"),
        pytest.param(
            Ask(5, 10), head(206, content_length="5", content_range="bytes 5-9/*"), id="no total"
        ),
        pytest.param(
            Ask(5, 10), head(206, content_length="4", content_range="bytes 5-9/100"), id="short"
        ),
    ],
)
def test_an_answer_that_breaks_devices_is_unusable(ask: Ask, answer: Head) -> None:
    with pytest.raises(Unusable):
        span_of(ask, answer, 100)


def test_a_head_without_a_status_line_is_unusable() -> None:
    with pytest.raises(Unusable):
        parse_head(b"SSH-2.0-x")


def test_a_sequential_flash_is_right_only_with_every_byte_in_order() -> None:
    image, flash = Image(b"0123456789"), SequentialFlash(Image(b"0123456789"))
    flash.write(0, b"012")
    assert not flash.is_right()
    with pytest.raises(WrongBytes):
        flash.write(4, b"4")
    flash.write(0, image.content)
    assert flash.is_right()


@pytest.mark.parametrize("kind", [SequentialFlash, RandomFlash])
def test_a_byte_of_another_version_is_noticed(
    kind: type[SequentialFlash | RandomFlash],
) -> None:
    with pytest.raises(WrongBytes):
        kind(Image(b"0123456789")).write(0, b"01x")


def test_a_random_flash_takes_pieces_in_any_order() -> None:
    flash = RandomFlash(Image(b"0123456789"))
    flash.write(5, b"56789")
    assert not flash.is_right()
    flash.write(0, b"01234")
    assert flash.is_right()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://[::1]:1/x", "http://127.8.8.8/x"])
def test_loopback_may_be_aimed_at(url: str) -> None:
    assert aim_at(url).is_loopback


def test_another_machine_is_refused_without_the_flag() -> None:
    with pytest.raises(Refused, match=OWNER_FLAG):
        aim_at("http://192.0.2.1/x")
    assert "192.0.2.1" == aim_at("http://192.0.2.1/x", owned=True).address


def test_a_name_that_is_only_partly_loopback_is_refused() -> None:
    check_loopback("here.test", ["127.0.0.1", "::1"])
    with pytest.raises(Refused):
        check_loopback("both.test", ["127.0.0.1", "192.0.2.1"])


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "127.0.0.1", "http://"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        aim_at(url, owned=True)


def test_sizes_bandwidths_and_mixes_are_read() -> None:
    assert (1536, 1000) == (size_of("1.5k"), size_of("1000"))
    assert ((8192, 8192), (4096, 16384)) == (bandwidth_of("8k"), bandwidth_of("4k-16k"))
    assert {"rauc": 3, "nrf": 1} == mix_of("rauc=3, nrf")


@pytest.mark.parametrize(
    ("read", "text", "complaint"),
    [
        pytest.param(size_of, "many", "no size", id="size"),
        pytest.param(bandwidth_of, "2k-1k", "slower", id="bandwidth the wrong way round"),
        pytest.param(mix_of, "ios", "no profile", id="unknown profile"),
        pytest.param(mix_of, "nrf=0", "above 0", id="nobody"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    read: Callable[[str], object], text: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(text)


def test_devices_are_shared_out_evenly_and_none_is_lost() -> None:
    assert [4, 3, 3] == share_out(10, 3)


def test_a_crew_has_the_shares_of_the_mix() -> None:
    names = [profile.name for profile in crew({"rauc": 3, "nrf": 1}, 8, 1)]
    assert (6, 2) == (names.count("rauc"), names.count("nrf"))


@pytest.mark.parametrize(
    ("expected", "percent"),
    [
        pytest.param(10.0, 0, id="least"),
        pytest.param(30.0, 50, id="median"),
        pytest.param(48.0, 95, id="between neighbours"),
        pytest.param(50.0, 100, id="greatest"),
    ],
)
def test_percentiles_of_five_values(expected: float, percent: float) -> None:
    assert expected == pytest.approx(percentile([50.0, 10.0, 40.0, 20.0, 30.0], percent))


def test_a_percentile_needs_values_and_a_percentage() -> None:
    for values, percent in (([], 50.0), ([1.0], 101.0)):
        with pytest.raises(ValueError, match="percentile"):
            percentile(values, percent)


def test_tallies_add_up() -> None:
    one, two = Tally(received=5), Tally(received=2)
    one.complete("nrf", 1.5, 4)
    two.fail("no answer")
    one.add(TALLY.validate_python(TALLY.dump_python(two)))
    assert (7, 1, {"no answer": 1}, 1.75) == (one.received, one.completed, one.failures, 7 / 4)
    assert 1.75 == one.overhead


def test_a_mission_survives_the_way_to_a_child_process() -> None:
    mission = Mission(aim_at("http://127.0.0.1:1/x"), "a.bin", 3, conditions=LinkConditions(1, 2))
    assert mission == MISSION.validate_json(MISSION.dump_json(mission))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """A real file server, and the file that it serves as /a.bin."""
    path = tmp_path / "a.bin"
    path.write_bytes(random.Random(1).randbytes(200_001))
    app = web.Application()
    app.router.add_static("/", tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/a.bin", path
    await runner.cleanup()


async def test_every_client_ends_with_the_right_image_however_often_it_is_cut(
    served: tuple[str, Path],
) -> None:
    url, path = served
    conditions = LinkConditions(cut_every=60_000, pause=0.001)
    mission = Mission(aim_at(url), str(path), 2 * len(PROFILES), conditions=conditions)
    tally = await fly(mission)
    assert (14, 0, {}) == (tally.completed, tally.wrong, tally.failures)
    assert tally.cuts > 0
    assert tally.received >= tally.needed == 14 * 200_001


async def test_the_command_sums_up_what_the_fleet_went_through(
    served: tuple[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    url, path = served
    conditions = ("--cut-every", "60k", "--pause", "0.001", "--devices", "7", "--json")
    status = await flown("--url", url, *conditions)
    told = json.loads(capfd.readouterr().out)
    assert (0, 7, 7, {}) == (status, told["devices"], told["completed"], told["failures"])
    assert told["needed"] == 7 * path.stat().st_size <= told["received"]
    assert told["cuts"] > 0


async def test_the_command_ends_in_time_and_is_no_success(
    served: tuple[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    url, _ = served
    status = await flown(
        "--url", url, "--devices", "2", "--mix", "curl", "--bandwidth", "1k", "--seconds", "0.3"
    )
    told = json.loads(capfd.readouterr().out)
    assert (1, 0, {"curl: out of time": 2}) == (status, told["completed"], told["failures"])
    assert told["elapsed"] < 10


@pytest.mark.parametrize(
    ("complaint", "arguments"),
    [
        pytest.param("only the owner", ["--url", "http://192.0.2.1/x"], id="another machine"),
        pytest.param("cannot be fetched", ["--url", "http://127.0.0.1:9/x"], id="nobody there"),
        pytest.param(
            "is no header", ["--url", "http://127.0.0.1:9/", "--header", "x"], id="header"
        ),
    ],
)
async def test_the_command_says_why_it_cannot_begin(
    complaint: str, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert 2 == await flown(*arguments)
    said = capfd.readouterr()
    assert ("", True) == (said.out, complaint in said.err)


async def test_devices_notice_a_server_that_has_other_bytes(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    url, path = served
    other = tmp_path / "other.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    tally = await fly(Mission(aim_at(url), str(other), len(PROFILES)))
    assert (0, len(PROFILES)) == (tally.completed, tally.wrong)


async def test_a_device_gives_up_when_nobody_answers() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    mission = Mission(
        aim_at(url), "/dev/null", 1, conditions=LinkConditions(pause=0.001), attempts=3
    )
    tally = await fly(mission)
    server.close()
    assert (0, 1, 4) == (tally.completed, sum(tally.failures.values()), tally.losses)
