"""Whose an address is: invitations, and roles by e-mail that wait for it.

Registration is open to anybody here, so whoever comes first has an address, and not its owner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.records.groups import Candidate, MemberKind
from gateway.identity.records.invitations import Issued
from gateway.identity.records.orgs import OrgDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.users import RegistrationRules
from gateway.model.access import GroupRole, Principal
from gateway.model.errors import Conflict, Forbidden, GatewayError, NotFound, Unauthenticated
from tests.identity.conftest import PASSWORD, SECRET, MakeUser, make_group
from tests.tools.inside import CHEAP

VIEWER, EDITOR, ADMIN, OWNER = GroupRole
EMAIL = "newhire@corp.test"
OPEN = RegistrationRules(is_open=True, trial=False)
Places = dict[str, UUID]


@pytest.fixture
async def registry(database: Database) -> AsyncIterator[Registry]:
    async with open_registry(
        database, SECRET, terms=RegistryTerms(cost=CHEAP, registration=OPEN)
    ) as opened:
        yield opened


@pytest.fixture
async def owner(user: MakeUser) -> Principal:
    return await user("owner@corp.test")


async def signed_up(registry: Registry, email: str = EMAIL) -> Principal:
    await registry.users.register(email, PASSWORD, {})
    return await registry.user_by_token(await registry.users.log_in(email, PASSWORD))


async def grant(registry: Registry, owner: Principal, where: str, place: UUID) -> list[Issued]:
    """The role of an editor, to the address."""
    if where == "group":
        wanted = [Candidate(email=EMAIL, role=EDITOR)]
        return list(await registry.groups.assign(owner, place, wanted))
    return list(await registry.orgs.assign(owner, place, {EMAIL: EDITOR}))


async def place_of(registry: Registry, owner: Principal, where: str) -> UUID:
    if where == "group":
        return await make_group(registry, owner)
    return await registry.orgs.create(owner, OrgDraft("org"))


async def role_in(registry: Registry, caller: Principal, where: str, place: UUID) -> bool:
    check = registry.groups.check_role if where == "group" else registry.orgs.check_role
    try:
        await check(caller, place, EDITOR)
    except NotFound:
        return False
    return True


async def listed(registry: Registry, owner: Principal, where: str, place: UUID) -> list[object]:
    if where == "group":
        page = await registry.groups.list_members(owner, place, MemberKind.USERS, EntityListing())
    else:
        page = await registry.orgs.list_members(owner, place, EntityListing())
    assert page.total == len(page.items)
    return [(m.email, m.role, m.pending) for m in page.items]


@pytest.mark.parametrize("where", ["group", "org"])
async def test_a_role_by_e_mail_waits_for_the_token_that_goes_there(
    registry: Registry, owner: Principal, where: str
) -> None:
    attacker = await signed_up(registry)
    place = await place_of(registry, owner, where)
    [issued] = await grant(registry, owner, where, place)
    assert not await role_in(registry, attacker, where, place)
    first = ("owner@corp.test", OWNER, False)
    assert [first, (EMAIL, EDITOR, True)] == await listed(registry, owner, where, place)
    assert (await registry.invitations.accept(attacker, issued.token)).id == issued.invitation.id
    assert await role_in(registry, attacker, where, place)
    assert [first, (EMAIL, EDITOR, False)] == await listed(registry, owner, where, place)
    with pytest.raises(NotFound):
        await registry.invitations.accept(attacker, issued.token)


async def _by_admin(registry: Registry, admin: Principal) -> None:
    await registry.users.register(EMAIL, PASSWORD, {}, creator=admin)


async def _by_invitation(registry: Registry, admin: Principal) -> None:
    issued = await registry.invitations.invite(admin, EMAIL)
    await registry.users.register(EMAIL, PASSWORD, {}, invitation=issued.token)


async def _by_itself_and_then_an_invitation(registry: Registry, admin: Principal) -> None:
    person = await signed_up(registry)
    issued = await registry.invitations.invite(admin, EMAIL)
    await registry.invitations.accept(person, issued.token)


@pytest.mark.parametrize("where", ["group", "org"])
@pytest.mark.parametrize(
    "made", [_by_admin, _by_invitation, _by_itself_and_then_an_invitation], ids=lambda f: f.__name__
)
async def test_who_has_shown_their_address_has_the_role_at_once(
    registry: Registry,
    owner: Principal,
    admin: Principal,
    where: str,
    made: Callable[[Registry, Principal], Awaitable[None]],
) -> None:
    await made(registry, admin)
    person = await registry.user_by_token(await registry.users.log_in(EMAIL, PASSWORD))
    place = await place_of(registry, owner, where)
    assert [] == await grant(registry, owner, where, place)
    assert await role_in(registry, person, where, place)


async def test_on_a_trial_nothing_waits(database: Database, owner: Principal) -> None:
    """Nobody but this machine reaches it: as the published API has it."""
    async with open_registry(database, SECRET, terms=RegistryTerms(cost=CHEAP)) as trial:
        person = await signed_up(trial)
        group = await make_group(trial, owner)
        assert [] == await grant(trial, owner, "group", group)
        assert await role_in(trial, person, "group", group)


async def test_by_id_a_role_is_had_at_once_and_takes_the_place_of_what_waits(
    registry: Registry, owner: Principal
) -> None:
    person = await signed_up(registry)
    group = await make_group(registry, owner)
    [issued] = await grant(registry, owner, "group", group)
    await registry.groups.assign(owner, group, [Candidate(id=UUID(person.id), role=ADMIN)])
    with pytest.raises(NotFound):
        await registry.invitations.accept(person, issued.token)
    assert ADMIN == await registry.group_role(person, group)
    # Who is a member already is known by more than the address.
    assert [] == await grant(registry, owner, "group", group)
    assert EDITOR == await registry.group_role(person, group)


async def test_an_address_that_is_shown_brings_all_that_waited(
    registry: Registry, owner: Principal, admin: Principal
) -> None:
    person = await signed_up(registry)
    places = {where: await place_of(registry, owner, where) for where in ("group", "org")}
    for where, place in places.items():
        await grant(registry, owner, where, place)
    issued = await registry.invitations.invite(admin, EMAIL)
    await registry.invitations.accept(person, issued.token)
    for where, place in places.items():
        assert await role_in(registry, person, where, place)
    assert 0 == (await registry.invitations.list(admin, EntityListing())).total


Undo = Callable[[Registry, Principal, Principal, UUID, Issued], Awaitable[None]]


async def _taken_out(
    registry: Registry, owner: Principal, person: Principal, group: UUID, _: Issued
) -> None:
    await registry.groups.unassign(owner, group, [UUID(person.id)])


async def _revoked(
    registry: Registry, owner: Principal, _: Principal, group: UUID, issued: Issued
) -> None:
    await registry.invitations.revoke(owner, issued.invitation.id)


async def _offered_again(
    registry: Registry, owner: Principal, _: Principal, group: UUID, issued: Issued
) -> None:
    await grant(registry, owner, "group", group)


async def _all_of_the_inviter_ended(
    registry: Registry, owner: Principal, _: Principal, group: UUID, issued: Issued
) -> None:
    await registry.users.end_all(owner, UUID(owner.id))


@pytest.mark.parametrize(
    "undo",
    [_taken_out, _revoked, _offered_again, _all_of_the_inviter_ended],
    ids=lambda f: f.__name__,
)
async def test_what_waits_can_be_taken_back(
    registry: Registry, owner: Principal, undo: Undo
) -> None:
    person = await signed_up(registry)
    group = await make_group(registry, owner)
    [issued] = await grant(registry, owner, "group", group)
    await undo(registry, owner, person, group, issued)
    with pytest.raises(NotFound):
        await registry.invitations.accept(person, issued.token)


@pytest.mark.parametrize("lost", ["the role", "the account", "high enough a role", "time"], ids=str)
async def test_nobody_gives_what_they_have_no_more(
    registry: Registry,
    owner: Principal,
    admin: Principal,
    user: MakeUser,
    connection: asyncpg.Connection,
    lost: str,
) -> None:
    person, helper = await signed_up(registry), await user("helper@corp.test")
    group = await make_group(registry, owner)
    await registry.groups.assign(owner, group, [Candidate(id=UUID(helper.id), role=ADMIN)])
    [issued] = await grant(registry, helper, "group", group)
    match lost:
        case "the role":
            await registry.groups.unassign(owner, group, [UUID(helper.id)])
        case "the account":
            await registry.users.lock(admin, UUID(helper.id), locked=True)
        case "high enough a role":
            wanted = [Candidate(id=UUID(helper.id), role=EDITOR)]
            await registry.groups.assign(owner, group, wanted)
        case "time":
            await connection.execute(
                "update invitations set expires_at = now() - $1::interval", timedelta(seconds=1)
            )
    with pytest.raises(NotFound):
        await registry.invitations.accept(person, issued.token)


async def test_a_token_is_for_its_address_alone(
    registry: Registry, owner: Principal, admin: Principal, user: MakeUser
) -> None:
    other = await user("other@corp.test")
    await signed_up(registry)
    group = await make_group(registry, owner)
    [role] = await grant(registry, owner, "group", group)
    account = await registry.invitations.invite(admin, EMAIL)
    for issued in (role, account):
        with pytest.raises(NotFound):
            await registry.invitations.accept(other, issued.token)
    with pytest.raises(Forbidden):
        await registry.users.register("x@corp.test", PASSWORD, {}, invitation=account.token)
    # And a role's is no way to an account.
    with pytest.raises(Forbidden):
        await registry.users.register(EMAIL, PASSWORD, {}, invitation=role.token)


async def test_an_invited_person_comes_in_once_where_registration_is_closed(
    database: Database, admin: Principal, user: MakeUser
) -> None:
    rules = RegistrationRules(is_open=False, trial=False)
    async with open_registry(
        database, SECRET, terms=RegistryTerms(cost=CHEAP, registration=rules)
    ) as closed:
        with pytest.raises(Unauthenticated):
            await closed.users.register(EMAIL, PASSWORD, {})
        issued = await closed.invitations.invite(admin, EMAIL)
        await closed.users.register(EMAIL, PASSWORD, {}, invitation=issued.token)
        with pytest.raises(Forbidden):
            await closed.users.register(EMAIL, PASSWORD, {}, invitation=issued.token)
        with pytest.raises(Conflict):
            await closed.invitations.invite(admin, EMAIL)


@pytest.mark.parametrize("who", ["a user", "a registrar", "an admin", "a command"])
async def test_who_may_make_accounts_may_invite(
    registry: Registry, admin: Principal, user: MakeUser, who: str
) -> None:
    person = await user("person@corp.test")
    if who == "a registrar":
        await registry.policies.add(admin, "users", [UUID(person.id)], ["create"])
        found = await registry.users.get(person, UUID(person.id))
        assert found.registrar
        person = Principal(person.kind, person.id, "user", ("user", "registrar"), person.email)
    caller = {"an admin": admin, "a command": None}.get(who, person)
    refused: GatewayError | None = None
    try:
        issued = await registry.invitations.invite(caller, EMAIL)
        await registry.users.register(EMAIL, PASSWORD, {}, invitation=issued.token)
    except Forbidden as exc:
        refused = exc
    assert (who == "a user") == (refused is not None)


@pytest.mark.parametrize(
    ("email", "let_in"),
    [("me@corp.test", True), ("me@CORP.test", True), ("me@sub.corp.test", False), ("me@x.test", False)],
)  # fmt: skip
async def test_where_it_is_open_it_may_be_so_to_some_domains(
    database: Database, admin: Principal, email: str, let_in: bool
) -> None:
    rules = RegistrationRules(is_open=True, trial=False, domains=frozenset({"corp.test"}))
    async with open_registry(
        database, SECRET, terms=RegistryTerms(cost=CHEAP, registration=rules)
    ) as opened:
        refused: GatewayError | None = None
        try:
            await opened.users.register(email, PASSWORD, {})
        except Forbidden as exc:
            refused = exc
        assert let_in == (refused is None)
        await opened.users.register(f"made.{email}", PASSWORD, {}, creator=admin)


async def test_invitations_are_seen_by_who_made_them_and_whom_they_are_to(
    registry: Registry, owner: Principal, admin: Principal, user: MakeUser
) -> None:
    person, stranger = await signed_up(registry), await user("stranger@corp.test")
    group = await make_group(registry, owner)
    [role] = await grant(registry, owner, "group", group)
    account = await registry.invitations.invite(admin, EMAIL)
    seen = {
        "owner": {role.invitation.id},
        "person": {role.invitation.id, account.invitation.id},
        "stranger": set[UUID](),
        "admin": {role.invitation.id, account.invitation.id},
    }
    callers = {"owner": owner, "person": person, "stranger": stranger, "admin": admin}
    for name, caller in callers.items():
        page = await registry.invitations.list(caller, EntityListing())
        assert (name, seen[name]) == (name, {invitation.id for invitation in page.items})
    for wanted in (role.invitation.id, uuid4()):
        with pytest.raises(NotFound):
            await registry.invitations.revoke(stranger, wanted)


async def test_no_token_is_kept(
    registry: Registry, owner: Principal, connection: asyncpg.Connection
) -> None:
    await signed_up(registry)
    [issued] = await grant(registry, owner, "group", await make_group(registry, owner))
    kept = await connection.fetch("select invitations::text, audit::text from invitations, audit")
    assert kept
    assert issued.token not in str(kept)
