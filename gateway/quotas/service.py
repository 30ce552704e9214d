"""Quotas, as their owners see and administrators set them.

Who may see or set which is not decided here: callers ask the registry first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from gateway.database.events import note
from gateway.database.pool import Database
from gateway.model.errors import Malformed, NotFound
from gateway.model.quota import USERS, Account, Amounts, Quota, Resource
from gateway.quotas.rows import quotas as rows


class Quotas:
    """What everybody may have, and has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, account: Account) -> Sequence[Quota]:
        """Of everything that is counted for the account. Costs more the more it has."""
        return await rows.report(self._database, account)

    async def check(self, account: Account) -> None:
        """Raise ``NotFound`` unless there is such an account."""
        if not await rows.is_known(self._database, account):
            raise NotFound()

    async def is_newcomer(self, account: Account) -> bool:
        """Whether the account has the defaults of those who registered by themselves."""
        return account.kind == USERS and await rows.is_newcomer(self._database, UUID(account.owner))

    async def change(
        self,
        account: Account,
        amounts: Amounts,
        *,
        actor: str,
        defaults: Collection[Resource] = (),
        trusted: bool = False,
    ) -> None:
        """Set these limits (``None``: none); for ``defaults`` the default holds again.

        Whoever has more already keeps it, and gets no more. ``trusted``: the account is no
        newcomer any more. Raises ``Malformed`` for what is not counted for such an account.
        """
        for resource in (*amounts, *defaults):
            if resource not in account.resources:
                raise Malformed(f"{resource} are not limited for {account.kind}")
        async with self._database.transaction() as session:
            await rows.change(session, account, amounts)
            await rows.unset(session, account, defaults)
            if trusted and account.kind == USERS:
                await rows.clear_newcomer(session, UUID(account.owner))
            detail = _said(amounts, defaults, trusted=trusted)
            await note(session, "limited", account.kind, account.owner, actor=actor, detail=detail)

    async def set_defaults(self, defaults: Mapping[str, Mapping[Resource, int]]) -> None:
        """What the settings say, for the whole deployment: the last gateway to start says it."""
        async with self._database.transaction() as session:
            await rows.set_defaults(session, defaults)


def _said(
    amounts: Amounts, defaults: Collection[Resource], *, trusted: bool
) -> Mapping[str, object]:
    limits = {str(name): "unlimited" if most is None else most for name, most in amounts.items()}
    by_default = dict.fromkeys(map(str, defaults), "default")
    return {**limits, **by_default, **({"newcomer": False} if trusted else {})}
