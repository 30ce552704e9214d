"""Rows of users. Every function takes the queries it is to run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.emails import forms_of
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.model.paging import Page


async def add_user(
    queries: Queries,
    user_id: UUID,
    email: str,
    password_hash: str,
    metadata: Mapping[str, Any],
    *,
    verified: bool = True,
    newcomer: bool = False,
) -> User:
    """A new user, whose e-mail is known to be theirs or not. Raises ``Taken`` if it is there.

    A ``newcomer`` registered without being asked to.
    """
    row = await queries.row("add_user", user_id, email, password_hash, metadata, verified, newcomer)
    return user_of(cast(Row, row))


async def find_user(queries: Queries, user_id: UUID) -> User | None:
    """The user of that id, or ``None``."""
    row = await queries.row("user_by_id", user_id)
    return user_of(row) if row else None


async def find_user_of_token(queries: Queries, user_id: UUID, token_id: UUID | None) -> User | None:
    """The user of that id, unless the login with that token was ended; or ``None``."""
    row = await queries.row("user_of_token", user_id, token_id)
    return user_of(row) if row else None


async def find_user_by_number(queries: Queries, number: int) -> User | None:
    """The user of that number, or ``None``."""
    row = await queries.row("user_by_number", number)
    return user_of(row) if row else None


async def end_token(queries: Queries, token_id: UUID, expires_at: datetime, user_id: UUID) -> None:
    """End one login; again is no error."""
    await queries.run("end_token", token_id, expires_at, user_id)


async def end_tokens(queries: Queries, user_id: UUID) -> None:
    """End every login of the user."""
    await queries.run("end_tokens", user_id)


async def end_keys(queries: Queries, user_id: UUID) -> None:
    """End every key of the user that is kept elsewhere than among API keys."""
    await queries.run("end_keys", user_id)


async def lock_user(queries: Queries, user_id: UUID, *, locked: bool, things: bool = False) -> bool:
    """Lock, with their things or without, or unlock; whether there is such a user."""
    return await queries.run("lock_user", user_id, locked, things) == 1


async def verify_user(queries: Queries, user_id: UUID) -> None:
    """The e-mail is the user's own."""
    await queries.run("verify_user", user_id)


async def unverified_users(queries: Queries, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of the users whose e-mail is not known to be theirs."""
    return frozenset(row["id"] for row in await queries.rows("unverified_users", ids))


async def rehash_password(queries: Queries, user: User, password_hash: str) -> None:
    """The same password at another cost, unless it was changed meanwhile."""
    await queries.run("rehash_password", user.id, password_hash, user.password_hash)


async def add_reset(queries: Queries, user_id: UUID, digest: bytes, expires_at: datetime) -> None:
    """A token for a new password, in place of any earlier."""
    await queries.run("add_reset", user_id, digest, expires_at)


async def find_reset(queries: Queries, digest: bytes) -> User | None:
    """Whose password the token of that digest may set now, or ``None``."""
    row = await queries.row("reset_of_digest", digest)
    return user_of(row) if row else None


async def use_reset(queries: Queries, digest: bytes) -> bool:
    """Take the token; whether it was there to be taken."""
    return await queries.run("use_reset", digest) == 1


async def drop_resets(queries: Queries, user_id: UUID) -> None:
    """Take back the user's token, if there is one."""
    await queries.run("drop_resets", user_id)


async def drop_old_resets(queries: Queries) -> None:
    """Forget tokens that are over."""
    await queries.run("drop_old_resets")


async def find_user_by_email(queries: Queries, email: str) -> User | None:
    """The user of that e-mail, as it may be kept, or ``None``."""
    row = await queries.row("user_by_email", list(forms_of(email)))
    return user_of(row) if row else None


async def find_users(
    queries: Queries, ids: Sequence[UUID], emails: Sequence[str]
) -> tuple[dict[UUID, User], dict[str, User]]:
    """The users of these ids, by id, and those of these e-mails, by the e-mail as it was asked."""
    by_id = await queries.rows("users_by_id", ids)
    forms = {email: forms_of(email) for email in emails}
    rows = await queries.rows("users_by_email", [form for some in forms.values() for form in some])
    kept = {row["email"]: user_of(row) for row in rows}
    found = {e: next((kept[f] for f in some if f in kept), None) for e, some in forms.items()}
    return (
        {row["id"]: user_of(row) for row in by_id},
        {email: user for email, user in found.items() if user is not None},
    )


async def list_users(queries: Queries, only: UUID | None, listing: EntityListing) -> Page[User]:
    """A page of all users, or of the ``only`` one."""
    part = listing.name.lower()
    total = await queries.value("count_users", only, part, listing.metadata)
    rows = await queries.rows(
        "list_users", only, part, listing.metadata, listing.limit, listing.offset
    )
    return Page(total, [user_of(row) for row in rows])


async def amend_user(queries: Queries, user_id: UUID, metadata: Mapping[str, Any]) -> bool:
    """Replace the metadata; whether there is such a user."""
    return await queries.run("amend_user", user_id, metadata) == 1


async def change_password(queries: Queries, user: User, password_hash: str) -> bool:
    """Replace the password and end every token; ``False`` if someone else was faster."""
    return await queries.run("change_password", user.id, password_hash, user.password_hash) == 1


async def reset_password(queries: Queries, user_id: UUID, password_hash: str) -> bool:
    """Replace the password, whatever it is, and end every token; whether there is such a user."""
    return await queries.run("reset_password", user_id, password_hash) == 1


async def list_admins(queries: Queries) -> Sequence[User]:
    """Every administrator, by e-mail."""
    return [user_of(row) for row in await queries.rows("list_admins")]


async def has_admin(queries: Queries) -> bool:
    """Whether any user administers the gateway."""
    return bool(await queries.value("any_admin"))


async def make_admin(queries: Queries, user_id: UUID, email: str, password_hash: str) -> None:
    """An administrator; an account that has the e-mail already becomes one."""
    await queries.run("make_admin", user_id, email, password_hash)


def user_of(row: Row) -> User:
    """The user in a row."""
    return User(
        id=row["id"],
        number=row["number"],
        email=row["email"],
        metadata=row["metadata"],
        admin=row["admin"],
        member=row["member"],
        registrar=row["registrar"],
        locked=row["locked"],
        password_hash=row["password_hash"],
        tokens_valid_from=row["tokens_valid_from"],
    )
