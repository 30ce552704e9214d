"""The port to room for uploads: promised before bytes come, given back when they do not.

What is committed is counted and proved by the commit itself, whatever was promised before.
"""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

from gateway.model.file import Scope

UNRESERVED_BYTES: Final = 1024 * 1024
"""An upload of no more is not on the disk before it is sealed, and is proved by its commit alone.
It is ``quota_grain`` of the migration."""


class Promises(Protocol):
    """Promises of bytes, one for each upload under way. Every gateway's count for all."""

    async def reserve(self, blob_id: UUID, scope: Scope, wanted: int, least: int) -> int | None:
        """So many more bytes for this upload, between ``least`` and ``wanted``.

        ``None``: nothing limits it, and nothing was promised. Raises ``OverQuota`` and promises
        nothing more, if there are less than ``least``.
        """

    async def release(self, blob_id: UUID) -> None:
        """Nothing is needed any more: the upload was committed, or came to nothing. Never raises.

        A promise that cannot be taken back now lapses by itself.
        """


class Boundless:
    """Room without a limit, for a store that nobody shares."""

    async def reserve(self, blob_id: UUID, scope: Scope, wanted: int, least: int) -> int | None:
        """Nothing limits it."""
        del blob_id, scope, wanted, least
        return None

    async def release(self, blob_id: UUID) -> None:
        """There is no promise."""
        del blob_id
