"""``database dump`` and ``database load``: the rows to another PostgreSQL, where the blobs stay.

An embedded server over a major version, from it to a server of one's own, or back. The dump is
what a backup has of the database; the blobs and the secret stay in the data directory.

Rule: nothing is loaded over rows. A load that was cut leaves a mark, as a restore does, and no
other command takes what is there for a deployment until it was repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from gateway.backup.vault import write_durably
from gateway.commands.existing import database, existing_database
from gateway.database.dump import check_dump, held_snapshot, is_empty, load_dump
from gateway.database.migrations import migrate
from gateway.model.errors import StartupFailed
from gateway.settings.core import BadSettings
from gateway.settings.deployed import (
    begin_restore,
    end_restore,
    has_blobs_and_secret,
    restoring,
)
from gateway.upkeep.check import Report, check
from gateway.wiring import Deployment, direct_dsn, grace_periods, open_stores

_MARK = "database"


def dump(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """All rows of one moment into a file that is not there yet, while the deployment serves."""
    with existing_database(deployment) as dsn:
        _reserve(arguments.file)
        asyncio.run(_dump(direct_dsn(deployment.settings, dsn), arguments.file))
    sys.stdout.write(f"database dump: {arguments.file}\n")
    return 0


def load(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Those rows into an empty database, and what is missing of the schema; then ``check``."""
    settings = deployment.settings
    if not has_blobs_and_secret(settings):
        raise BadSettings((f"{settings.data_dir} has no blobs and no secret: see `restore`",))
    asyncio.run(check_dump(arguments.file))
    with database(settings) as dsn:
        report = asyncio.run(_load(deployment, dsn, arguments.file))
    sys.stdout.write(f"database load: {report.blobs} blobs, {len(report.findings)} findings\n")
    return 1 if report.findings else 0


def _reserve(file: Path) -> None:
    """The file, for nobody but its owner to read. Raises ``BadSettings`` if it is there."""
    try:
        write_durably(file, b"")
    except OSError as exc:
        raise BadSettings((f"{file}: {exc.strerror}",)) from exc


async def _dump(dsn: str, file: Path) -> None:
    async with held_snapshot(dsn) as snapshot:
        await snapshot.dump(file)


async def _load(deployment: Deployment, dsn: str, file: Path) -> Report:
    settings, direct = deployment.settings, direct_dsn(deployment.settings, dsn)
    if not await is_empty(direct) and restoring(settings) != _MARK:
        raise StartupFailed(
            "the database is not empty: give another one, or move DATA_DIR/postgres away"
        )
    begin_restore(settings, _MARK)
    if await is_empty(direct):
        await load_dump(direct, file)
    await migrate(direct, deployment.sql)
    end_restore(settings)
    async with open_stores(deployment, dsn, adopt=False) as stores:
        return await check(
            stores.blobs, stores.ledger, grace_periods(settings), quarantine=stores.quarantine
        )
