"""Log lines: JSON, with the request's id, impossible to forge, unable to break anything."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.process.logs import configure_logs, request_logged_as

GATEWAY = Path(__file__).parents[2] / "gateway"
LOG = logging.getLogger("gateway.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    stream = io.StringIO()
    configure_logs("info", stream)
    yield stream
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    LOG.info("stored", extra={"bytes": 7, "scope": ("things", None, 1.5, True)})
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert {
        "event": "stored",
        "level": "info",
        "logger": "gateway.test",
        "bytes": 7,
        "scope": ["things", None, 1.5, True],
    } == line


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param('x\n{"event": "forged"}', id="line break"),
        pytest.param("\x1b[2J\x00\r\x7f", id="terminal control"),
        pytest.param("\x85\x9b2J", id="C1 control"),
        pytest.param("a\u2028b\u2029c", id="Unicode line break"),
        pytest.param("name\udcff.bin", id="lone surrogate"),
        pytest.param("ü" * 100_000, id="very long"),
    ],
)
def test_nothing_that_a_client_sends_can_forge_a_line(stream: io.StringIO, hostile: str) -> None:
    LOG.info("name is %s", hostile, extra={"file": hostile, hostile: 1})
    text = stream.getvalue()
    assert 1 == len(text.splitlines())
    assert [] == [c for c in text[:-1] if ord(c) < 32 or 0x7F <= ord(c) < 0xA0]
    assert text.encode()
    assert len(text) < 70_000


@pytest.mark.parametrize(
    ("name", "most"), [("user_agent", 512), ("event", 512), ("path", 1024), ("exception", 8192)]
)
def test_no_value_is_longer_than_its_line_can_do_with(
    stream: io.StringIO, name: str, most: int
) -> None:
    said = "x" * 20_000
    if name == "event":
        LOG.info(said)
    elif name == "exception":
        LOG.error("failed", exc_info=ValueError(said))
    else:
        LOG.info("request", extra={name: said})
    (line,) = lines(stream)
    assert most == len(line[name])


def test_of_warnings_of_one_kind_some_are_written_and_the_rest_is_counted(
    stream: io.StringIO,
) -> None:
    """Whatever their values; lines that are no warnings are not counted."""
    for second in (1000.0, 1001.0):
        for number in range(50):
            for level in (logging.INFO, logging.ERROR):
                record = LOG.makeRecord(LOG.name, level, "", 0, "broke: %s", (number,), None)
                record.created = second
                LOG.handle(record)
    written = lines(stream)
    assert 100 == sum(line["level"] == "info" for line in written)
    errors = [line for line in written if line["level"] == "error"]
    assert ["broke: 0", "broke: 19", "broke: 0"] == [errors[n]["event"] for n in (0, 19, 20)]
    assert [40, 30] == [len(errors), errors[20]["suppressed"]]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


RECURSIVE: list[object] = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(UUID(int=0), "00000000-0000-0000-0000-000000000000", id="UUID"),
        pytest.param(b"\xff", "b'\\xff'", id="bytes"),
        pytest.param(2**70, str(2**70), id="number beyond 64 bits"),
        pytest.param({1: {2}}, {"1": [2]}, id="keys that are no strings"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(Unspeakable(), "<Unspeakable>", id="object that cannot be shown"),
    ],
)
def test_any_value_can_be_logged(stream: io.StringIO, value: object, expected: object) -> None:
    LOG.info("x", extra={"value": value})
    assert expected == lines(stream)[0]["value"]


def test_a_value_that_holds_itself_is_cut(stream: io.StringIO) -> None:
    LOG.info("x", extra={"value": RECURSIVE})
    assert 1 == len(lines(stream))


async def test_a_line_has_the_id_of_its_own_request(stream: io.StringIO) -> None:
    async def request(name: str) -> None:
        with request_logged_as(name):
            await asyncio.sleep(0)
            LOG.info(name)

    await asyncio.gather(*(request(f"r{n}") for n in range(5)))
    LOG.info("no request")
    assert all(line.get("request_id") == line["event"] for line in lines(stream)[:-1])
    assert "request_id" not in lines(stream)[-1]


def test_an_exception_is_logged_with_its_cause(stream: io.StringIO) -> None:
    try:
        try:
            raise OSError("disk")
        except OSError as exc:
            raise ValueError("refused") from exc
    except ValueError:
        LOG.exception("failed")
    text = lines(stream)[0]["exception"]
    assert "OSError: disk" in text
    assert "ValueError: refused" in text


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    LOG.debug("detail")
    assert "" == stream.getvalue()


def test_a_warning_is_a_line_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", UserWarning, stacklevel=1)
    assert "py.warnings" == lines(stream)[0]["logger"]


def test_a_wrong_placeholder_breaks_nothing(stream: io.StringIO) -> None:
    LOG.info("%d files", "many")
    LOG.info("next")
    assert "next" == lines(stream)[-1]["event"]


def test_a_failing_sink_fails_nobody(
    stream: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        configure_logs("info", full)
        LOG.info("nobody reads this")
    LOG.info("nor this: the sink is closed")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        configure_logs("info", pipe)
        LOG.info("nor this: nobody listens")
    assert ("", "") == capfd.readouterr()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        configure_logs("info", stream)
        yield reader, writer
    os.close(reader)
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def drained(reader: int) -> str:
    os.set_blocking(reader, False)
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 20):
            pieces.append(piece)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("size", [10, 3000, 6000])
def test_a_log_that_nobody_reads_holds_up_nobody_and_says_later_what_is_missing(
    pipe: tuple[int, int], size: int
) -> None:
    reader, _ = pipe
    count = 1_000_000 // size
    for number in range(count):
        LOG.info("line", extra={"number": number, "text": "x" * size})
    first = drained(reader)
    LOG.info("after")
    text = first + drained(reader)
    found = [json.loads(line) for line in text.splitlines()]
    written = [line["number"] for line in found if line["event"] == "line"]
    assert list(range(len(written))) == written
    assert len(written) < count
    assert [count - len(written)] == [line["lines"] for line in found if "lines" in line]
    assert "after" == found[-1]["event"]


def test_a_log_whose_reader_has_gone_fails_nobody(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.dup2(writer, reader)  # the reading end is closed; the fixture closes this one
    LOG.info("nobody hears this")


def test_a_warning_is_one_line_and_a_traceback_is_an_error() -> None:
    """What is foreseen comes often, and who is woken by level=error shall not be by it."""
    found = [
        f"{path.name}:{call.lineno}"
        for path in GATEWAY.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "warning"
        and any(keyword.arg == "exc_info" for keyword in call.keywords)
    ]
    assert [] == found


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_lines_for_a_person_and_nothing_that_it_obeys(
    stream: io.StringIO,
) -> None:
    shown = Terminal()
    configure_logs("info", shown)
    LOG.info("stored", extra={"bytes": 7, "file": "a\x1b[2Jb\nc", "missing": None})
    try:
        raise ValueError("\x1b[31mred")
    except ValueError:
        LOG.exception("failed")
    first, *rest = shown.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d info    stored bytes=7 file=a\\u001b\[2Jb\\nc", first)
    assert rest[0].endswith(" error   failed")
    assert "ValueError: \\u001b[31mred" in rest[-1]
    assert "\x1b" not in shown.getvalue()
    assert "" == stream.getvalue()
