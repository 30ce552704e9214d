"""A way back for whoever lost their password, without mail: a token that an administrator makes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.records.keys import KeyDraft, KeyType
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.users import RegistrationRules
from gateway.model.access import Principal
from gateway.model.errors import Forbidden, Malformed, NotFound, Unauthenticated
from tests.identity.conftest import PASSWORD, SECRET, MakeUser
from tests.tools.inside import CHEAP

EMAIL, NEW = "test@email.com", "battery-staple"


@pytest.fixture
async def registry(database: Database) -> AsyncIterator[Registry]:
    rules = RegistrationRules(is_open=False, trial=False)
    async with open_registry(
        database, SECRET, terms=RegistryTerms(cost=CHEAP, registration=rules)
    ) as opened:
        yield opened


@pytest.mark.parametrize("end_keys", [False, True])
async def test_a_token_sets_a_password_once_and_ends_every_login(
    registry: Registry, user: MakeUser, admin: Principal, end_keys: bool
) -> None:
    caller = await user(EMAIL)
    login = await registry.users.log_in(EMAIL, PASSWORD)
    _, key = await registry.keys.issue(caller, KeyDraft(KeyType.API))
    _, token, _ = await registry.recovery.issue(admin, EMAIL)
    await registry.recovery.reset(token, NEW, end_keys=end_keys)
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(login)
    with pytest.raises(Forbidden):
        await registry.recovery.reset(token, PASSWORD)
    await registry.users.log_in(EMAIL, NEW)
    if end_keys:
        with pytest.raises(Unauthenticated):
            await registry.user_by_token(key)
    else:
        assert caller == await registry.user_by_token(key)


@pytest.mark.parametrize("over", ["a later one", "a new password", "time", "all ended"])
async def test_a_token_is_over_with(
    registry: Registry,
    user: MakeUser,
    admin: Principal,
    connection: asyncpg.Connection,
    over: str,
) -> None:
    caller = await user(EMAIL)
    _, token, _ = await registry.recovery.issue(admin, EMAIL)
    match over:
        case "a later one":
            await registry.recovery.issue(admin, EMAIL)
        case "a new password":
            await registry.users.change_password(caller, PASSWORD, "another-one-9")
        case "time":
            await connection.execute("update password_resets set expires_at = now()")
        case "all ended":
            await registry.users.end_all_by_email(EMAIL)
    with pytest.raises(Forbidden):
        await registry.recovery.reset(token, NEW)


async def test_only_an_administrator_makes_one(registry: Registry, user: MakeUser) -> None:
    caller = await user(EMAIL)
    for email in (EMAIL, "nobody@email.com"):
        with pytest.raises(Forbidden):
            await registry.recovery.issue(caller, email)


async def test_for_no_account_there_is_none(registry: Registry, admin: Principal) -> None:
    with pytest.raises(NotFound):
        await registry.recovery.issue(admin, "nobody@email.com")


@pytest.mark.parametrize("password", ["short", "password1"])
async def test_a_password_that_will_not_do_leaves_the_token(
    registry: Registry, user: MakeUser, admin: Principal, password: str
) -> None:
    await user(EMAIL)
    _, token, _ = await registry.recovery.issue(admin, EMAIL)
    with pytest.raises(Malformed):
        await registry.recovery.reset(token, password)
    await registry.recovery.reset(token, NEW)


async def test_who_asks_learns_nothing_and_leaves_a_word(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    caller = await user(EMAIL)
    for email in (EMAIL, "nobody@email.com", "no e-mail", "\ud800\0@x.test"):
        await registry.recovery.ask(email)
    rows = await connection.fetch("select owner, detail->>'email' from audit order by id")
    assert [
        (caller.id, EMAIL),
        ("", "nobody@email.com"),
        ("", "no e-mail"),
        ("", "??@x.test"),
    ] == [tuple(row) for row in rows]
