"""Bytes as they are, as ``curl -T`` puts them; and what is said of bytes under a wrong field."""

from __future__ import annotations

import hashlib
import json

import aiohttp
import pytest

from tests.tools.client import Client

BODY, OTHER = b"\x00\xff firmware", b"\xfe another"
KINDS = {
    "no type": (None, "application/octet-stream"),
    "bytes": ("application/octet-stream", "application/octet-stream"),
    "a type": ("application/x-raucb", "application/x-raucb"),
}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("of", ["thing", "group"])
@pytest.mark.parametrize(("sent", "kept"), KINDS.values(), ids=KINDS)
async def test_put_makes_a_file_and_then_replaces_it(
    user: Client, of: str, sent: str | None, kept: str
) -> None:
    thing, group = await user.thing(), await user.group()
    key, path = f"Thing {thing['key']}", "/files/fw.raw"
    if of == "group":
        key, path = f"Bearer {user.token}", f"/groups/{group}/files/fw.raw"
    headers = {"Authorization": key, **({"Content-Type": sent} if sent else {})}
    for status, body in ((201, BODY), (200, OTHER)):
        async with user.session.put(
            user.url + path, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        ) as reply:
            said = json.loads(await reply.text())
            assert (status, "fw.raw", kept) == (reply.status, said["name"], said["content_type"])
            assert (len(body), sha256(body)) == (said["size"], said["sha256"])
        async with user.session.get(user.url + path, headers={"Authorization": key}) as reply:
            assert body == await reply.read()


async def test_a_replaced_file_keeps_what_was_said_of_it(user: Client) -> None:
    key = f"Thing {(await user.thing())['key']}"
    await user.ask("PUT", "/files/fw.bin", BODY, Authorization=key, Content_Type="application/x-a")
    await user.ask("PUT", "/files/fw.bin", {"metadata": {"v": "1"}}, Authorization=key)
    await user.ask("PUT", "/files/fw.bin", OTHER, Authorization=key, Content_Type="application/x-a")
    (file,) = (await user.ask("GET", "/files", Authorization=key)).json["files"]
    assert ({"v": "1"}, sha256(OTHER)) == (file["metadata"], file["sha256"])


REFUSED = {
    "a condition that fails": (412, {"If-Match": '"x"'}),
    "another digest": (
        400,
        {"Repr-Digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"},
    ),
    "fields of a form": (415, {"Content-Type": "application/x-www-form-urlencoded"}),
    "several parts": (415, {"Content-Type": "multipart/mixed; boundary=b"}),
}


@pytest.mark.parametrize(("status", "headers"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_leaves_nothing(
    user: Client, status: int, headers: dict[str, str]
) -> None:
    key = {"Authorization": f"Thing {(await user.thing())['key']}"}
    url = f"{user.url}/files/fw.bin"
    kind = {"Content-Type": "application/octet-stream"}
    async with user.session.put(url, data=BODY, headers={**key, **kind, **headers}) as reply:
        # Without such a file, a form is a replacement of nothing.
        assert reply.status == (404 if status == 415 else status)
    async with user.session.get(url, headers=key) as reply:
        assert 404 == reply.status


async def test_a_file_under_another_field(user: Client) -> None:
    form = aiohttp.FormData()
    form.add_field("upload", BODY, filename="fw.bin")
    key = {"Authorization": f"Thing {(await user.thing())['key']}"}
    async with user.session.post(f"{user.url}/files", data=form, headers=key) as reply:
        assert (400, {"error": "missing part: file"}) == (reply.status, await reply.json())
