"""Certificates that things are known by, beside their key or alone.

| Bound as | Means |
|---|---|
| beside the key | the thing's key is nothing without one of these certificates |
| alone | the certificate is enough, without the key |

Knows who may bind what. Does not know X.509, nor where a certificate was shown.

Rule: whoever can see a certificate could claim it, for it is no secret. So one that is to be
enough alone counts only once the thing has shown its key and the certificate together, or if an
administrator bound it. A subject is what the deployment's own authority gives out: only
administrators bind one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries, Row
from gateway.identity.records.things import Thing
from gateway.identity.rights import owner_filter
from gateway.identity.rows.things import find_thing, thing_of
from gateway.identity.things import SCOPE_KIND, may_see_key
from gateway.model.access import Principal
from gateway.model.certificate import Certificate
from gateway.model.errors import Forbidden, NotFound, TooLarge

_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Binding:
    """A thing and a certificate, by its SHA-256, or a subject: one of them is ``None``."""

    id: UUID
    thing_id: UUID
    sha256: bytes | None
    subject: str | None
    alone: bool
    confirmed: bool


class Certificates:
    """The bindings. Those of a thing are for its owner to see and change, and for admins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bind(
        self,
        caller: Principal,
        thing_id: UUID,
        *,
        sha256: bytes | None = None,
        subject: str | None = None,
        alone: bool = False,
    ) -> Binding:
        """Know the thing by this from now on.

        Raises ``NotFound``, ``Forbidden``, ``Conflict`` for what is bound already, ``TooLarge``.
        """
        if subject is not None and not caller.is_admin:
            raise Forbidden("only an administrator binds a subject")
        made = Binding(uuid4(), thing_id, sha256, subject, alone, caller.is_admin or not alone)
        async with self._database.transaction() as session:
            await _check_owned(session, caller, thing_id)
            if await session.value("count_certificates", thing_id) >= _MOST:
                raise TooLarge(f"a thing has {_MOST} certificates at most")
            await session.run(
                "add_certificate", made.id, thing_id, sha256, subject, alone, made.confirmed
            )
            await note(session, "certificate-bound", SCOPE_KIND, thing_id, actor=caller.id)
        return made

    async def list(self, caller: Principal, thing_id: UUID) -> Sequence[Binding]:
        """All of a thing's, which are few. Raises ``NotFound``, ``Forbidden``."""
        await _check_owned(self._database, caller, thing_id)
        return [_binding(row) for row in await self._database.rows("list_certificates", thing_id)]

    async def unbind(self, caller: Principal, thing_id: UUID, binding: UUID) -> None:
        """Know the thing by this no longer. Raises ``NotFound``, ``Forbidden``."""
        async with self._database.transaction() as session:
            await _check_owned(session, caller, thing_id)
            if not await session.run("remove_certificate", thing_id, binding):
                raise NotFound()
            await note(session, "certificate-unbound", SCOPE_KIND, thing_id, actor=caller.id)

    async def find_thing(self, certificate: Certificate) -> Thing | None:
        """The thing that the certificate is enough for, or ``None``."""
        shown = (certificate.sha256, certificate.subject)
        row = await self._database.row("thing_by_certificate", *shown)
        return None if row is None else thing_of(row)

    async def belongs(self, thing: Thing, certificate: Certificate) -> bool:
        """Whether the thing, which has shown its key, is known by the certificate as well.

        One that waited for this counts from now on.
        """
        shown = (thing.id, certificate.sha256)
        row = await self._database.row("bound_certificate", *shown, certificate.subject)
        if row is None:
            return False
        if row["waits"]:
            await self._database.run("confirm_certificate", *shown)
        return True


async def _check_owned(queries: Queries, caller: Principal, thing_id: UUID) -> None:
    thing = await find_thing(queries, thing_id, owner_filter(caller))
    if thing is None:
        raise NotFound()
    if not may_see_key(caller, thing):
        raise Forbidden()


def _binding(row: Row) -> Binding:
    return Binding(**{name: row[name] for name in Binding.__slots__})
