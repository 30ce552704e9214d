"""A file of its own on the gateway, and where a client reaches it."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, upload
from tests.tools.ports import HOST


@dataclass
class Place:
    """A thing's file under a name of its own, reached by ``port``; changed at the gateway itself."""

    gateway: GatewayProcess
    http: aiohttp.ClientSession
    thing: Thing
    port: int
    name: str

    @property
    def path(self) -> str:
        """The path of its address."""
        return f"/filestore/files/{self.name}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"http://{HOST}:{self.port}{self.path}"

    @property
    def credential(self) -> tuple[str, str]:
        """The thing's header."""
        return "Authorization", self.thing.headers["Authorization"]

    @property
    def header(self) -> str:
        """The same as a line."""
        return ": ".join(self.credential)

    async def publish(self, image: Firmware) -> None:
        """Make the file."""
        url = f"{self.gateway.url}/files"
        await upload(self.http, url, self.thing.headers, self.name, image.content)

    async def replace(self, image: Firmware) -> None:
        """Give it other bytes."""
        url, headers = self.gateway.url + self.path, self.thing.headers
        await upload(self.http, url, headers, self.name, image.content, method="PUT")

    async def remove(self) -> None:
        """Delete it."""
        url = self.gateway.url + self.path
        async with self.http.delete(url, headers=self.thing.headers) as answer:
            assert answer.status == 204
