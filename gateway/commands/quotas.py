"""Quotas from the command line: what an account may have and has, and setting it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.commands.existing import existing_database, existing_stores
from gateway.database.events import COMMAND
from gateway.model.errors import Malformed, NotFound
from gateway.model.quota import USERS, Account, Amounts, Quota, Resource
from gateway.process.terminal import print_json, print_table, wants_json
from gateway.settings.quotas import UNLIMITED, parse_quotas
from gateway.wiring import Deployment, Stores


@dataclass(frozen=True, slots=True)
class _Asked:
    amounts: Amounts
    defaults: Sequence[Resource]
    trusted: bool

    @property
    def changes(self) -> bool:
        return bool(self.amounts or self.defaults or self.trusted)


def quota(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Set what is asked for, then say what holds."""
    asked = _Asked(_amounts(arguments.set), _names(arguments.default), arguments.trust)

    async def done(dsn: str) -> tuple[Account, Sequence[Quota]]:
        async with existing_stores(deployment, dsn) as stores:
            account = await _account(stores, arguments.account)
            if asked.changes:
                await stores.quotas.change(
                    account,
                    asked.amounts,
                    actor=COMMAND,
                    defaults=asked.defaults,
                    trusted=asked.trusted,
                )
            return account, await stores.quotas.report(account)

    with existing_database(deployment) as dsn:
        account, found = asyncio.run(done(dsn))
    _tell(account, found, as_json=arguments.json)
    return 0


async def _account(stores: Stores, named: str) -> Account:
    """An e-mail, or kind and id. Raises ``NotFound``."""
    kind, slash, owner = named.partition("/")
    try:
        if not slash:
            user = await stores.registry.users.find_by_email(named)
            return Account(USERS, str(user.id))
        account = Account(kind, owner)
        await stores.quotas.check(account)
    except (NotFound, Malformed) as exc:
        raise NotFound(f"no account {named}") from exc
    return account


def _amounts(text: str | None) -> Amounts:
    try:
        return {Resource(most.resource): most.amount for most in parse_quotas(text or "")}
    except ValueError as exc:
        raise Malformed(f"--set: {exc}") from exc


def _names(text: str | None) -> Sequence[Resource]:
    try:
        return [Resource(name.strip()) for name in (text or "").split(",") if name.strip()]
    except ValueError as exc:
        raise Malformed(f"quotas are of {', '.join(Resource)}") from exc


def _tell(account: Account, found: Sequence[Quota], *, as_json: bool) -> None:
    rows = [_row(quota) for quota in found]
    if wants_json(forced=as_json):
        print_json({"account": str(account), "quotas": rows})
    else:
        print_table([*rows[0]], ([_text(cell) for cell in row.values()] for row in rows))


def _row(quota: Quota) -> Mapping[str, object]:
    return {
        "of": str(quota.resource),
        "limit": quota.limit,
        "used": quota.used,
        "reserved": quota.reserved,
        "condemned": quota.condemned,
        "left": quota.left,
    }


def _text(cell: object) -> str:
    return UNLIMITED if cell is None else str(cell)
