"""The audit: what happened to accounts, credentials, roles and the like, by whom, from where.

Rule: a row is written in the transaction of the change, so that there is neither without the
other. No secret is ever in one. Rows about files are written by the statements that change those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.database.pool import Queries
from gateway.process.origin import sender_address

COMMAND: Final = "command"
"""Who acts where no caller does: whoever may run a command on the machine."""


async def note(
    queries: Queries,
    event: str,
    kind: str,
    owner: object,
    *,
    actor: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """``event`` happened to the ``kind`` named ``owner``; ``actor`` is the caller's id."""
    address = sender_address()
    await queries.run("note_event", event, kind, str(owner), actor, address, dict(detail or {}))
