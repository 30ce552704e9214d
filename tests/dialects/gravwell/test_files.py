"""The seed page, statement by statement; and what its client relies on beyond it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from multidict import CIMultiDict

from tests.dialects.gravwell.conftest import (
    FILES,
    NIL,
    Part,
    add,
    form,
    number_of,
    numbers_of_groups,
    read,
    send,
)
from tests.tools.client import Answer, Client

FIELDS: dict[str, type | tuple[type, ...]] = {
    "GUID": str,
    "ThingUUID": str,
    "UID": int,
    "GIDs": (list, type(None)),
    "Global": bool,
    "WriteAccess": dict,
    "Size": int,
    "Type": str,
    "SHA256": str,
    "Name": str,
    "Desc": str,
    "Updated": str,
    "Labels": list,
}


def check_types(record: dict[str, Any]) -> None:
    """What Go decodes: each field is there, and of its type."""
    assert FIELDS.keys() == record.keys()
    assert [] == [name for name, kind in FIELDS.items() if not isinstance(record[name], kind)]
    assert UUID(int=0) not in {UUID(record["GUID"]), UUID(record["ThingUUID"])}
    assert datetime.fromisoformat(record["Updated"]).utcoffset() is not None
    assert "." in record["Updated"]


SIMPLE = (("file", b"hello"), ("name", b"blah"), ("desc", b"bar"), ("guid", b"%s"))


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_the_simple_form_in_any_order(user: Client, order: tuple[int, ...]) -> None:
    guid = str(uuid4())
    parts = [(name, content.replace(b"%s", guid.encode())) for name, content in SIMPLE]
    answer = await send(user, [parts[place] for place in order])
    assert 200 == answer.status
    check_types(answer.json)
    assert ("blah", "bar", guid, 5) == tuple(
        answer.json[key] for key in ("Name", "Desc", "GUID", "Size")
    )
    assert "hello" == await read(user, guid)


async def test_without_a_guid_one_is_made(user: Client) -> None:
    first = await send(user, [("file", b"1"), ("name", b"a")])
    second = await send(user, [("name", b"a"), ("guid", NIL.encode()), ("file", b"2")])
    assert 2 == len({first.json["GUID"], second.json["GUID"]})
    assert "2" == await read(user, second.json["GUID"])


@pytest.mark.parametrize("first", ["meta", "file"])
async def test_the_detailed_form(user: Client, first: str) -> None:
    await user.group(name="line")
    gid, uid = (await numbers_of_groups(user))["line"], await number_of(user)
    said = {
        "UID": uid,
        "GIDs": [gid],
        "Global": False,
        "Name": "blah",
        "Desc": "bar",
        "Labels": ["foo"],
    }
    parts: list[Part] = [("meta", json.dumps(said).encode()), ("file", b"hello")]
    answer = await send(user, parts if first == "meta" else parts[::-1])
    check_types(answer.json)
    assert said.items() <= answer.json.items()


async def test_the_whole_record_of_the_client_is_taken_as_meta(user: Client) -> None:
    """Go sends every field: GUIDs of zeros, a time of year one, lists that are null."""
    said = {
        "GUID": NIL, "ThingUUID": NIL, "UID": 0, "GIDs": None, "Global": False,
        "WriteAccess": {"Global": False, "GIDs": None}, "Size": 0, "Type": "", "Name": "n",
        "Desc": "d", "Updated": "0001-01-01T00:00:00Z", "Labels": None, "Unheard": [1],
    }  # fmt: skip
    parts = [("meta", json.dumps(said).encode()), ("file", b"x")]
    record = (await send(user, parts)).json
    assert ("n", None, []) == (record["Name"], record["GIDs"], record["Labels"])


async def test_a_listing_has_ones_own_what_is_shared_and_what_is_global(
    user: Client, member: Client, root: Client
) -> None:
    first = (await numbers_of_groups(user))["first"]
    shown = {
        (await add(user, Name="own"))["Name"],
        (await add(user, Name="shared", GIDs=[first]))["Name"],
        (await add(root, Name="global", Global=True))["Name"],
    }
    await add(root, Name="hidden")
    listed = (await user.ask("GET", FILES)).json
    assert shown == {record["Name"] for record in listed}
    for record in listed:
        check_types(record)
    assert {"shared", "global"} == {r["Name"] for r in (await member.ask("GET", FILES)).json}
    assert 4 == len((await root.ask("GET", f"{FILES}?admin=true")).json)
    assert {"global", "hidden"} == {r["Name"] for r in (await root.ask("GET", FILES)).json}
    as_if = await member.ask("GET", f"{FILES}?admin=true")
    assert (200, 2) == (as_if.status, len(as_if.json))


async def test_a_listing_of_nothing_is_an_empty_list(stranger: Client) -> None:
    assert [] == (await stranger.ask("GET", FILES)).json


async def test_an_administrator_makes_a_file_of_somebody_elses(root: Client, user: Client) -> None:
    record = await add(root, b"for you", UID=await number_of(user), Name="gift")
    assert await number_of(user) == record["UID"]
    assert "for you" == await read(user, record["GUID"])
    assert 404 == await read(root, record["GUID"])


async def test_contents_are_updated_and_nothing_else(user: Client) -> None:
    made = await add(user, b"old", Name="n", Desc="d")
    answer = None
    for method, content in (("POST", b"newer"), ("PUT", b"<html>newest")):
        parts = [("name", b"ignored"), ("file", content), ("meta", b'{"Name": "ignored"}')]
        answer = await send(user, parts, f"{FILES}/{made['GUID']}", method)
        assert 200 == answer.status
        check_types(answer.json)
        same = ("GUID", "ThingUUID", "UID", "Name", "Desc", "Labels")
        assert {k: made[k] for k in same} == {k: answer.json[k] for k in same}
        assert content.decode() == await read(user, made["GUID"])
    assert answer is not None
    assert "text/html; charset=utf-8" == answer.json["Type"]
    assert answer.json["Updated"] > made["Updated"]


async def test_what_describes_a_file_is_changed_in_part(user: Client) -> None:
    await user.group(name="line")
    gid = (await numbers_of_groups(user))["line"]
    made = await add(user, Name="n", Desc="d", Labels=["a"])
    answer = await user.ask("PATCH", f"{FILES}/{made['GUID']}", {"Desc": "e", "GIDs": [gid]})
    assert ("n", "e", ["a"], [gid]) == tuple(
        answer.json[key] for key in ("Name", "Desc", "Labels", "GIDs")
    )
    whole = {**answer.json, "Name": "m", "Labels": None, "GIDs": None, "Size": 7, "Other": 1}
    answer = await user.ask("PATCH", f"{FILES}/{made['GUID']}", whole)
    assert (200, "m", [], None, 5) == (
        answer.status,
        *(answer.json[key] for key in ("Name", "Labels", "GIDs", "Size")),
    )
    details = await user.ask("GET", f"{FILES}/{made['ThingUUID']}/details")
    assert answer.json == details.json


async def test_a_file_is_given_away_by_an_administrator_who_says_so(
    user: Client, stranger: Client, root: Client
) -> None:
    made = await add(user, b"bytes", Name="n")
    to = {"UID": await number_of(stranger)}
    address = f"{FILES}/{made['ThingUUID']}"
    assert 403 == (await user.ask("PATCH", f"{address}?admin=true", to)).status
    assert 404 == (await root.ask("PATCH", address, to)).status
    given = await root.ask("PATCH", f"{address}?admin=true", to)
    assert (200, to["UID"]) == (given.status, given.json["UID"])
    assert "bytes" == await read(stranger, made["GUID"])
    assert 404 == await read(user, made["GUID"])
    await user.ask("DELETE", address)
    assert "bytes" == await read(stranger, made["ThingUUID"])


async def test_only_an_administrator_makes_a_file_global(user: Client, root: Client) -> None:
    own, made = await add(root, Name="r"), await add(user, Name="u")
    assert 403 == (await user.ask("PATCH", f"{FILES}/{made['GUID']}", {"Global": True})).status
    assert 403 == (await send(user, [("meta", b'{"Global": true}'), ("file", b"")])).status
    assert 200 == (await root.ask("PATCH", f"{FILES}/{own['GUID']}", {"Global": True})).status
    by_uuid = f"{FILES}/{made['ThingUUID']}?admin=true"
    assert (await root.ask("PATCH", by_uuid, {"Global": True})).json["Global"]
    assert "hello" == await read(user, own["GUID"])


async def test_a_file_is_removed(user: Client) -> None:
    made = await add(user)
    answer = await user.ask("DELETE", f"{FILES}/{made['GUID']}")
    assert (200, "") == (answer.status, answer.text)
    assert 404 == await read(user, made["GUID"])
    assert 404 == (await user.ask("DELETE", f"{FILES}/{made['GUID']}")).status
    assert [] == (await user.ask("GET", FILES)).json


async def test_an_administrator_removes_any_file_by_its_thing_uuid(
    user: Client, root: Client
) -> None:
    made = await add(user)
    assert 404 == (await root.ask("DELETE", f"{FILES}/{made['ThingUUID']}")).status
    assert 404 == (await root.ask("DELETE", f"{FILES}/{made['GUID']}?admin=true")).status
    assert "hello" == await read(root, made["ThingUUID"], "?admin=true")
    assert 200 == (await root.ask("DELETE", f"{FILES}/{made['ThingUUID']}?admin=true")).status
    assert 404 == await read(user, made["GUID"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"hello", "text/plain; charset=utf-8", id="text"),
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"\x00\x01", "application/octet-stream", id="bytes"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "image/png", id="image"),
        pytest.param(b"<!DOCTYPE HTML>", "text/html; charset=utf-8", id="page"),
        pytest.param(b"\xfe\xff\x00h", "text/plain; charset=utf-16be", id="UTF-16"),
        pytest.param(b"PK\x03\x04", "application/zip", id="archive"),
        pytest.param(b"x" * 2000 + b"\x00", "text/plain; charset=utf-8", id="late bytes"),
    ],
)
async def test_the_type_is_that_of_the_contents(
    user: Client, content: bytes, expected: str
) -> None:
    assert expected == (await add(user, content, Type="image/gif"))["Type"]


def etag(answer: Answer) -> str:
    return CIMultiDict(answer.headers)["ETag"]


async def status(client: Client, path: str, headers: Mapping[str, str]) -> int:
    sent = {**headers, "Authorization": f"Bearer {client.token}"}
    async with client.session.get(client.url + path, headers=sent) as reply:
        return reply.status


async def test_ranges_conditions_and_digests_are_as_on_the_other_routes(user: Client) -> None:
    content = bytes(range(256)) * 300
    made = await add(user, content, Name="größe.bin")
    address = f"{FILES}/{made['GUID']}"
    head = await user.ask("HEAD", address)
    assert (200, str(len(content))) == (head.status, head.headers["Content-Length"])
    assert "gr%C3%B6%C3%9Fe.bin" in head.headers["Content-Disposition"]
    tag = etag(head)
    for headers, expected in (
        ({"Range": "bytes=0-3"}, 206),
        ({"Range": "bytes=0-3", "If-Range": '"other"'}, 200),
        ({"If-None-Match": tag}, 304),
        ({"If-Match": '"other"'}, 412),
        ({"Range": f"bytes={len(content)}-"}, 416),
    ):
        assert expected == await status(user, address, headers)
    part = await user.ask("GET", address, Range="bytes=65-67")
    assert (206, "ABC", tag) == (part.status, part.text, etag(part))
    stale = await send(user, [("file", b"x")], address, "PUT", **{"If-Match": '"other"'})
    assert 412 == stale.status


async def test_a_declared_digest_is_held(user: Client) -> None:
    wrong = hashlib.sha256(b"other").hexdigest().encode()
    assert 400 == (await send(user, [("sha256", wrong), ("file", b"hello")])).status
    right = hashlib.sha256(b"hello").hexdigest().encode()
    assert 200 == (await send(user, [("file", b"hello"), ("sha256", right)])).status


async def test_who_may_write_changes_contents_and_description_but_not_the_sharing(
    user: Client, member: Client, stranger: Client
) -> None:
    groups = await numbers_of_groups(user)
    made = await add(user, b"old", GIDs=[groups["first"]], WriteAccess={"GIDs": [groups["first"]]})
    address = f"{FILES}/{made['GUID']}"
    assert 200 == (await send(member, [("file", b"new")], address, "PUT")).status
    assert "new" == await read(user, made["GUID"])
    assert 200 == (await member.ask("PATCH", address, {"Name": "theirs"})).status
    whole = (await member.ask("GET", f"{address}/details")).json
    assert 200 == (await member.ask("PATCH", address, whole)).status
    assert 403 == (await member.ask("PATCH", address, {"GIDs": []})).status
    assert 403 == (await member.ask("DELETE", address)).status
    assert 404 == (await stranger.ask("PATCH", address, {"Name": "x"})).status
    await user.ask("PATCH", address, {"WriteAccess": {"GIDs": None}})
    assert 403 == (await send(member, [("file", b"newer")], address, "PUT")).status
    assert 403 == (await member.ask("PATCH", address, {"Name": "x"})).status


async def test_nobody_without_a_credential(nobody: Client, user: Client) -> None:
    made = await add(user)
    dead = Client(nobody.session, nobody.url, "dead")
    for client in (nobody, dead):
        for method, path in (
            ("GET", FILES),
            ("POST", FILES),
            ("GET", f"{FILES}/{made['GUID']}"),
            ("HEAD", f"{FILES}/{made['GUID']}"),
            ("GET", f"{FILES}/{made['GUID']}/details"),
            ("PUT", f"{FILES}/{made['GUID']}"),
            ("PATCH", f"{FILES}/{made['GUID']}"),
            ("DELETE", f"{FILES}/{made['GUID']}"),
        ):
            assert 401 == (await client.ask(method, path)).status, (method, path)


async def test_the_routes_are_under_the_prefix_too(user: Client) -> None:
    made = await add(user)
    assert "hello" == (await user.ask("GET", f"/filestore{FILES}/{made['GUID']}")).text


async def test_a_form_that_is_cut_anywhere_leaves_nothing(user: Client) -> None:
    body = form([("meta", b'{"Name": "n"}'), ("file", b"hello"), ("desc", b"d")])
    for length in range(len(body) - 2):
        answer = await user.ask(
            "POST",
            FILES,
            body[:length],
            **{"Content-Type": "multipart/form-data; boundary=frontier"},
        )
        assert 400 == answer.status, length
    assert [] == (await user.ask("GET", FILES)).json
