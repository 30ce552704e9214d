"""An application of a user's, files that wait for their bytes, and forms posted as they are given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.tools.client import Answer, Client

BOUNDARY = "frontier"
CONTENT = b"a,b\n1,2\n"
Fields = Sequence[tuple[str, str]]


def encoded(fields: Fields, content: bytes | None = CONTENT, after: Fields = ()) -> bytes:
    """A form: these fields in this order, the file (or none), and fields behind it."""
    pieces = [_part(name, value.encode()) for name, value in fields]
    if content is not None:
        head = 'Content-Disposition: form-data; name="file"; filename="local.bin"'
        pieces.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    pieces += [_part(name, value.encode()) for name, value in after]
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


def _part(name: str, value: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"


@dataclass(frozen=True)
class Owner:
    """Somebody with an application."""

    client: Client
    application: str

    @property
    def path(self) -> str:
        return f"/applications/{self.application}/privateFiles"

    async def make(self, name: str = "file.csv", **more: object) -> dict[str, Any]:
        """A file that waits for ``CONTENT``, or for what ``more`` says; ``None`` is not said."""
        said = {
            "name": name,
            "type": "file",
            "parentDirectory": "/",
            "fileSize": len(CONTENT),
            "contentType": "text/csv",
        } | more
        said = {member: value for member, value in said.items() if value is not None}
        answer = await self.client.ask("POST", self.path, said)
        assert answer.status == 201, answer
        return dict(answer.json)

    async def begin_anew(self, file: Mapping[str, Any], **said: object) -> dict[str, Any]:
        """New bytes are awaited."""
        answer = await self.client.ask("PATCH", f"{self.path}/{file['id']}", dict(said))
        assert answer.status == 201, answer
        return dict(answer.json)

    async def complete(self, file: Mapping[str, Any], content: bytes = CONTENT) -> dict[str, Any]:
        """Posts the form; the completed file."""
        answer = await self.post(file["upload"], content)
        assert answer.status == 204, answer
        return await self.see(file)

    async def see(self, file: Mapping[str, Any], query: str = "") -> dict[str, Any]:
        answer = await self.client.ask("GET", f"{self.path}/{file['id']}{query}")
        assert answer.status == 200, answer
        return dict(answer.json)

    async def post(
        self,
        upload: Mapping[str, Any],
        content: bytes | None = CONTENT,
        after: Fields = (),
    ) -> Answer:
        """The form as it is given, by nobody in particular."""
        return await self.post_fields(list(upload["fields"].items()), content, after)

    async def post_fields(
        self, fields: Fields, content: bytes | None = CONTENT, after: Fields = ()
    ) -> Answer:
        return await self.send(encoded(fields, content, after))

    async def send(
        self, body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}"
    ) -> Answer:
        nobody = Client(self.client.session, self.client.url)
        return await nobody.ask("POST", "/private-files", body, Content_Type=content_type)

    async def read(self, url: str, method: str = "GET", **headers: str) -> Answer:
        """Whatever is behind a link, by nobody in particular."""
        parts = urlsplit(url)
        nobody = Client(self.client.session, self.client.url)
        return await nobody.ask(method, f"{parts.path}?{parts.query}", **headers)


@pytest.fixture
async def owner(user: Client) -> Owner:
    answer = await user.ask("POST", "/applications", {"name": "plant"})
    assert answer.status == 201, answer
    return Owner(user, answer.json["id"])


def header(answer: Answer, name: str) -> str:
    """One header, whatever its letters."""
    (value,) = (value for key, value in answer.headers.items() if key.lower() == name.lower())
    return value


def code_of(answer: Answer) -> str:
    """The code of a refusal in S3's form."""
    assert answer.headers["Content-Type"] == "application/xml", answer
    found = re.fullmatch(
        r'<\?xml version="1.0" encoding="UTF-8"\?>\n'
        r"<Error><Code>([A-Za-z]+)</Code><Message>[^<]+</Message></Error>",
        answer.text,
    )
    assert found, answer.text
    return found[1]
