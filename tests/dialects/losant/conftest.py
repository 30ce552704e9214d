"""A gateway in the test's process, and somebody with an application of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from gateway.database.pool import Database
from gateway.dialects.losant.context import LOSANT
from gateway.dialects.losant.records import AwaitedUpload
from gateway.filestore import Deposit, Mode
from gateway.identity.rows.users import make_admin
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.byterange import ByteRange
from gateway.model.file import Draft, FileRecord, Scope
from gateway.web.context import FILES
from tests.dialects.conftest import HASH, ROOT_EMAIL, new_user
from tests.tools.client import Answer, Client
from tests.tools.inside import open_application
from tests.tools.waiting import until

AS_THE_CLIENT = "_actions=false&_links=true&_embedded=true"
"""What the official client adds to every query."""


@dataclass
class Inside:
    """The application itself, for what has no route here."""

    app: web.Application
    nobody: Client

    async def complete(self, key: str, content: bytes) -> FileRecord:
        """Do what the second step of an upload does."""
        return await self.deposit(await self.find_awaited(key), content)

    async def find_awaited(self, key: str) -> AwaitedUpload:
        """What the second step finds first."""
        return await self.app[LOSANT].files.find_awaited(key)

    async def deposit(self, awaited: AwaitedUpload, content: bytes) -> FileRecord:
        """What it does once it has the bytes."""
        scope = awaited.record.scope
        caller = Principal(PrincipalKind.USER, "form", "user")
        access = Access(caller, Action.CREATE, "losant", scope, awaited.record.name)
        files = self.app[FILES]
        async with files.stage(scope) as writer:
            await writer.write(content)
            draft = Draft(
                scope,
                awaited.record.name,
                awaited.content_type,
                awaited.attributes(len(content)),
                awaited.record.id,
            )
            return await files.deposit(
                Deposit(
                    access,
                    draft,
                    Mode.FILL,
                    expected=awaited.expected,
                    matching=awaited.matching,
                ),
                writer,
            )

    async def work(self) -> None:
        """Do what is to be done in the background."""
        await self.app[LOSANT].work.work()

    async def file(self, owner: Owner, file_id: str) -> FileRecord:
        """A file as the engine has it."""
        return await self.app[FILES].find(Scope("applications", owner.application), file_id)

    async def content(self, record: FileRecord) -> bytes:
        """The bytes of a file."""
        reader = await self.app[FILES].open(record)
        try:
            return b"".join(
                [bytes(chunk) async for chunk in reader.chunks(ByteRange(0, reader.size))]
            )
        finally:
            reader.close()


@dataclass
class Owner:
    """Somebody, and an application of theirs."""

    client: Client
    application: str
    inside: Inside
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Of the application's private files."""
        return f"/applications/{self.application}/privateFiles"

    async def ask(self, method: str, rest: str = "", body: object = ...) -> Answer:
        """A request about the private files."""
        return await self.client.ask(method, self.path + rest, body)

    async def directory(self, name: str, parent: str = "/") -> str:
        """A new directory's id."""
        body = {"name": name, "type": "directory", "parentDirectory": parent}
        said = await self.ask("POST", "", body)
        assert 201 == said.status, said
        return str(said.json["id"])

    async def awaited(self, name: str, parent: str = "/", **declared: object) -> dict[str, Any]:
        """A new file that waits for its bytes."""
        body = {"name": name, "type": "file", "parentDirectory": parent, **declared}
        said = await self.ask("POST", "", body)
        assert 201 == said.status, said
        return dict(said.json)

    async def file(self, name: str, parent: str = "/", content: bytes = b"x") -> str:
        """A new file that has its bytes; its id."""
        made = await self.awaited(name, parent)
        await self.inside.complete(key_of(made), content)
        return str(made["id"])

    async def all(self, query: str = "") -> list[dict[str, Any]]:
        """Everything that there is."""
        said = await self.ask("GET", f"?perPage=1000{query}")
        assert 200 == said.status, said
        return list(said.json["items"])

    async def paths(self) -> list[str]:
        """The path of everything that there is, in order; a directory's ends with a slash."""
        return sorted(
            item["parentDirectory"] + item["name"] + "/" * (item["type"] == "directory")
            for item in await self.all()
        )

    async def settle(self) -> None:
        """Wait until nothing is moved or removed in the background any more."""

        async def settled() -> bool:
            await self.inside.work()
            return all(i["status"] not in ("moving", "deleting") for i in await self.all())

        await until(settled)


def key_of(made: dict[str, Any]) -> str:
    """The key of the form that an answer has."""
    return str(made["upload"]["fields"]["key"])


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"losant_upkeep_seconds": 0.2}


@pytest.fixture
async def inside(
    database: Database,
    database_url: str,
    tmp_path: Path,
    settings: dict[str, Any],
    aiohttp_client: AiohttpClient,
) -> AsyncIterator[Inside]:
    """A whole gateway with an admin."""
    await make_admin(database, uuid4(), ROOT_EMAIL, HASH)
    async with open_application(tmp_path, database_url, **settings) as app:
        client = await aiohttp_client(app)
        yield Inside(app, Client(client.session, str(client.make_url("")).rstrip("/")))
        await client.close()


@pytest.fixture
async def nobody(inside: Inside) -> Client:
    return inside.nobody


async def new_owner(inside: Inside, database: Database, email: str) -> Owner:
    """Somebody new with an application."""
    client = await new_user(inside.nobody, database, email)
    said = await client.ask("POST", "/applications", {"name": "mine"})
    assert 201 == said.status, said
    return Owner(client, said.json["id"], inside)


@pytest.fixture
async def owner(inside: Inside, database: Database) -> Owner:
    return await new_owner(inside, database, "owner@email.com")


@pytest.fixture
async def other(inside: Inside, database: Database) -> Owner:
    return await new_owner(inside, database, "other@email.com")
