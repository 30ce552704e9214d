"""People who keep user files, and how they say what they want as the product's own client does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.tools.client import Answer, Client

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
FILES = "/api/files"
NIL = "00000000-0000-0000-0000-000000000000"
Part = tuple[str, bytes]


def form(parts: Sequence[Part]) -> bytes:
    """A form of these parts in this order; the part ``file`` is a file named ``file``."""
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (
            b'; filename="file"\r\nContent-Type: application/octet-stream'
            if name == "file"
            else b""
        )
        + b"\r\n\r\n"
        + content
        + b"\r\n"
        for name, content in parts
    ]
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


async def send(
    client: Client, parts: Sequence[Part], path: str = FILES, method: str = "POST", **headers: str
) -> Answer:
    """A form."""
    return await client.ask(method, path, form(parts), Content_Type=FORM, **headers)


async def add(client: Client, content: bytes = b"hello", **meta: object) -> dict[str, Any]:
    """A new file with this ``meta``; its record."""
    parts = [("meta", json.dumps(meta).encode()), ("file", content)]
    answer = await send(client, parts)
    assert answer.status == 200, answer
    return dict(answer.json)


async def read(client: Client, address: str, query: str = "") -> str | int:
    """The file's text, or the status if it is refused."""
    answer = await client.ask("GET", f"{FILES}/{address}{query}")
    return answer.text if answer.status == 200 else answer.status


async def number_of(client: Client) -> int:
    """The caller's UID."""
    return int((await client.ask("GET", "/api/info/whoami")).json["UID"])


async def numbers_of_groups(client: Client) -> Mapping[str, int]:
    """The GIDs of the caller's groups, by name."""
    groups = (await client.ask("GET", "/api/info/whoami")).json["Groups"]
    return {group["Name"]: group["GID"] for group in groups}


@pytest.fixture
async def member(nobody: Client, user: Client) -> Client:
    """In the user's groups ``first`` and ``second``."""
    made = await nobody.sign_up("member@email.com")
    for name in ("first", "second"):
        group = await user.group(name=name)
        await user.ask(
            "POST",
            f"/groups/{group}/members",
            {"members": [{"email": "member@email.com", "role": "viewer"}]},
        )
    return made
