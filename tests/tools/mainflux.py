"""What a person would type with curl to get a thing, a group and a file, as the published API says it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing and its key."""

    id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Its credential."""
        return {"Authorization": f"Thing {self.key}"}


@dataclass(frozen=True, slots=True)
class User:
    """A user who has signed in."""

    session: aiohttp.ClientSession
    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Its credential."""
        return {"Authorization": f"Bearer {self.token}"}

    async def thing(self, name: str = "thing") -> Thing:
        """A new thing."""
        body: list[Mapping[str, str]] = [{"name": name}]
        async with self.session.post(
            f"{self.url}/things", json=body, headers=self.headers
        ) as answer:
            created = (await _expect(answer, 201))["things"][0]
        return Thing(created["id"], created["key"])

    async def group(self, name: str = "group", *members: str) -> str:
        """A new group with these members; its id."""
        async with self.session.post(
            f"{self.url}/groups", json={"name": name}, headers=self.headers
        ) as answer:
            await _expect(answer, 201)
            group = answer.headers["Location"].rpartition("/")[2]
        if members:
            await self.assign(group, *members)
        return group

    async def assign(self, group: str, *members: str) -> None:
        """Make things or users members of a group."""
        url = f"{self.url}/groups/{group}/members"
        body = {"members": list(members)}
        async with self.session.post(url, json=body, headers=self.headers) as answer:
            await _expect(answer, 200)


async def sign_in(
    session: aiohttp.ClientSession,
    url: str,
    email: str = ADMIN_EMAIL,
    password: str = ADMIN_PASSWORD,
) -> User:
    """The user of that e-mail; the admin of ``running_gateway`` unless told otherwise."""
    body = {"email": email, "password": password}
    async with session.post(f"{url}/tokens", json=body) as answer:
        return User(session, url, (await _expect(answer, 201))["token"])


@contextlib.asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[User]:
    """The admin, with a session of its own."""
    async with aiohttp.ClientSession() as session:
        yield await sign_in(session, url)


async def upload(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    name: str,
    content: bytes,
    *,
    content_type: str = "application/octet-stream",
    method: str = "POST",
) -> Mapping[str, Any]:
    """A file as one multipart part; the answer's body. ``url`` is the collection, or with PUT the file."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", io.BytesIO(content), filename=name, content_type=content_type)
    async with session.request(method, url, data=form, headers=headers) as answer:
        return await _expect(answer, 201 if method == "POST" else 200)


async def _expect(answer: aiohttp.ClientResponse, status: int) -> dict[str, Any]:
    body = await answer.read()
    assert answer.status == status, f"{answer.status} {body[:500]!r}"
    return dict(await answer.json(content_type=None)) if body else {}
