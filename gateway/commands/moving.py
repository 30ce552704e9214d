"""``move-blobs``: a deployment's bytes from its disk to a bucket, or back, while it serves.

Rule: the deployment is told that its blobs are elsewhere (``--finish``) only after a pass that had
nothing to copy and nothing to complain of.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from gateway.blobs.port import BlobStore
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_store import move_store
from gateway.commands.existing import existing_database
from gateway.commands.maintenance import named, print_findings
from gateway.database.pool import Database, open_database
from gateway.process.terminal import print_json, progress, size_text, wants_json
from gateway.settings.core import BadSettings, Settings
from gateway.upkeep.moving import MoveReport, move
from gateway.wiring import Deployment, open_blobs, store_identity

_FROM: Final = {"s3": "disk", "disk": "s3"}


def move_blobs(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Copy what is missing there; 1 if some of it could not be."""
    settings = deployment.settings
    if settings.s3_bucket is None:
        raise BadSettings(("GATEWAY_S3_BUCKET: needed to move blobs there, or from there",))
    with existing_database(deployment) as dsn:
        report = asyncio.run(_move(deployment, dsn, arguments.to, finish=arguments.finish))
    _tell(arguments, report)
    return 1 if report.findings else 0


async def _move(deployment: Deployment, dsn: str, to: str, *, finish: bool) -> MoveReport:
    settings = deployment.settings
    target, source = _with_store(settings, to), _with_store(settings, _FROM[to])
    async with (
        open_database(dsn, deployment.sql, pooled=settings.database_pooled) as database,
        open_blobs(source) as here,
        open_blobs(target) as there,
    ):
        report = await _copy(here, there, database)
        if finish and not report.findings:
            identity = store_identity(target)
            assert identity is not None, "it is no store in memory"
            await move_store(database, identity)
    return report


async def _copy(here: BlobStore, there: BlobStore, database: Database) -> MoveReport:
    with progress() as shown:
        return await move(here, there, PostgresBlobLedger(database), shown.tell)


def _with_store(settings: Settings, store: str) -> Settings:
    """The same deployment with its blobs in that store."""
    return settings.model_copy(update={"store": store})


def _tell(arguments: argparse.Namespace, report: MoveReport) -> None:
    finished = arguments.finish and not report.findings
    if wants_json(forced=arguments.json):
        print_json(
            {
                "command": "move-blobs",
                "to": arguments.to,
                "present": report.present,
                "copied": report.copied,
                "copied_bytes": report.copied_bytes,
                "findings": [named(finding) for finding in report.findings],
                "finished": finished,
            }
        )
        return
    print_findings(report.findings, [])
    sys.stdout.write(
        f"move-blobs: {report.copied} blobs copied, {size_text(report.copied_bytes)}; "
        f"{report.present} were there, {len(report.findings)} findings\n"
    )
    if finished:
        sys.stdout.write(
            f"  the deployment's blobs are there now: set GATEWAY_STORE={arguments.to}\n"
        )
