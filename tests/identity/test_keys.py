from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.keys import LONGEST_SECONDS
from gateway.identity.records.keys import KeyDraft, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.model.access import Principal
from gateway.model.errors import NotFound, Unauthenticated
from tests.identity.conftest import PASSWORD, SECRET, MakeUser
from tests.tools.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize("kind", [KeyType.LOGIN, KeyType.API])
async def test_a_key_is_its_users_word(registry: Registry, user: MakeUser, kind: KeyType) -> None:
    owner = await user("test@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(kind, 100))
    proved = await registry.user_by_token(value)
    assert owner == proved
    assert (str(key.id), True) == (proved.key_id, proved.valid_until is not None)


async def test_a_recovery_key_is_no_credential(registry: Registry, user: MakeUser) -> None:
    _, value = await registry.keys.issue(
        await user("test@email.com"), KeyDraft(KeyType.RECOVERY, 100)
    )
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(value)


@pytest.mark.parametrize(
    ("kind", "duration", "lasts"),
    [
        pytest.param(KeyType.LOGIN, 0, 36_000, id="login"),
        pytest.param(KeyType.LOGIN, 60, 60, id="short login"),
        pytest.param(KeyType.LOGIN, 90_000, 36_000, id="no longer login"),
        pytest.param(KeyType.RECOVERY, 0, 300, id="recovery"),
        pytest.param(KeyType.API, 0, None, id="API, for ever"),
        pytest.param(KeyType.API, 10_000, 10_000, id="API"),
        pytest.param(KeyType.API, LONGEST_SECONDS, LONGEST_SECONDS, id="API, as long as can be"),
    ],
)
async def test_a_key_lasts(
    registry: Registry, user: MakeUser, kind: KeyType, duration: int, lasts: int | None
) -> None:
    owner = await user("test@email.com")
    key, _ = await registry.keys.issue(owner, KeyDraft(kind, duration))
    expected = None if lasts is None else key.issued_at + timedelta(seconds=lasts)
    assert expected == key.expires_at
    assert key == await registry.keys.get(owner, key.id)


async def test_an_expired_key_proves_nothing(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    """
    Not even for the seconds that clocks may differ by: the database's clock decides.
    """
    owner = await user("test@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(KeyType.API, 100))
    await registry.user_by_token(value)
    await connection.execute("update api_keys set expires_at = now()")
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(value)
    assert key.id == (await registry.keys.get(owner, key.id)).id


async def test_a_revoked_key_ends_with_those_it_issued(registry: Registry, user: MakeUser) -> None:
    owner = await user("test@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(KeyType.API, 0))
    holder = await registry.user_by_token(value)
    _, child = await registry.keys.issue(holder, KeyDraft(KeyType.LOGIN, 0))
    await registry.user_by_token(child)
    await registry.keys.revoke(owner, key.id)
    for ended in (value, child):
        with pytest.raises(Unauthenticated):
            await registry.user_by_token(ended)
    with pytest.raises(Unauthenticated):
        await registry.keys.issue(holder, KeyDraft(KeyType.API, 0))
    with pytest.raises(NotFound):
        await registry.keys.revoke(owner, key.id)


async def test_a_key_does_not_outlive_the_one_it_was_issued_with(
    registry: Registry, user: MakeUser
) -> None:
    owner = await user("test@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(KeyType.API, 50))
    holder = await registry.user_by_token(value)
    for duration in (0, 5_000):
        child, _ = await registry.keys.issue(holder, KeyDraft(KeyType.API, duration))
        assert key.expires_at == child.expires_at


async def test_a_key_survives_a_new_password(registry: Registry) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    login = await registry.users.log_in("test@email.com", PASSWORD)
    caller = await registry.user_by_token(login)
    _, value = await registry.keys.issue(caller, KeyDraft(KeyType.API, 0))
    await registry.users.change_password(caller, PASSWORD, "battery-staple")
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(login)
    assert caller == await registry.user_by_token(value)


@pytest.mark.parametrize("verb", ["get", "revoke"])
async def test_a_key_of_somebody_else_is_like_none(
    registry: Registry, user: MakeUser, admin: Principal, verb: str
) -> None:
    owner, stranger = await user("one@email.com"), await user("two@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(KeyType.API, 0))
    act = getattr(registry.keys, verb)
    with pytest.raises(NotFound):
        await act(stranger, key.id)
    assert owner == await registry.user_by_token(value)
    await act(admin, key.id)


async def test_keys_are_listed_to_who_issued_them(registry: Registry, user: MakeUser) -> None:
    owner, other = await user("one@email.com"), await user("two@email.com")
    keys = [(await registry.keys.issue(owner, KeyDraft(KeyType.API, n)))[0] for n in (0, 5, 9)]
    await registry.keys.issue(other, KeyDraft(KeyType.API, 0))
    page = await registry.keys.list(owner, EntityListing(offset=1))
    assert (3, keys[1:]) == (page.total, page.items)


async def test_keys_long_over_are_forgotten(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    owner = await user("test@email.com")
    await registry.keys.issue(owner, KeyDraft(KeyType.API, 5))
    await connection.execute(
        "update api_keys set expires_at = $1", datetime.now(UTC) - timedelta(days=31)
    )
    key, _ = await registry.keys.issue(owner, KeyDraft(KeyType.API, 5))
    assert [key] == list((await registry.keys.list(owner, EntityListing())).items)


async def test_every_gateway_is_told_of_a_revocation(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    heard = asyncio.Event()
    await connection.add_listener("gateway_changes", lambda *_: heard.set())
    owner = await user("test@email.com")
    key, _ = await registry.keys.issue(owner, KeyDraft(KeyType.API, 0))
    await registry.keys.revoke(owner, key.id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await heard.wait()


async def test_when_a_key_was_used_is_written_later_and_wakes_nobody(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    """
    A change of ``api_keys`` makes every gateway forget what it knows; this does not.
    """
    owner = await user("test@email.com")
    key, value = await registry.keys.issue(owner, KeyDraft(KeyType.API))
    gone, other = await registry.keys.issue(owner, KeyDraft(KeyType.API))
    heard = list[str]()
    await connection.add_listener("gateway_changes", lambda *said: heard.append(said[-1]))
    for text in (value, value, other):
        await registry.user_by_token(text)
    await registry.keys.revoke(owner, gone.id)
    assert (await registry.keys.get(owner, key.id)).used_at is None
    await connection.execute("select")  # what was announced so far
    announced = len(heard)
    await registry.keys.write_uses()
    used = (await registry.keys.get(owner, key.id)).used_at
    assert used is not None
    await registry.keys.write_uses()
    assert used == (await registry.keys.get(owner, key.id)).used_at
    await connection.execute("select")
    assert announced == len(heard)


async def test_no_new_key_lives_longer_than_is_set(database: Database, user: MakeUser) -> None:
    owner = await user("test@email.com")
    async with open_registry(
        database, SECRET, terms=RegistryTerms(longest_key_seconds=60)
    ) as registry:
        for duration, lasts in ((0, 60), (5, 5), (1_000, 60)):
            key, _ = await registry.keys.issue(owner, KeyDraft(KeyType.API, duration))
            assert key.issued_at + timedelta(seconds=lasts) == key.expires_at
