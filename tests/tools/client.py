"""Somebody who speaks JSON with one gateway, and the few things everybody asks of it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

PASSWORD = "correct-horse"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.text)

    @property
    def created(self) -> str:
        """The id at the end of the Location."""
        return self.headers["Location"].rpartition("/")[2]


@dataclass(frozen=True)
class Client:
    """Somebody who speaks JSON with one gateway."""

    session: aiohttp.ClientSession
    url: str
    token: str = ""

    async def ask(self, method: str, path: str, body: object = ..., **headers: str) -> Answer:
        """One request; ``body`` of ``bytes`` is sent as it is."""
        sent = {"Content-Type": "application/json"} if body is not ... else {}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is ... else io.BytesIO(_encoded(body))
        async with self.session.request(
            method, self.url + path, data=content, headers=sent
        ) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.text())

    async def sign_up(self, email: str) -> Client:
        """Registers somebody and logs them in."""
        await self.ask("POST", "/users", {"email": email, "password": PASSWORD})
        return await self.log_in(email)

    async def log_in(self, email: str) -> Client:
        said = await self.ask("POST", "/tokens", {"email": email, "password": PASSWORD})
        return Client(self.session, self.url, said.json["token"])

    async def thing(self, **fields: object) -> dict[str, Any]:
        said = await self.ask("POST", "/things", [{"name": "sensor", **fields}])
        return dict(said.json["things"][0])

    async def group(self, **fields: object) -> str:
        return (await self.ask("POST", "/groups", {"name": "line", **fields})).created


def _encoded(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
