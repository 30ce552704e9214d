"""User files, as a test that is about something else makes and changes them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp

from tests.tools.firmware import Firmware
from tests.tools.mainflux import User
from tests.tools.place import Place

FILES = "/filestore/api/files"


async def put_user_file(
    user: User, content: bytes, path: str = FILES, method: str = "POST", **meta: object
) -> str:
    """A new file, described by ``meta``, or other bytes of the one at ``path``; its GUID."""
    form = aiohttp.FormData({"meta": json.dumps(meta)})
    form.add_field(
        "file", io.BytesIO(content), filename="file", content_type="application/octet-stream"
    )
    async with user.session.request(
        method, user.url + path, data=form, headers=user.headers
    ) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["GUID"])


@dataclass
class UserPlace(Place):
    """A user's file under a GUID of its own."""

    user: User = field(kw_only=True)
    guid: str = field(default_factory=lambda: str(uuid4()), kw_only=True)

    @property
    def path(self) -> str:
        """The path of its address."""
        return f"{FILES}/{self.guid}"

    @property
    def credential(self) -> tuple[str, str]:
        """The user's header."""
        return "Authorization", self.user.headers["Authorization"]

    async def publish(self, image: Firmware) -> None:
        """Make the file."""
        await put_user_file(self.user, image.content, GUID=self.guid, Name=self.name)

    async def replace(self, image: Firmware) -> None:
        """Give it other bytes."""
        await put_user_file(self.user, image.content, self.path, "PUT")

    async def remove(self) -> None:
        """Delete it."""
        url = self.gateway.url + self.path
        async with self.http.delete(url, headers=self.user.headers) as answer:
            assert answer.status == 200
