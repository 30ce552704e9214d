"""Bad input: its status, one plain line, and nothing stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dialects.gravwell.conftest import FILES, FORM, Part, add, form, numbers_of_groups, send
from tests.tools.client import Answer, Client


def check_line(answer: Answer, status: int) -> None:
    assert (status, "text/plain; charset=utf-8") == (answer.status, answer.headers["Content-Type"])
    assert 1 == answer.text.count("\n") == answer.text.endswith("\n")
    assert 1 < len(answer.text.encode()) < 256


def meta(**said: object) -> list[Part]:
    return [("meta", json.dumps(said).encode()), ("file", b"x")]


FORMS: list[tuple[str, list[Part], int]] = [
    ("no file", [("name", b"n")], 400),
    ("two files", [("file", b"1"), ("file", b"2")], 400),
    ("meta with a comma too many", [("meta", b'{"UID": 1,}'), ("file", b"x")], 400),
    ("meta is no object", [("meta", b"[]"), ("file", b"x")], 400),
    ("meta is no UTF-8", [("meta", b"\xff"), ("file", b"x")], 400),
    ("meta twice", [("meta", b"{}"), ("meta", b"{}"), ("file", b"x")], 400),
    ("GUID", [("guid", b"nonsense"), ("file", b"x")], 400),
    ("GUID in braces", [("guid", b"{1945c39e-0bd1-40cf-b069-6da64d3f8af}"), ("file", b"x")], 400),
    ("long name", [("name", b"n" * 300), ("file", b"x")], 400),
    ("name with a control", [("name", b"a\x00b"), ("file", b"x")], 400),
    ("name with a line break", [("name", b"a\nb"), ("file", b"x")], 400),
    ("one byte too many", [("file", b"x" * (1024 * 1024 + 1))], 413),
    ("GUID is a number", meta(GUID=5), 400),
    ("no such group", meta(GIDs=[99]), 400),
    ("negative group", meta(GIDs=[-1]), 400),
    ("fractional group", meta(GIDs=[1.5]), 400),
    ("group beyond 32 bits", meta(GIDs=[2**40]), 400),
    ("group is a truth", meta(GIDs=[True]), 400),
    ("group is text", meta(GIDs=["1"]), 400),
    ("groups are no list", meta(GIDs=1), 400),
    ("too many groups", meta(GIDs=list(range(1, 200))), 400),
    ("negative user", meta(UID=-1), 400),
    ("fractional user", meta(UID=0.5), 400),
    ("user beyond 32 bits", meta(UID=2**40), 400),
    ("another user", meta(UID=1), 403),
    ("global is text", meta(Global="yes"), 400),
    ("global", meta(Global=True), 403),
    ("writable for all", meta(WriteAccess={"Global": True}), 403),
    ("write access is no object", meta(WriteAccess=[]), 400),
    ("labels are text", meta(Labels="foo"), 400),
    ("a label is a number", meta(Labels=[1]), 400),
    ("a label with a control", meta(Labels=["a\x01"]), 400),
    ("too many labels", meta(Labels=["x"] * 200), 400),
    ("name is a number", meta(Name=7), 400),
    ("description is a list", meta(Desc=["d"]), 400),
]  # fmt: skip


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"gravwell_max_file_bytes": 1024 * 1024}


async def test_a_file_of_the_largest_size_is_taken(user: Client) -> None:
    assert 1024 * 1024 == (await add(user, b"x" * 1024 * 1024))["Size"]


async def test_bad_forms_store_nothing(user: Client) -> None:
    for name, parts, status in FORMS:
        answer = await send(user, parts)
        assert status == answer.status, name
        check_line(answer, status)
    assert [] == (await user.ask("GET", FILES)).json


async def test_bad_patches_change_nothing(user: Client, root: Client) -> None:
    made = await add(user, Name="n")
    address = f"{FILES}/{made['GUID']}"
    for name, [(first, content), *_], _status in FORMS:
        if first == "meta" and content != b"{}" and b"GUID" not in content:
            answer = await user.ask("PATCH", address, content)
            assert 400 <= answer.status < 500, name
            check_line(answer, answer.status)
    check_line(await root.ask("PATCH", f"{FILES}/{made['ThingUUID']}?admin=true", {"UID": 99}), 400)
    assert made == (await user.ask("GET", f"{address}/details")).json


async def test_a_group_of_others_is_no_group(user: Client, stranger: Client) -> None:
    await stranger.group(name="theirs")
    gid = (await numbers_of_groups(stranger))["theirs"]
    made = await add(user)
    address = f"{FILES}/{made['GUID']}"
    for said in ({"GIDs": [gid]}, {"WriteAccess": {"GIDs": [gid]}}):
        check_line(await send(user, meta(**said)), 400)
        check_line(await user.ask("PATCH", address, said), 400)
    assert [made] == (await user.ask("GET", FILES)).json


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("address", "status"),
    [
        pytest.param("nonsense", 400, id="no GUID"),
        pytest.param("00000000-0000-0000-0000-000000000000", 400, id="zeros"),
        pytest.param("1945c39e-0bd1-40cf-b069-6da64d3f8afe", 404, id="absent"),
    ],
)
async def test_addresses(user: Client, method: str, address: str, status: int) -> None:
    answer = await user.ask(method, f"{FILES}/{address}")
    assert status == answer.status
    if method != "HEAD":
        check_line(answer, status)


async def test_unknown_paths_methods_and_types_are_worded_alike(user: Client) -> None:
    check_line(await user.ask("GET", "/api/nothing"), 404)
    check_line(await user.ask("DELETE", FILES), 405)
    check_line(await user.ask("POST", FILES, {"file": "x"}), 415)
    check_line(await user.ask("POST", FILES, form([]), **{"Content-Type": FORM}), 400)
