"""Rows of quotas. Every function takes the queries it is to run in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.model.file import Scope
from gateway.model.quota import Account, Amounts, Quota, Resource


async def reserve(
    queries: Queries, blob_id: UUID, scope: Scope, wanted: int, least: int, lease_seconds: float
) -> int | None:
    """Bytes that were promised, ``None`` if nothing limits them. Raises ``OverQuota``."""
    granted = await queries.value(
        "reserve_bytes", blob_id, scope.kind, scope.owner, wanted, least, lease_seconds
    )
    return None if granted is None else int(granted)


async def release(queries: Queries, blob_id: UUID) -> None:
    """Give back what was promised; absence is success."""
    await queries.run("release_reservation", blob_id)


async def renew(queries: Queries, blob_ids: Collection[UUID], lease_seconds: float) -> None:
    """Those that are still there are kept for longer."""
    await queries.run("renew_reservations", list(blob_ids), lease_seconds)


async def report(queries: Queries, account: Account) -> list[Quota]:
    """What it may have and has, of everything that is counted for it."""
    resources = [str(resource) for resource in account.resources]
    rows = await queries.rows("report_quotas", account.kind, account.owner, resources)
    return [_quota(row) for row in rows]


async def is_known(queries: Queries, account: Account) -> bool:
    """Whether there is such an account."""
    return bool(await queries.value("account_exists", account.kind, account.owner))


async def change(queries: Queries, account: Account, amounts: Amounts) -> None:
    """These limits hold now; ``None``: there is none."""
    names, values = [str(name) for name in amounts], list(amounts.values())
    await queries.run("set_quotas", account.kind, account.owner, names, values)


async def unset(queries: Queries, account: Account, resources: Collection[Resource]) -> None:
    """For these the defaults hold again."""
    names = [str(resource) for resource in resources]
    await queries.run("unset_quotas", account.kind, account.owner, names)


async def clear_newcomer(queries: Queries, user_id: UUID) -> None:
    """The account is as one that an administrator made."""
    await queries.run("clear_newcomer", user_id)


async def is_newcomer(queries: Queries, user_id: UUID) -> bool:
    """Whether the account registered by itself, and nobody has said more of it since."""
    return bool(await queries.value("is_newcomer", user_id))


async def set_defaults(queries: Queries, defaults: Mapping[str, Mapping[Resource, int]]) -> None:
    """Of each class, what those may have of whom nothing else was set."""
    rows: Sequence[tuple[str, str, int]] = [
        (name, str(resource), amount)
        for name, amounts in sorted(defaults.items())
        for resource, amount in sorted(amounts.items())
    ]
    classes, resources = [row[0] for row in rows], [row[1] for row in rows]
    await queries.run("forget_other_defaults", classes, resources)
    await queries.run("set_defaults", classes, resources, [row[2] for row in rows])


def _quota(row: Row) -> Quota:
    return Quota(
        Resource(row["resource"]), row["amount"], row["used"], row["reserved"], row["condemned"]
    )
