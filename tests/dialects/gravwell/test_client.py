"""The product's own client, byte for byte: what its Go program was seen to send, decoded as Go decodes.

Recorded between the client of Gravwell's public source (``client/userfiles.go``) and a gateway. It sends
forms in chunks, as it writes them, fields in the order of a Go map; zeros for what it does not say; and
it takes nothing but a 200.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import pytest

from tests.dialects.conftest import ROOT_EMAIL
from tests.dialects.gravwell.conftest import FILES, NIL
from tests.tools.client import PASSWORD, Client
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

BOUNDARY = "8dc87d6ab72c9057a647d5db76032a63b60ffadf9277e1f9348b60f40d9f"
ZERO_TIME = "0001-01-01T00:00:00Z"
Kind = Callable[[Any], Any]


# What ``encoding/json`` makes of a value: null and absence are zero, another type is an error.


def whole(low: int, high: int) -> Kind:
    def decode(value: Any) -> int:
        assert type(value) in (int, type(None)), value
        assert low <= (value or 0) < high, value
        return value or 0

    return decode


def exactly(kind: type) -> Kind:
    def decode(value: Any) -> Any:
        assert type(value) in (kind, type(None)), value
        return kind() if value is None else value

    return decode


def moment(value: str) -> datetime:
    assert "T" in value, value
    found = datetime.fromisoformat(value)
    assert found.tzinfo is not None, value
    return found


def guid(value: str) -> UUID:
    assert len(value) == 36, value
    return UUID(value)


def each(kind: Kind) -> Kind:
    return lambda values: [kind(value) for value in values or ()]


def struct(**fields: Kind) -> Kind:
    def decode(value: Mapping[str, Any]) -> dict[str, Any]:
        return {name: kind(value[name]) for name, kind in fields.items() if name in value}

    return decode


INT32, UINT32 = whole(-(2**31), 2**31), whole(0, 2**32)
INT64, UINT64 = whole(-(2**63), 2**63), whole(0, 2**64)
TRUTH, TEXT = exactly(bool), exactly(str)
DETAILS = struct(
    GUID=guid, ThingUUID=guid, UID=INT32, GIDs=each(INT32), Global=TRUTH,
    WriteAccess=struct(Global=TRUTH, GIDs=each(INT32)), Size=INT64, Type=TEXT, Name=TEXT,
    Desc=TEXT, Updated=moment, Labels=each(TEXT),
)  # fmt: skip
LOGGED_IN = struct(
    LoginStatus=TRUTH, Reason=TEXT, Admin=TRUTH, JWT=TEXT, MFARequired=TRUTH, MFASetupRequired=TRUTH
)
VERSION = struct(
    API=struct(Major=UINT32, Minor=UINT32),
    Build=struct(Major=UINT32, Minor=UINT32, Point=UINT32, BuildDate=moment, BuildID=TEXT),
)
ME = struct(
    UID=INT32, User=TEXT, Name=TEXT, Email=TEXT, Admin=TRUTH, Locked=TRUTH, TS=moment,
    DefaultGID=INT32, Groups=each(struct(GID=INT32, Name=TEXT, Desc=TEXT, Synced=TRUTH)),
    Synced=TRUTH, SSOUser=TRUTH,
)  # fmt: skip
SETTINGS = struct(
    ServerTime=moment, ServerTimezone=TEXT, ServerTimezoneOffset=INT64, MaxFileSize=UINT64,
    MaxResourceSize=UINT64, MaxJsonRequestSize=UINT64, CloudMode=TRUTH,
)  # fmt: skip


class Refused(Exception):
    """What the client returns as an error, with the status."""


@dataclass
class GoClient:
    """One client, on one connection that it keeps."""

    raw: RawConnection
    host: str
    credential: str = ""
    admin_mode: bool = False

    async def send(self, method: str, path: str, extra: str = "", body: bytes = b"") -> Answer:
        query = "?admin=true" if self.admin_mode else ""
        head = (
            f"{method} {path}{query} HTTP/1.1\r\nHost: {self.host}\r\nUser-Agent: GravwellCLI\r\n"
            f"{self.credential}{extra}Accept-Encoding: gzip\r\n\r\n"
        )
        await self.raw.send(head.encode() + body)
        answer = await self.raw.read_answer(method=method)
        assert answer.head.all("Content-Encoding") == []
        if answer.status != 200:
            assert len(answer.body) < 256
            assert answer.body.decode().strip()
            raise Refused(answer.status)
        return answer

    async def get(self, path: str, kind: Kind) -> Any:
        return kind(json.loads((await self.send("GET", path)).body))

    async def log_in(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        assert {"Major": 0, "Minor": 2} == (await self.get("/api/version", VERSION))["API"]
        body = f"Pass={quote(password)}&User={quote(email)}".encode()
        extra = (
            f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        said = LOGGED_IN(json.loads((await self.send("POST", "/api/login", extra, body)).body))
        assert said["LoginStatus"]
        assert 3 == len(said["JWT"].split("."))
        self.credential = f"Authorization: Bearer {said['JWT']}\r\n"
        me = await self.get("/api/info/whoami", ME)
        assert me["UID"] > 0
        await self.get("/api/settings", SETTINGS)
        return dict(me)

    async def log_in_with_token(self, token: str) -> None:
        await self.get("/api/version", VERSION)
        self.credential = f"Gravwell-Token: {token}\r\n"
        await self.send("GET", "/api/testauth")

    async def upload(
        self, method: str, path: str, content: bytes, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        """Each write of the form's writer is a chunk."""
        chunks, before = [], f"--{BOUNDARY}\r\n"
        for name, value in fields.items():
            chunks += [
                f'{before}Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode(),
                value.encode(),
            ]
            before = f"\r\n--{BOUNDARY}\r\n"
        chunks += [
            f'{before}Content-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode(),
            *(content[n : n + 32_768] for n in range(0, len(content), 32_768)),
            f"\r\n--{BOUNDARY}--\r\n".encode(),
        ]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        extra = (
            "Transfer-Encoding: chunked\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        )
        made = DETAILS(json.loads((await self.send(method, path, extra, body)).body))
        assert UUID(NIL) != made["GUID"], "the client calls this an invalid response GUID"
        return dict(made)

    async def add(self, content: bytes, **meta: Any) -> dict[str, Any]:
        return await self.upload("POST", FILES, content, {"meta": details(**meta)})

    async def patch(self, path: str, **meta: Any) -> None:
        body = details(**meta).encode()
        extra = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        await self.send("PATCH", path, extra, body)

    async def delete(self, path: str) -> None:
        await self.send("DELETE", path, "Content-Type: application/json\r\n")


def details(**said: Any) -> str:
    """A whole ``UserFileDetails``; what is not said is zero."""
    zeros = {
        "GUID": NIL, "ThingUUID": NIL, "UID": 0, "GIDs": None, "Global": False,
        "WriteAccess": {"Global": False, "GIDs": None}, "Size": 0, "Type": "", "Name": "",
        "Desc": "", "Updated": ZERO_TIME, "Labels": None,
    }  # fmt: skip
    return json.dumps({**zeros, **said}, separators=(",", ":"), default=str)


@pytest.fixture
async def raws(nobody: Client) -> Any:
    port = urlsplit(nobody.url).port
    assert port is not None
    async with raw_connection(port) as one, raw_connection(port) as other:
        yield GoClient(one, f"127.0.0.1:{port}"), GoClient(other, f"127.0.0.1:{port}")


@pytest.fixture
async def go(raws: tuple[GoClient, GoClient], user: Client) -> GoClient:
    """A user's client, logged in."""
    await user.group(name="line")
    await raws[0].log_in("test@email.com")
    return raws[0]


@pytest.fixture
async def go_admin(raws: tuple[GoClient, GoClient], root: Client) -> GoClient:
    """An administrator's."""
    me = await raws[1].log_in(ROOT_EMAIL)
    assert me["Admin"]
    return raws[1]


async def refusal(call: Any) -> int:
    with pytest.raises(Refused) as caught:
        await call
    return int(caught.value.args[0])


async def test_a_file_from_its_making_to_its_end(go: GoClient) -> None:
    me = await go.get("/api/info/whoami", ME)
    content = bytes(range(256)) * 1000
    made = await go.add(content, Name="a name", Desc="a description")
    path = f"{FILES}/{made['GUID']}"
    assert content == (await go.send("GET", path)).body
    shown = await go.get(f"{path}/details", DETAILS)
    assert shown == made
    assert (me["UID"], [], False, len(content), "application/octet-stream", "a name") == tuple(
        shown[key] for key in ("UID", "GIDs", "Global", "Size", "Type", "Name")
    )
    assert [shown] == await go.get(FILES, each(DETAILS))
    updated = await go.upload("PUT", path, b"<html>new", {"meta": details()})
    assert ("a name", 9, "text/html; charset=utf-8") == tuple(
        updated[key] for key in ("Name", "Size", "Type")
    )
    gid = me["Groups"][0]["GID"]
    await go.patch(path, **{**updated, "Name": "other", "GIDs": [gid], "Labels": ["x"]})
    shown = await go.get(f"{FILES}/{made['ThingUUID']}/details", DETAILS)
    assert ("other", "a description", [gid], ["x"]) == tuple(
        shown[key] for key in ("Name", "Desc", "GIDs", "Labels")
    )
    await go.patch(path, Name="bare")
    shown = await go.get(f"{path}/details", DETAILS)
    assert (made["GUID"], me["UID"], "bare", "", [], []) == tuple(
        shown[key] for key in ("GUID", "UID", "Name", "Desc", "GIDs", "Labels")
    )
    await go.delete(path)
    assert 404 == await refusal(go.send("GET", path))
    assert 404 == await refusal(go.delete(path))
    assert [] == await go.get(FILES, each(DETAILS))


async def test_details_are_set_as_the_client_says_them(go: GoClient) -> None:
    gid = (await go.get("/api/info/whoami", ME))["Groups"][0]["GID"]
    wanted = UUID("1945c39e-0bd1-40cf-b069-6da64d3f8afe")
    made = await go.add(b"", GUID=wanted, Name="n", GIDs=[gid], Labels=["foo"])
    assert (wanted, [gid], ["foo"], 0, "empty") == tuple(
        made[key] for key in ("GUID", "GIDs", "Labels", "Size", "Type")
    )


@pytest.mark.parametrize("order", list(permutations(("name", "desc", "guid"))), ids="+".join)
async def test_the_fields_of_the_simple_form_in_the_order_of_a_go_map(
    go: GoClient, order: tuple[str, ...]
) -> None:
    values = {"name": "n", "desc": "d", "guid": "1945c39e-0bd1-40cf-b069-6da64d3f8afe"}
    made = await go.upload("POST", FILES, b"x", {name: values[name] for name in order})
    assert ("n", "d", UUID(values["guid"])) == tuple(made[key] for key in ("Name", "Desc", "GUID"))


async def test_admin_mode_is_of_administrators(go: GoClient, go_admin: GoClient) -> None:
    made = await go.add(b"users", Name="n")
    shared = await go_admin.add(b"for all", Name="g", Global=True)
    thing = f"{FILES}/{made['ThingUUID']}"
    assert 404 == await refusal(go_admin.send("GET", thing))
    assert 403 == await refusal(go.delete(f"{FILES}/{shared['GUID']}"))
    assert 403 == await refusal(go.patch(thing, Name="n", Global=True))
    assert 403 == await refusal(go.patch(thing, Name="n", UID=shared["UID"]))
    go.admin_mode = go_admin.admin_mode = True
    assert 2 == len(await go.get(FILES, each(DETAILS)))
    listed = await go_admin.get(FILES, each(DETAILS))
    assert {made["ThingUUID"], shared["ThingUUID"]} == {file["ThingUUID"] for file in listed}
    assert 404 == await refusal(go_admin.send("GET", f"{FILES}/{made['GUID']}"))
    assert b"users" == (await go_admin.send("GET", thing)).body
    await go_admin.patch(thing, **{**made, "Name": "mine", "UID": shared["UID"]})
    changed = await go_admin.get(f"{thing}/details", DETAILS)
    assert ("mine", shared["UID"]) == (changed["Name"], changed["UID"])
    await go_admin.upload("PUT", thing, b"newer", {"meta": details()})
    assert b"newer" == (await go_admin.send("GET", thing)).body
    await go_admin.delete(thing)
    assert 404 == await refusal(go_admin.send("GET", thing))


async def test_an_api_token_logs_in(raws: tuple[GoClient, GoClient], user: Client) -> None:
    key = (await user.ask("POST", "/keys", {"type": 2})).json["value"]
    client, other = raws
    await client.log_in_with_token(key)
    made = await client.add(b"by key", Name="k")
    assert b"by key" == (await client.send("GET", f"{FILES}/{made['GUID']}")).body
    await client.delete(f"{FILES}/{made['GUID']}")
    assert 401 == await refusal(other.log_in_with_token("nonsense"))


async def test_sessions_end(raws: tuple[GoClient, GoClient], user: Client) -> None:
    one, other = raws
    assert 422 == await refusal(one.log_in("test@email.com", "wrong"))
    for client in raws:
        await client.log_in("test@email.com")
    await one.send("PUT", "/api/logout", "Content-Type: application/json\r\n")
    assert 401 == await refusal(one.send("GET", "/api/testauth"))
    await other.send("GET", "/api/testauth")
    renewed = await other.get("/api/login/refreshtoken", LOGGED_IN)
    other.credential = f"Authorization: Bearer {renewed['JWT']}\r\n"
    one.credential = ""
    await one.log_in("test@email.com")
    await one.send("DELETE", "/api/logout", "Content-Type: application/json\r\n")
    assert 401 == await refusal(other.send("GET", "/api/testauth"))
