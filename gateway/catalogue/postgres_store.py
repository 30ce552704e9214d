"""Which store the blobs of this deployment are in, as its database knows it.

Rule: whoever would write elsewhere does not start. Only moving the blobs changes what is known.
"""

from __future__ import annotations

from gateway.database.pool import Database
from gateway.model.errors import StartupFailed


async def check_store(database: Database, identity: str | None, *, adopt: bool) -> None:
    """Raise ``StartupFailed`` if the deployment has its blobs in another store than this.

    ``adopt`` makes it this one where none is known. ``None`` is a store that nobody else sees.
    """
    if identity is None:
        return
    if adopt:
        await database.run("adopt_store", identity)
    known = await database.value("store_of_deployment")
    if known is not None and known != identity:
        raise StartupFailed(
            f"the blobs of this deployment are in another store ({known}) than these settings name "
            f"({identity}): correct GATEWAY_STORE, or finish `filestore-gateway move-blobs`"
        )


async def move_store(database: Database, identity: str) -> None:
    """The blobs are here from now on."""
    await database.run("move_store", identity)
