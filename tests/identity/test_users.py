from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest

from gateway.database.pool import Database
from gateway.identity.emails import check_email
from gateway.identity.records.keys import KeyDraft, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.secrets import PasswordCost
from gateway.identity.users import RegistrationRules
from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    StartupFailed,
    Unauthenticated,
)
from tests.identity.conftest import PASSWORD, SECRET, MakeUser
from tests.tools.inside import CHEAP
from tests.tools.waiting import PATIENCE_SECONDS


async def test_a_registered_user_logs_in_and_is_known_by_the_token(registry: Registry) -> None:
    made = await registry.users.register("Test@Email.com", PASSWORD, {"shift": "night"})
    token = await registry.users.log_in("TEST@email.com", PASSWORD)
    assert Principal(
        PrincipalKind.USER, str(made.id), "user", ("user",), "test@email.com", made.number
    ) == await registry.user_by_token(token)


async def test_a_user_has_a_number_that_no_other_user_ever_has(
    registry: Registry, connection: asyncpg.Connection
) -> None:
    """The next user does not inherit the number of a removed one, nor what it was let do."""
    first = await registry.users.register("first@email.com", PASSWORD, {})
    await connection.execute("delete from users where id = $1", first.id)
    second = await registry.users.register("first@email.com", PASSWORD, {})
    assert 0 < first.number < second.number


async def test_an_email_is_taken_in_any_case(registry: Registry) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    with pytest.raises(Conflict):
        await registry.users.register("TEST@EMAIL.COM", PASSWORD, {})


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param("test@email.com", "wrong-horse", id="wrong password"),
        pytest.param("nobody@email.com", PASSWORD, id="unknown e-mail"),
        pytest.param("not an e-mail", PASSWORD, id="no e-mail"),
        pytest.param("test@email.com", "", id="no password"),
        pytest.param("test@email.com", "lone\ud800", id="password that is no text"),
        pytest.param("test@email.com\0", PASSWORD, id="e-mail with NUL"),
    ],
)
async def test_a_bad_login_proves_nothing(registry: Registry, email: str, password: str) -> None:
    await registry.users.register("test@email.com", PASSWORD, {})
    with pytest.raises(Unauthenticated):
        await registry.users.log_in(email, password)


@pytest.mark.parametrize(
    "email",
    ["", "a", "@b", "a@", "a b@c", "a@b@c", "a@b\n", "ä\ud800@b", f"a@{'b' * 190}", 7, None],
)
def test_what_is_no_email_is_refused(email: object) -> None:
    with pytest.raises(Malformed):
        check_email(email)


async def test_a_new_password_ends_every_older_token(registry: Registry, user: MakeUser) -> None:
    """
    Also tokens of the very same second: the generation counts, not the clock.
    """
    caller = await user("test@email.com")
    old = await registry.users.log_in("test@email.com", PASSWORD)
    await registry.users.change_password(caller, PASSWORD, "battery-staple")
    new = await registry.users.log_in("test@email.com", "battery-staple")
    assert caller == await registry.user_by_token(new)
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(old)
    with pytest.raises(Unauthenticated):
        await registry.users.log_in("test@email.com", PASSWORD)


async def test_a_password_changes_only_for_who_knows_it(registry: Registry, user: MakeUser) -> None:
    caller = await user("test@email.com")
    with pytest.raises(Unauthenticated):
        await registry.users.change_password(caller, "wrong-horse", "battery-staple")
    assert await registry.users.log_in("test@email.com", PASSWORD)


async def test_a_token_of_a_user_who_is_gone_proves_nothing(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    await user("test@email.com")
    token = await registry.users.log_in("test@email.com", PASSWORD)
    await connection.execute("delete from users")
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(token)


async def test_a_token_of_another_type_is_no_login(registry: Registry, user: MakeUser) -> None:
    """
    A token that our own key signed for another purpose must not open the door.
    """
    await user("test@email.com")
    token = await registry.users.log_in("test@email.com", PASSWORD)
    claims = jwt.decode(token, options={"verify_signature": False})
    key = registry.users._tokens._key
    recovery = jwt.encode(claims | {"type": 1}, key, algorithm="HS256")
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(recovery)


async def test_no_password_is_kept_in_clear(
    registry: Registry, user: MakeUser, connection: asyncpg.Connection
) -> None:
    await user("test@email.com")
    assert PASSWORD not in str(await connection.fetch("select users::text from users"))


async def test_users_see_themselves_and_an_admin_sees_all(
    registry: Registry, user: MakeUser, admin: Principal
) -> None:
    one, two = await user("one@email.com"), await user("two@email.com")
    assert UUID(one.id) == (await registry.users.get(one, UUID(one.id))).id
    assert UUID(one.id) == (await registry.users.get(admin, UUID(one.id))).id
    assert ["one@email.com"] == await _emails(registry, one, EntityListing())
    everybody = ["root@example.com", "one@email.com", "two@email.com"]
    assert everybody == await _emails(registry, admin, EntityListing())
    assert ["two@email.com"] == await _emails(registry, admin, EntityListing(name="TWO@"))
    assert ["one@email.com"] == await _emails(registry, admin, EntityListing(offset=1, limit=1))
    for unseen in (UUID(two.id), uuid4()):
        with pytest.raises(NotFound):
            await registry.users.get(one, unseen)


async def test_a_user_changes_their_own_metadata(registry: Registry, user: MakeUser) -> None:
    one, two = await user("one@email.com"), await user("two@email.com")
    await registry.users.amend(one, {"foo": "bar"})
    assert {"foo": "bar"} == (await registry.users.get(one, UUID(one.id))).metadata
    assert {} == (await registry.users.get(two, UUID(two.id))).metadata


async def test_a_thing_is_no_user(registry: Registry) -> None:
    thing = Principal(PrincipalKind.THING, str(uuid4()), "thing")
    with pytest.raises(Forbidden):
        await registry.users.list(thing, EntityListing())


async def test_closed_registration_is_for_admins(database: Database, admin: Principal) -> None:
    stranger = Principal(PrincipalKind.USER, str(uuid4()), "user")
    async with open_registry(
        database,
        SECRET,
        terms=RegistryTerms(cost=CHEAP, registration=RegistrationRules(is_open=False)),
    ) as closed:
        with pytest.raises(Unauthenticated):
            await closed.users.register("one@email.com", PASSWORD, {})
        with pytest.raises(Forbidden):
            await closed.users.register("one@email.com", PASSWORD, {}, creator=stranger)
        made = await closed.users.register("one@email.com", PASSWORD, {}, creator=admin)
        assert "one@email.com" == made.email


async def test_the_first_admin_is_made_once(registry: Registry) -> None:
    made = await registry.users.ensure_admin(None, None)
    assert made is not None
    assert made.password is not None
    assert "admin@example.com" == made.email
    assert made.password not in repr(made)
    token = await registry.users.log_in(made.email, made.password)
    assert (await registry.user_by_token(token)).is_admin
    assert await registry.users.ensure_admin("other@example.com", PASSWORD) is None


async def test_a_password_that_was_given_is_not_handed_back(registry: Registry) -> None:
    made = await registry.users.ensure_admin("root@example.com", PASSWORD)
    assert made is not None
    assert made.password is None


async def test_many_workers_make_one_admin(
    registry: Registry, connection: asyncpg.Connection
) -> None:
    """
    All of them have seen that there is none, and wait to write, before the first one can.
    """
    async with connection.transaction():
        await connection.execute("lock table users in share mode")
        making = asyncio.gather(*(registry.users.ensure_admin(None, None) for _ in range(8)))
        await _until_waiting(connection, 8)
    [winner] = [m for m in await making if m is not None]
    assert 1 == await connection.fetchval("select count(*) from users")
    assert await registry.users.log_in(winner.email, winner.password or "")


async def _until_waiting(connection: asyncpg.Connection, count: int) -> None:
    waiting = "select count(*) from pg_locks where not granted"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await connection.fetchval(waiting) < count:
            await asyncio.sleep(0.01)


async def test_the_admin_takes_over_an_account_with_the_admins_email(registry: Registry) -> None:
    """
    Whoever registered that e-mail before the operator named it keeps neither password nor token.
    """
    await registry.users.register("root@example.com", "squatters-pw", {})
    squatted = await registry.users.log_in("root@example.com", "squatters-pw")
    await registry.users.ensure_admin("root@example.com", PASSWORD)
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(squatted)
    token = await registry.users.log_in("root@example.com", PASSWORD)
    assert (await registry.user_by_token(token)).is_admin


@pytest.mark.parametrize("how", ["named by a setting", "by a command"])
async def test_an_account_that_is_taken_over_loses_its_keys(registry: Registry, how: str) -> None:
    await registry.users.register("root@example.com", "squatters-pw", {})
    squatter = await registry.user_by_token(
        await registry.users.log_in("root@example.com", "squatters-pw")
    )
    _, key = await registry.keys.issue(squatter, KeyDraft(KeyType.API))
    if how == "by a command":
        await registry.users.appoint("root@example.com", PASSWORD)
    else:
        await registry.users.ensure_admin("root@example.com", PASSWORD)
    with pytest.raises(Unauthenticated):
        await registry.user_by_token(key)


async def test_a_hash_of_another_cost_is_made_anew_at_the_log_in(
    registry: Registry, database: Database, connection: asyncpg.Connection
) -> None:
    """And ends no token: it is the same password."""
    await registry.users.register("test@email.com", PASSWORD, {})
    before = await registry.users.log_in("test@email.com", PASSWORD)
    kept = "select password_hash from users"
    old = await connection.fetchval(kept)
    dearer = PasswordCost(kib=16, passes=1)
    async with open_registry(database, SECRET, terms=RegistryTerms(cost=dearer)) as later:
        with pytest.raises(Unauthenticated):
            await later.users.log_in("test@email.com", "wrong-password")
        assert old == await connection.fetchval(kept)
        await later.users.log_in("test@email.com", PASSWORD)
        new = await connection.fetchval(kept)
        assert "m=16," in new
        await later.users.log_in("test@email.com", PASSWORD)
        assert new == await connection.fetchval(kept)
    await registry.user_by_token(before)


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        pytest.param(RegistrationRules(), False, id="trial"),
        pytest.param(RegistrationRules(trial=False), True, id="open"),
        pytest.param(RegistrationRules(is_open=False, trial=False), True, id="closed"),
    ],
)
async def test_a_password_that_is_tried_first_is_refused(
    database: Database, admin: Principal, rules: RegistrationRules, refused: bool
) -> None:
    async with open_registry(
        database, SECRET, terms=RegistryTerms(cost=CHEAP, registration=rules)
    ) as registry:
        found = False
        try:
            await registry.users.register("x@email.com", "Password1", {}, creator=admin)
        except Malformed:
            found = True
        assert refused == found
        with pytest.raises(Malformed if refused else Unauthenticated):
            await registry.users.change_password(admin, "wrong-password", "Password1")


async def test_an_account_with_an_address_of_before_logs_in(
    registry: Registry, user: MakeUser
) -> None:
    """What would not be taken today is found as it was kept."""
    for email in ("ce\u200bo@corp.test", "stra\u00dfe@corp.test"):
        await user(email)
        await registry.users.log_in(email.upper().replace("SS", "\u00df"), PASSWORD)


async def test_a_database_of_another_deployment_is_refused(
    registry: Registry, database: Database
) -> None:
    with pytest.raises(StartupFailed, match="another secret"):
        async with open_registry(database, bytes(32)):
            pass
    async with open_registry(database, SECRET):
        pass


async def _emails(registry: Registry, caller: Principal, listing: EntityListing) -> list[str]:
    return [u.email for u in (await registry.users.list(caller, listing)).items]
