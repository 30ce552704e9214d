"""Somebody for each API, made once on a new database.

Knows the registry's rows, for what HTTP would only make slower: who is an administrator, cheap passwords.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp

from gateway.database.pool import Database
from gateway.identity.rows.users import add_user, make_admin
from tests.tools.inside import cheap_hash
from tests.tools.receiver import Receiver
from tests.torture.apis import Api, Gravwell, Hasura, Hooked, Losant, Mainflux, Trees

_PASSWORD = "correct-horse-battery"
_EMAILS = ("admin@gateway.test", "other@gateway.test")


async def add_people(database: Database) -> None:
    """An administrator and another user, who can sign in."""
    first, second = _EMAILS
    await make_admin(database, uuid4(), first, cheap_hash(_PASSWORD))
    await add_user(database, uuid4(), second, cheap_hash(_PASSWORD), {})


async def callers_of(session: aiohttp.ClientSession, url: Callable[[], str]) -> list[Api]:
    """One for each API, at the gateway that is there now."""
    headers = [await _signed_in(session, url(), email) for email in _EMAILS]
    thing = await _made(session, f"{url()}/things", headers[0], [{"name": "gate"}])
    application = await _made(session, f"{url()}/applications", headers[0], {"name": "plant"})
    numbers = [await _number(session, url(), each) for each in headers]
    key = {"Authorization": f"Thing {thing['things'][0]['key']}"}
    return [
        Mainflux(session, url, key),
        Hasura(session, url, headers[0]),
        Gravwell(session, url, headers[0], headers[1], (numbers[0], numbers[1])),
        Losant(session, url, headers[0], application["id"]),
    ]


async def tree_caller(session: aiohttp.ClientSession, url: Callable[[], str]) -> Api:
    """Somebody who moves and removes whole directories."""
    headers = await _signed_in(session, url(), _EMAILS[0])
    application = await _made(session, f"{url()}/applications", headers, {"name": "trees"})
    return Trees(session, url, headers, application["id"])


async def hooked_caller(
    session: aiohttp.ClientSession, url: Callable[[], str], receiver: Receiver
) -> Api:
    """A thing whose owner is told of every change of its files."""
    headers = await _signed_in(session, url(), _EMAILS[0])
    things = await _made(session, f"{url()}/things", headers, [{"name": "hooked"}])
    thing = things["things"][0]
    hook = {"name": "hook", "format": "json", "url": receiver.url, "events": ["files"]}
    await _made(session, f"{url()}/webhooks/{thing['id']}", headers, [hook])
    return Hooked(session, url, {"Authorization": f"Thing {thing['key']}"}, receiver)


async def _signed_in(session: aiohttp.ClientSession, url: str, email: str) -> dict[str, str]:
    said = await _made(session, f"{url}/tokens", {}, {"email": email, "password": _PASSWORD})
    return {"Authorization": f"Bearer {said['token']}"}


async def _number(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> int:
    async with session.get(f"{url}/api/info/whoami", headers=headers) as answer:
        return int((await answer.json())["UID"])


async def _made(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: object
) -> Any:
    async with session.post(url, headers=headers, json=body) as answer:
        text = await answer.text()
        assert answer.status == 201, text
        return json.loads(text or "null")
