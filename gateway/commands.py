"""The commands that keep a deployment in order: check, sweep, scrub, and the first admin.

Each prints one JSON object to stdout; exit status 1 means that something was found.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import orjson

from gateway.identity.records.users import NewAdmin
from gateway.settings.core import BadSettings, Settings
from gateway.upkeep import sweep as upkeep
from gateway.wiring import Deployment, grace_periods, open_stores


async def check(deployment: Deployment, dsn: str) -> int:
    """Report rows without their bytes (status 1) and bytes without a row."""
    _check_store_is_shared(deployment.settings)
    async with open_stores(deployment, dsn) as stores:
        report = await upkeep.check(stores.blobs, stores.ledger)
    _print(
        {
            "rows": report.rows,
            "missing": report.missing,
            "wrong_size": report.wrong_size,
            "orphans": report.orphans,
        }
    )
    return 0 if report.sound else 1


async def sweep(deployment: Deployment, dsn: str) -> int:
    """Remove what nobody needs any more."""
    _check_store_is_shared(deployment.settings)
    async with open_stores(deployment, dsn) as stores:
        grace = grace_periods(deployment.settings)
        report = await upkeep.sweep(stores.blobs, stores.ledger, grace)
        await stores.messaging.tidy()
    _print({"incoming": report.incoming, "orphans": report.orphans, "garbage": report.garbage})
    return 0


async def scrub(deployment: Deployment, dsn: str) -> int:
    """Hash every blob again; status 1 if one is damaged."""
    _check_store_is_shared(deployment.settings)
    async with open_stores(deployment, dsn) as stores:
        report = await upkeep.scrub(stores.blobs, stores.ledger)
    _print({"blobs": report.blobs, "damaged": report.damaged})
    return 1 if report.damaged else 0


async def ensure_admin(deployment: Deployment, dsn: str) -> NewAdmin | None:
    """Create the first administrator, unless there is one."""
    settings, password = deployment.settings, deployment.settings.admin_password
    async with open_stores(deployment, dsn) as stores:
        return await stores.registry.users.ensure_admin(
            settings.admin_email, password.get_secret_value() if password else None
        )


def _check_store_is_shared(settings: Settings) -> None:
    """Raise ``BadSettings`` if the blobs are only in the memory of the process that serves."""
    if settings.store == "memory":
        raise BadSettings(("GATEWAY_STORE: memory is seen by nobody but `serve`",))


def _print(report: Mapping[str, object]) -> None:
    sys.stdout.write(orjson.dumps(report).decode() + "\n")
