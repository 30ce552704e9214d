"""Things: devices with a key of their own, and the files that live and die with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.events import note
from gateway.database.pool import Database, Queries
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.things import Thing, ThingDraft
from gateway.identity.rights import Right, find_permitted, maker_id, owner_filter
from gateway.identity.rows import things as rows
from gateway.identity.rows.scopes import add_scopes, remove_scope
from gateway.identity.secrets import Keyring, check_chosen_key, check_thing_key, new_thing_key
from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import Conflict, Forbidden, Malformed, NotFound
from gateway.model.file import Scope
from gateway.model.paging import Page

THING_ROLE: Final = "thing"
SCOPE_KIND: Final = "things"


class Things:
    """The things. A user sees and changes their own and what is granted; an admin, all.

    The bytes of a removed thing's files may go ``grace_seconds`` later.
    """

    def __init__(self, database: Database, keyring: Keyring, *, grace_seconds: float) -> None:
        self._database = database
        self._keyring = keyring
        self._grace_seconds = grace_seconds

    async def create(self, caller: Principal, drafts: Sequence[ThingDraft]) -> list[Thing]:
        """All of the things, or none. Raises ``Conflict`` if an id or key is taken."""
        owner = maker_id(caller)
        keys = [check_chosen_key(d.key) if d.key else new_thing_key() for d in drafts]
        things = [self._new(owner, d, key) for d, key in zip(drafts, keys, strict=True)]
        digests = [self._keyring.key_digest(key) for key in keys]
        async with self._database.transaction() as session:
            for draft in drafts:
                await self._check_untaken(session, draft.key)
            await rows.add_things(session, owner, things, digests)
            ids = [str(thing.id) for thing in things]
            await add_scopes(session, SCOPE_KIND, ids, actor=caller.id)
        return things

    async def get(self, caller: Principal, thing_id: UUID) -> Thing:
        """One thing. Raises ``NotFound``."""
        return await _find(self._database, caller, thing_id, Right.READ)

    async def get_to_change(self, caller: Principal, thing_id: UUID) -> Thing:
        """One thing that the caller may change. Raises ``NotFound`` or ``Forbidden``."""
        return await _find(self._database, caller, thing_id, Right.WRITE)

    async def list(self, caller: Principal, listing: EntityListing) -> Page[Thing]:
        """The things that the caller may see."""
        return await rows.list_things(self._database, owner_filter(caller), listing)

    async def amend(
        self,
        caller: Principal,
        thing_id: UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Change what is given; the key is for the thing's owner to change.

        Raises ``NotFound``, ``Forbidden``, or ``Conflict`` if the key is taken.
        """
        thing = await self.get_to_change(caller, thing_id)
        if key is not None and not may_see_key(caller, thing):
            raise Forbidden()
        sealed = self._sealed(check_chosen_key(key), thing_id) if key is not None else None
        async with self._database.transaction() as session:
            await self._check_untaken(session, key)
            if not await rows.amend_thing(
                session, thing_id, owner_filter(caller), name=name, metadata=metadata, key=sealed
            ):
                raise NotFound()
            if sealed is not None:
                await note(session, "key-changed", SCOPE_KIND, thing_id, actor=caller.id)

    async def remove(self, caller: Principal, thing_id: UUID) -> None:
        """Remove the thing and its files. Raises ``NotFound`` or ``Forbidden``."""
        async with self._database.transaction() as session:
            await _find(session, caller, thing_id, Right.DELETE)
            if not await rows.remove_thing(session, thing_id, owner_filter(caller)):
                raise NotFound()
            await remove_scope(
                session, scope_of(thing_id), actor=caller.id, grace_seconds=self._grace_seconds
            )

    async def find_by_key(self, key: str) -> tuple[Thing, bool] | None:
        """The thing whose key this is, or ``None``.

        Beside it: whether the key is nothing without a certificate.
        """
        try:
            digests = self._keyring.key_digests(check_thing_key(key))
        except Malformed:
            return None
        return await rows.find_thing_by_digests(self._database, digests)

    def key_of(self, thing: Thing) -> str:
        """The thing's key, for whoever may see it."""
        return self._keyring.open_key(thing.sealed_key, thing.id)

    async def _check_untaken(self, queries: Queries, key: str | None) -> None:
        """Raise ``Conflict`` for a chosen key that a thing has under a previous secret.

        Under the present one the table sees it by itself.
        """
        before = self._keyring.key_digests(key)[1:] if key else ()
        if before and await rows.find_thing_by_digests(queries, before) is not None:
            raise Conflict()

    def _new(self, owner: UUID, draft: ThingDraft, key: str) -> Thing:
        thing_id = draft.id or uuid4()
        sealed = self._keyring.seal_key(key, thing_id)
        return Thing(thing_id, owner, draft.name, draft.metadata, sealed)

    def _sealed(self, key: str, thing_id: UUID) -> tuple[bytes, bytes]:
        return self._keyring.key_digest(key), self._keyring.seal_key(key, thing_id)


def may_see_key(caller: Principal, thing: Thing) -> bool:
    """Whether the thing's key is the caller's to see: they own it, whatever else is granted.

    Not if they show a key that is limited: the thing's is not, and outlives it.
    """
    return caller.limits is None and (caller.is_admin or caller.id == str(thing.owner_id))


async def _find(queries: Queries, caller: Principal, thing_id: UUID, right: Right) -> Thing:
    user = owner_filter(caller)
    return await find_permitted(right, lambda r: rows.find_thing(queries, thing_id, user, r))


def check_external_id(value: object) -> UUID:
    """The id that a caller chose: a UUID of version 4. Raises ``Malformed``."""
    try:
        chosen = UUID(value) if isinstance(value, str) else None
    except ValueError:
        chosen = None
    if chosen is None or chosen.version != 4 or str(chosen) != str(value).lower():
        raise Malformed("an id is a UUID of version 4")
    return chosen


def principal_of(thing: Thing) -> Principal:
    """The thing as a caller."""
    owner = str(thing.owner_id)
    return Principal(PrincipalKind.THING, str(thing.id), THING_ROLE, (THING_ROLE,), owner=owner)


def scope_of(thing_id: UUID) -> Scope:
    """Where the thing's files live."""
    return Scope(SCOPE_KIND, str(thing_id))
