"""People who keep user files, and how they say what they want as the product's own client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from gateway.database.pool import Database
from gateway.identity.rows.users import make_admin
from tests.dialects.conftest import HASH, ROOT_EMAIL
from tests.tools.client import Answer, Client
from tests.tools.inside import hearing_application

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
async def nobody(
    database: Database,
    database_url: str,
    tmp_path: Path,
    settings: dict[str, Any],
    aiohttp_client: AiohttpClient,
) -> AsyncIterator[Client]:
    """Somebody without a credential, before a gateway that hears of changes and so keeps reads."""
    await make_admin(database, uuid4(), ROOT_EMAIL, HASH)
    async with keeping_client(tmp_path, database_url, aiohttp_client, **settings) as client:
        yield client


@asynccontextmanager
async def keeping_client(
    folder: Path, database_url: str, aiohttp_client: AiohttpClient, **settings: Any
) -> AsyncIterator[Client]:
    """The same, once it is heard of changes."""
    async with hearing_application(folder, database_url, **settings) as app:
        client = await aiohttp_client(app)
        yield Client(client.session, str(client.make_url("")).rstrip("/"))
        await client.close()


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
