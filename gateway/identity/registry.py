"""The registry: everybody the gateway knows, kept in PostgreSQL.

One service per noun; this module puts them together and says what the
file routes ask.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.database.pool import Database
from gateway.identity import things
from gateway.identity.audit import Audit
from gateway.identity.certificates import Certificates
from gateway.identity.channels import Channels
from gateway.identity.groups import Groups
from gateway.identity.invitations import Invitations
from gateway.identity.keys import Keys, with_key
from gateway.identity.orgs import Orgs
from gateway.identity.policies import Policies
from gateway.identity.records.things import Thing
from gateway.identity.recovery import Recovery
from gateway.identity.secrets import RECOMMENDED, Keyring, PasswordCost, Passwords
from gateway.identity.things import Things
from gateway.identity.tokens import ISSUER, Tokens, utc_now
from gateway.identity.users import RegistrationRules, Users
from gateway.model.access import GroupRole, Principal
from gateway.model.certificate import Certificate
from gateway.model.errors import Forbidden, StartupFailed, Unauthenticated


class Registry:
    """Whose a credential is, what groups grant, and the services that change it."""

    def __init__(
        self,
        tokens: Tokens,
        users: Users,
        things: Things,
        groups: Groups,
        channels: Channels,
        keys: Keys,
        orgs: Orgs,
        policies: Policies,
        invitations: Invitations,
        recovery: Recovery,
        audit: Audit,
        certificates: Certificates,
    ) -> None:
        self.users = users
        self.things = things
        self.groups = groups
        self.channels = channels
        self.keys = keys
        self.orgs = orgs
        self.policies = policies
        self.invitations = invitations
        self.recovery = recovery
        self.audit = audit
        self.certificates = certificates
        self._tokens = tokens

    async def thing_by_key(self, key: str, certificate: Certificate | None = None) -> Principal:
        """The thing whose key this is. Raises ``Forbidden`` for an unknown key.

        Also for one that is nothing without a certificate of the thing's.
        """
        thing = await self.find_thing_by_key(key, certificate)
        if thing is None:
            raise Forbidden()
        return things.principal_of(thing)

    async def find_thing_by_key(
        self, key: str, certificate: Certificate | None = None
    ) -> Thing | None:
        """The same as a thing, or ``None``."""
        found = await self.things.find_by_key(key)
        if found is None:
            return None
        thing, certified = found
        known = certificate is not None and await self.certificates.belongs(thing, certificate)
        return thing if known or not certified else None

    async def thing_by_certificate(self, certificate: Certificate) -> Principal:
        """The thing that the certificate is enough for. Raises ``Forbidden``."""
        thing = await self.certificates.find_thing(certificate)
        if thing is None:
            raise Forbidden()
        return things.principal_of(thing)

    async def user_by_token(self, token: str) -> Principal:
        """The user whose Bearer token this is. Raises ``Unauthenticated`` if it proves nothing."""
        claims = self._tokens.read(token)
        if claims.key_id is None:
            principal = await self.users.prove(claims)
        else:
            principal = await self.keys.prove(claims)
        return with_key(principal, claims)

    async def renew(self, token: str) -> str:
        """Another token of the same login. Raises ``Unauthenticated``, for API keys too."""
        claims = self._tokens.read(token)
        if claims.key_id is not None:
            raise Unauthenticated()
        await self.users.prove(claims)
        return self._tokens.issue(claims)

    async def log_out(self, token: str) -> None:
        """End the login that this token is of. Raises ``Unauthenticated``, for API keys too."""
        claims = self._tokens.read(token)
        await self.users.prove(claims)
        await self.users.end_session(claims)

    async def group_role(self, user: Principal, group_id: UUID) -> GroupRole:
        """The user's role in a group; an admin of the gateway is an owner everywhere.

        Raises ``NotFound`` for an unknown group and for one the user is not in.
        """
        return await self.groups.role(user, group_id)

    async def tidy(self) -> None:
        """Forget what is over or too old."""
        await self.audit.tidy()
        await self.invitations.tidy()
        await self.recovery.tidy()

    async def groups_of_thing(self, thing_id: UUID) -> tuple[UUID, ...]:
        """The groups that the thing belongs to, earliest assignment first."""
        return await self.groups.ids_of_thing(thing_id)


@dataclass(frozen=True, slots=True)
class RegistryTerms:
    """What an operator says of accounts and their credentials.

    ``issuer`` is what tokens name as theirs; no other is believed. An API key lives for
    ``longest_key_seconds`` at most, and what happened is known for ``audit_days``, unless that is
    0. Passwords are hashed at that ``cost``. ``grace_seconds`` is how long the bytes of a removed
    thing's or group's files stay for downloads that are under way.
    """

    issuer: str = ISSUER
    registration: RegistrationRules = field(default_factory=RegistrationRules)
    token_seconds: float = 36_000
    longest_key_seconds: float = 0
    grace_seconds: float = 3_600
    audit_days: int = 0
    cost: PasswordCost = RECOMMENDED


@contextlib.asynccontextmanager
async def open_registry(
    database: Database,
    secret: bytes,
    *previous: bytes,
    terms: RegistryTerms | None = None,
    adopt: bool = True,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Registry]:
    """The registry on ``database``, with keys derived from the deployment's ``secret``.

    What was made under a ``previous`` one is known as well. A database of no deployment yet is of
    this one from now on, unless that is not to be (``adopt``). Raises ``StartupFailed`` if it
    belongs to a deployment with another secret.
    """
    keyring = Keyring(secret, *previous)
    await _check_deployment(database, keyring, adopt=adopt)
    said = terms or RegistryTerms()
    passwords = Passwords(cost=said.cost)
    try:
        yield _registry_on(database, keyring, passwords, said, clock)
    finally:
        passwords.close()


def _registry_on(
    database: Database,
    keyring: Keyring,
    passwords: Passwords,
    terms: RegistryTerms,
    clock: Callable[[], datetime],
) -> Registry:
    audit, login_seconds = Audit(database, days=terms.audit_days), terms.token_seconds
    tokens = Tokens(
        *keyring.token_keys, issuer=terms.issuer, lifetime_seconds=login_seconds, clock=clock
    )
    users = Users(database, passwords, tokens, audit, rules=terms.registration)
    longest = terms.longest_key_seconds
    return Registry(
        tokens,
        users,
        Things(database, keyring, grace_seconds=terms.grace_seconds),
        Groups(database, grace_seconds=terms.grace_seconds),
        Channels(database),
        Keys(database, tokens, login_seconds=login_seconds, longest_seconds=longest, clock=clock),
        Orgs(database),
        Policies(database),
        Invitations(database, clock=clock),
        Recovery(database, users, passwords, audit, clock=clock),
        audit,
        Certificates(database),
    )


async def _check_deployment(database: Database, keyring: Keyring, *, adopt: bool) -> None:
    present = keyring.fingerprints[0]
    if adopt:
        await database.run("adopt_fingerprint", present)
    found = {row["fingerprint"] for row in await database.rows("secrets_in_use")}
    if not found:
        raise StartupFailed("the database belongs to no deployment: no `serve` has used it yet")
    if found.isdisjoint(keyring.fingerprints):
        raise StartupFailed("the database belongs to a deployment with another secret")
    if not found.issubset(keyring.fingerprints):
        raise StartupFailed(
            "the database has been used with a further secret, which this gateway does not know: "
            "set it as GATEWAY_SECRET_PREVIOUS, or as GATEWAY_SECRET if it is the newer one"
        )
    if adopt:
        await database.run("note_secret", present)
