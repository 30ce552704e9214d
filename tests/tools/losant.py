"""What a program does to publish a private file and to give away a link, over HTTP."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.tools.mainflux import User


@dataclass(frozen=True, slots=True)
class Application:
    """An application and its owner; ``url`` is where the gateway is asked."""

    session: aiohttp.ClientSession
    url: str
    headers: Mapping[str, str]
    id: str

    @property
    def files(self) -> str:
        """The address of its files."""
        return f"{self.url}/applications/{self.id}/privateFiles"

    async def begin(self, name: str, content: bytes) -> dict[str, Any]:
        """A file that waits for its bytes."""
        said = {"name": name, "type": "file", "fileSize": len(content)}
        return await self.ask("POST", "", 201, json=said)

    async def post(self, upload: Mapping[str, Any], content: bytes) -> int:
        """The upload form as it was given; the status."""
        form = aiohttp.FormData(quote_fields=False)
        for field, value in upload["fields"].items():
            form.add_field(field, value)
        form.add_field("file", io.BytesIO(content), filename="local.bin")
        async with self.session.post(upload["url"], data=form) as answer:
            return answer.status

    async def publish(self, name: str, content: bytes) -> dict[str, Any]:
        """A file with its bytes."""
        made = await self.begin(name, content)
        assert await self.post(made["upload"], content) == 204
        return made

    async def replace(self, file: Mapping[str, Any], content: bytes) -> None:
        """Give it other bytes."""
        said = {"fileSize": len(content)}
        made = await self.ask("PATCH", f"/{file['id']}", 201, json=said)
        assert await self.post(made["upload"], content) == 204

    async def link(self, file: Mapping[str, Any], seconds: int = 900) -> str:
        """A link to its bytes."""
        shown = await self.ask("GET", f"/{file['id']}?urlTTL={seconds}", 200)
        return str(shown["url"])

    async def ask(self, method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
        """One request to the files."""
        async with self.session.request(
            method, self.files + path, headers=self.headers, **more
        ) as answer:
            assert answer.status == status, await answer.text()
            shown: dict[str, Any] = await answer.json()
            return shown


async def new_application(user: User, url: str | None = None) -> Application:
    """A new application of the user's, which is reached by ``url`` from then on."""
    async with user.session.post(
        f"{user.url}/applications", json={"name": "plant"}, headers=user.headers
    ) as answer:
        assert answer.status == 201, await answer.text()
        made = await answer.json()
    return Application(user.session, url or user.url, user.headers, made["id"])
