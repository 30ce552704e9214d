"""Lines of nginx's log: what they tell, who reads them, and what is no line."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gateway.process.datagrams import LONGEST_LINE, receiving
from gateway.process.supervisor import ListenFailed
from gateway.web.operations.nginx_log import SentByNginx, count_line, read_line
from tests.tools.waiting import until

HEAD = b"<190>Nov 26 03:33:33 filestore: "


def told(
    status: int, sent: int, *, cut: bool = False, resumed: bool = False, cached: str = ""
) -> SentByNginx:
    return SentByNginx(status, sent, cut=cut, resumed=resumed, cached=cached)


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        pytest.param(told(200, 70000), b"200 70000 OK- 70000 -", id="whole"),
        pytest.param(told(200, 69999, cut=True), b"200 69999 - 70000 -", id="cut"),
        pytest.param(told(200, 10), b"200 10 - 65536 -", id="short, cut: no download"),
        pytest.param(
            told(206, 70000, resumed=True), b"206 70000 OK- 70000 bytes 9-70008/70009", id="resumed"
        ),
        pytest.param(
            told(206, 5, cut=True, resumed=True),
            b"206 5 - 70000 bytes 9-70008/70009",
            id="cut again",
        ),
        pytest.param(
            told(206, 70000), b"206 70000 OK- 70000 bytes 0-69999/90000", id="a first part"
        ),
        pytest.param(told(206, 9), b"206 9 OK- 9 bytes 1-9/10", id="a last piece"),
        pytest.param(told(304, 0), b"304 0 OK- - -", id="no body"),
        pytest.param(told(200, 9), b"200 9 OK- 9 - -", id="of a disk"),
        pytest.param(told(200, 9, cached="HIT"), b"200 9 OK- 9 - HIT", id="of a cache"),
        pytest.param(
            told(206, 9, cached="MISS"), b"206 9 OK- 9 bytes 1-9/10 MISS", id="a part of a store"
        ),
    ],
)
def test_a_line_tells_what_became_of_a_response(expected: SentByNginx, line: bytes) -> None:
    assert expected == read_line(HEAD + line)
    assert expected == read_line(HEAD.replace(b"26", b" 6") + line + b"\n")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"200 1 OK- 1 -", id="no head"),
        pytest.param(HEAD + b"200 1 OK- 1 - and more", id="more"),
        pytest.param(HEAD + b"200 1 OK- 1 - HIT and more", id="more than a cache"),
        pytest.param(HEAD + b"200 -1 OK- 1 -", id="negative"),
        pytest.param(HEAD + b"999 1 OK- 1 -", id="no status"),
        pytest.param(HEAD + b"200 " + b"9" * 4000 + b" OK- 1 -", id="a long number"),
        pytest.param(HEAD + "200 ٣ OK- 1 -".encode(), id="digits of another script"),
        pytest.param(b"\xff" * LONGEST_LINE, id="no text"),
    ],
)
def test_what_is_no_such_line_is_none_and_harms_nothing(line: bytes) -> None:
    assert read_line(line) is None
    count_line(line)


@pytest.fixture
def heard() -> list[bytes]:
    return []


def say(path: Path, *lines: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(path))
        for line in lines:
            sender.send(line)


async def test_lines_are_received_over_a_dead_process_s_socket(
    tmp_path: Path, heard: list[bytes]
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    async with receiving(path, heard.append):
        assert 0o660 == path.stat().st_mode & 0o777
        say(path, b"one", b"two", b"x" * (LONGEST_LINE + 1))
        await until(lambda: len(heard) == 3)
    assert [b"one", b"two", b"x" * LONGEST_LINE] == heard
    assert not path.exists()


async def test_of_two_readers_the_second_goes_on_when_the_first_ends(
    tmp_path: Path, heard: list[bytes]
) -> None:
    path, later = tmp_path / "s", list[bytes]()
    async with receiving(path, later.append, pause_seconds=0.01) as _:
        async with receiving(path, heard.append, pause_seconds=0.01):
            say(path, b"one")
            await until(lambda: later == [b"one"])
        say(path, b"two")
        await until(lambda: len(later) == 2)
    first = receiving(path, later.append, pause_seconds=0.01)
    await first.__aenter__()
    async with receiving(path, heard.append, pause_seconds=0.01):
        await first.__aexit__(None, None, None)
        await until(path.exists)
        say(path, b"three")
        await until(lambda: heard == [b"three"])


async def test_a_turn_of_the_loop_takes_a_bounded_number(
    tmp_path: Path, heard: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.process.datagrams._MOST_AT_ONCE", 3)
    path = tmp_path / "s"
    async with receiving(path, heard.append):
        say(path, *(b"%d" % n for n in range(8)))
        counts = []
        while len(heard) < 8:
            await asyncio.sleep(0)
            counts.append(len(heard))
    assert max(b - a for a, b in zip([0, *counts], counts, strict=False)) <= 3


async def test_what_is_no_socket_is_left_alone(tmp_path: Path, heard: list[bytes]) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    with pytest.raises(ListenFailed, match=r"cannot listen on .*precious: Address already in use"):
        await receiving(path, heard.append).__aenter__()
    assert "mine" == path.read_text()
    with pytest.raises(ListenFailed, match="No such file"):
        await receiving(tmp_path / "none" / "s", heard.append).__aenter__()
