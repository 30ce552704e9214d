"""Logins that are ended before their time, accounts that are locked, numbers beside ids."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.identity.records.groups import Candidate
from gateway.identity.records.keys import KeyDraft, KeyType
from gateway.identity.registry import Registry
from gateway.identity.users import scope_of
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import AccountLocked, Forbidden, NotFound, Unauthenticated
from tests.identity.conftest import PASSWORD, MakeUser, make_group

EMAIL = "test@email.com"


async def log_in(registry: Registry) -> str:
    return await registry.users.log_in(EMAIL, PASSWORD)


async def test_a_login_that_is_ended_proves_nothing_and_the_others_go_on(
    registry: Registry, user: MakeUser
) -> None:
    await user(EMAIL)
    ended, other = await log_in(registry), await log_in(registry)
    await registry.log_out(ended)
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(ended)
    with pytest.raises(Unauthenticated):
        await registry.log_out(ended)
    assert EMAIL == (await registry.user_by_token(other)).email


async def test_all_logins_of_a_user_end_at_once_and_api_keys_live_on(
    registry: Registry, user: MakeUser
) -> None:
    caller, stranger = await user(EMAIL), await user("other@email.com")
    tokens = [await log_in(registry) for _ in range(2)]
    _, key = await registry.keys.issue(caller, KeyDraft(KeyType.API, 0))
    others = await registry.users.log_in("other@email.com", PASSWORD)
    await registry.users.end_sessions(caller)
    for token in tokens:
        with pytest.raises(Unauthenticated):
            await registry.user_by_token(token)
    assert caller == await registry.user_by_token(key)
    assert stranger == await registry.user_by_token(others)
    assert caller == await registry.user_by_token(await log_in(registry))


async def test_an_api_key_is_no_login_to_end(registry: Registry, user: MakeUser) -> None:
    _, key = await registry.keys.issue(await user(EMAIL), KeyDraft(KeyType.API, 0))
    with pytest.raises(Unauthenticated):
        await registry.log_out(key)
    assert EMAIL == (await registry.user_by_token(key)).email


async def test_ended_logins_are_forgotten_once_they_would_be_over(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    await user(EMAIL)
    await registry.log_out(await log_in(registry))
    await connection.execute("update ended_tokens set expires_at = now() - interval '2 hours'")
    await registry.log_out(await log_in(registry))
    assert 1 == await connection.fetchval("select count(*) from ended_tokens")


async def test_a_locked_account_proves_nothing_until_it_is_unlocked(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    caller, token = await user(EMAIL), await log_in(registry)
    _, key = await registry.keys.issue(caller, KeyDraft(KeyType.API, 0))
    await registry.users.lock(admin, UUID(caller.id), locked=True)
    for credential in (token, key):
        with pytest.raises(Unauthenticated):
            await registry.user_by_token(credential)
    with pytest.raises(AccountLocked):
        await log_in(registry)
    with pytest.raises(Unauthenticated):
        await registry.users.log_in(EMAIL, "a wrong password")
    await registry.users.lock(admin, UUID(caller.id), locked=False)
    for credential in (token, key, await log_in(registry)):
        assert caller == await registry.user_by_token(credential)


async def test_only_an_administrator_locks_and_nobody_oneself(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    caller, other = await user(EMAIL), await user("other@email.com")
    with pytest.raises(Forbidden):
        await registry.users.lock(caller, UUID(other.id), locked=True)
    with pytest.raises(Forbidden):
        await registry.users.lock(admin, UUID(admin.id), locked=True)
    with pytest.raises(NotFound):
        await registry.users.lock(admin, uuid4(), locked=True)


async def test_users_own_a_scope(
    registry: Registry, user: MakeUser, admin: Principal, connection: asyncpg.Connection
) -> None:
    made = [await user(EMAIL), admin]
    owned = await connection.fetch("select owner from scopes where kind = 'users'")
    assert {p.id for p in made} == {row["owner"] for row in owned}
    assert "users" == scope_of(UUID(admin.id)).kind


async def test_groups_have_numbers_which_their_members_may_use(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    owner, member = await user(EMAIL), await user("other@email.com")
    first, second = await make_group(registry, owner, "a"), await make_group(registry, owner, "b")
    await registry.groups.assign(
        owner, second, [Candidate(id=UUID(member.id), role=GroupRole.VIEWER)]
    )
    own = await registry.groups.memberships(owner)
    assert [(first, "a"), (second, "b")] == [(m.id, m.name) for m in own]
    assert own[1:] == await registry.groups.memberships(member)
    numbers = [m.number for m in own]
    await registry.groups.check_numbers(owner, numbers)
    await registry.groups.check_numbers(admin, numbers)
    await registry.groups.check_numbers(member, numbers[1:])
    with pytest.raises(NotFound):
        await registry.groups.check_numbers(member, numbers)
    with pytest.raises(NotFound):
        await registry.groups.check_numbers(admin, [max(numbers) + 1])
