"""A registry on an empty database, and a few people in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from gateway.database.pool import Database
from gateway.identity.records.groups import GroupDraft
from gateway.identity.records.things import Thing, ThingDraft
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.rows.users import add_user, find_user_by_email, make_admin
from gateway.identity.users import principal_of
from gateway.model.access import Principal
from tests.tools.inside import CHEAP, cheap_hash

SECRET = bytes(range(32))
PASSWORD = "correct-horse"
# Tests that make many users need not wait for hashes made to be slow.
CHEAP_HASH = cheap_hash(PASSWORD)

MakeUser = Callable[..., Awaitable[Principal]]


@pytest.fixture
async def registry(database: Database) -> AsyncIterator[Registry]:
    async with open_registry(database, SECRET, terms=RegistryTerms(cost=CHEAP)) as opened:
        yield opened


@pytest.fixture
def user(database: Database) -> MakeUser:
    """Makes somebody whose password is ``PASSWORD``."""

    async def make(email: str) -> Principal:
        return principal_of(await add_user(database, uuid4(), email, CHEAP_HASH, {}))

    return make


@pytest.fixture
async def admin(database: Database) -> Principal:
    await make_admin(database, uuid4(), "root@example.com", CHEAP_HASH)
    user = await find_user_by_email(database, "root@example.com")
    assert user is not None
    return principal_of(user)


async def make_thing(registry: Registry, owner: Principal, name: str = "sensor") -> Thing:
    [thing] = await registry.things.create(owner, [ThingDraft(name=name)])
    return thing


async def make_group(registry: Registry, owner: Principal, name: str = "line") -> UUID:
    return await registry.groups.create(owner, GroupDraft(name=name))
