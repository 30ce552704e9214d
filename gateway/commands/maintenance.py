"""``check``, ``scrub`` and ``sweep``: whether a deployment is sound, and what it can do without.

A report is one JSON object for a program and a table for a person. Exit status 1 means that
something was found, and the report names it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from gateway.commands.existing import existing_database, existing_stores
from gateway.process.terminal import print_json, print_table, progress, wants_json
from gateway.upkeep import check as upkeep
from gateway.upkeep.check import Finding, Report
from gateway.upkeep.sweep import SweepReport
from gateway.upkeep.sweep import sweep as sweep_stores
from gateway.wiring import Deployment, grace_periods


def check(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Report what does not fit together; with ``--repair``, mend what can be mended."""
    with existing_database(deployment) as dsn:
        report = asyncio.run(_check(deployment, dsn, repair=arguments.repair))
    return _tell("check", report, as_json=arguments.json)


def scrub(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Hash every blob again."""
    with existing_database(deployment) as dsn:
        report = asyncio.run(_scrub(deployment, dsn))
    return _tell("scrub", report, as_json=arguments.json)


def sweep(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """Remove what nobody needs any more."""
    with existing_database(deployment) as dsn:
        report = asyncio.run(_sweep(deployment, dsn))
    removed = {
        "incoming": report.incoming,
        "orphans": report.orphans,
        "garbage": report.garbage,
    }
    if wants_json(forced=arguments.json):
        print_json({**removed, "listed": report.listed})
    else:
        print_table(["removed", "how many"], removed.items())
    return 0


async def _check(deployment: Deployment, dsn: str, *, repair: bool) -> Report:
    grace = grace_periods(deployment.settings)
    async with existing_stores(deployment, dsn) as stores:
        with progress() as shown:
            report = await upkeep.check(stores.blobs, stores.ledger, grace, shown.tell)
        if repair and report.findings:
            return await upkeep.repair(stores.blobs, stores.ledger, grace, report)
    return report


async def _scrub(deployment: Deployment, dsn: str) -> Report:
    async with existing_stores(deployment, dsn) as stores:
        with progress() as shown:
            return await upkeep.scrub(stores.blobs, stores.ledger, shown.tell)


async def _sweep(deployment: Deployment, dsn: str) -> SweepReport:
    async with existing_stores(deployment, dsn) as stores:
        grace = grace_periods(deployment.settings)
        report = await sweep_stores(stores.blobs, stores.ledger, grace)
        await stores.messaging.tidy()
        await stores.registry.tidy()
    return report


def _tell(command: str, report: Report, *, as_json: bool) -> int:
    """Print the report; 1 if something is wrong that was not mended."""
    if wants_json(forced=as_json):
        _print_for_a_program(command, report)
    else:
        _print_for_a_person(command, report)
    return 1 if report.findings else 0


def _print_for_a_program(command: str, report: Report) -> None:
    print_json(
        {
            "command": command,
            "blobs": report.blobs,
            "listed": report.listed,
            "sound": not report.findings,
            "findings": [named(finding) for finding in report.findings],
            "repaired": [named(finding) for finding in report.repaired],
        }
    )


def print_findings(found: Sequence[Finding], mended: Sequence[Finding]) -> None:
    """A line of a table for each, for a person."""
    rows = [_row(finding, "found") for finding in found]
    rows += [_row(finding, "mended") for finding in mended]
    if rows:
        print_table(["", "what", "scope", "name", "blob", "detail"], rows)


def _print_for_a_person(command: str, report: Report) -> None:
    print_findings(report.findings, report.repaired)
    sys.stdout.write(f"{command}: {report.blobs} blobs, {len(report.findings)} findings\n")
    for remedy in sorted({f"{f.what}: {f.what.remedy}" for f in report.findings}):
        sys.stdout.write(f"  {remedy}\n")


def named(finding: Finding) -> dict[str, str | None]:
    """A finding for a program."""
    return {
        "what": finding.what,
        "scope": _text(finding.scope),
        "name": finding.name,
        "blob": _text(finding.blob_id),
        "place": f"{finding.place}/{finding.blob_id}" if finding.place else None,
        "detail": finding.detail,
        "remedy": finding.what.remedy,
    }


def _row(finding: Finding, state: str) -> list[str]:
    known = named(finding)
    scope = known["scope"] or _text(finding.place)
    cells = (scope, known["name"], known["blob"], finding.detail)
    return [state, finding.what, *("-" if cell is None else cell for cell in cells)]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
